"""Signs of a collapsed captioner."""

import pytest

from vlmgate.metrics.degenerate import agreement, degenerate_share, empty_share, is_degenerate, length_ratio
from vlmgate.spec import VlmgateError


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a red circle on a white background", False),
        ("", False),
        ("red red red", False),
        ("red red red red", True),
        ("a very, very, very, very large dog", True),
        ("a dog a dog a dog", False),
        ("a dog a dog a dog a dog", True),
        ("see a dog a dog a dog a dog run", True),
        ("red dog red cat red", False),  # five words: too short for the commonest word to tell
        ("red dog red cat red bird", False),  # exactly half
        ("red dog red cat red bird red", True),
    ],
)
def test_is_degenerate(caption: str, expected: bool) -> None:
    assert is_degenerate(caption) is expected


def test_shares_count_captions() -> None:
    captions = {"1": "", "2": " . ", "3": "dog dog dog dog", "4": "a dog"}
    assert empty_share(captions) == 0.5
    assert degenerate_share(captions) == 0.25


def test_length_ratio_and_agreement() -> None:
    ours = {"1": "a  dog ", "2": "a big red cat"}
    theirs = {"1": "a dog", "2": "cat"}
    assert length_ratio(ours, theirs) == 2.0
    assert agreement(ours, theirs) == 0.5


@pytest.mark.parametrize("compare", [length_ratio, agreement])
def test_different_images_are_an_error(compare) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(VlmgateError, match="image 2 has a caption from only one"):
        compare({"1": "a"}, {"1": "a", "2": "b"})


@pytest.mark.parametrize("share", [empty_share, degenerate_share])
def test_no_captions_is_an_error(share) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(VlmgateError, match="no captions"):
        share({})


def test_a_silent_reference_model_is_an_error() -> None:
    with pytest.raises(VlmgateError, match="hold no word"):
        length_ratio({"1": "a"}, {"1": "."})
