"""Unknown names: the nearest ones come first, and a guess is only made where there is one to make."""

import pytest

from vlmgate.models import MODELS
from vlmgate.spec import VlmgateError
from vlmgate.spec.names import LIST, NEAR, known, nearest, suggested, unknown
from vlmgate.variants import VARIANTS


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("int8", ["int8-dynamic"]),  # what it begins, though onnx-int8 has more letters in common
        ("int8-dynamc", ["int8-dynamic"]),
        ("bf61", ["bf16"]),
        ("prooned", ["pruned"]),
        ("nf4-double", ["bnb-nf4-double"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_the_name_that_was_meant(name: str, near: list[str]) -> None:
    assert nearest(name, VARIANTS) == near


@pytest.mark.parametrize(
    ("name", "begin", "held"),
    [("int9", "int8-dynamic", ""), ("int8", "int8-dynamic", ""), ("fp61", "fp16", ""), ("vision", "", "vision")],
)
def test_several_that_may_have_been_meant(name: str, begin: str, held: str) -> None:
    found = nearest(name, VARIANTS, NEAR)
    assert 2 <= len(found) <= NEAR and len(set(found)) == len(found)
    assert found[0].startswith(begin) and all(held in each for each in found)
    if name.startswith("int"):
        assert all(each.startswith("int8-dynamic") for each in found) and len(found) == NEAR


def test_of_a_long_list_the_nearest_are_shown_and_where_all_are() -> None:
    sentence = unknown("variant", "int9", VARIANTS)
    shown = "int8-dynamic, int8-dynamic-rows, int8-dynamic-text, int8-dynamic-tied or int8-dynamic-embed"
    assert sentence == f"unknown variant 'int9'; did you mean {shown}? All {len(VARIANTS)}: `vlmgate list`"
    assert unknown("variant", "zzz", VARIANTS) == f"unknown variant 'zzz'; all {len(VARIANTS)}: `vlmgate list`"
    one = suggested("alpha-1", ["alpha", *map(str, range(100, 120))], LIST)
    assert one == "did you mean alpha? All 21: `vlmgate list`"


def test_a_short_list_is_shown_whole_with_the_nearest_before_it() -> None:
    sentence = unknown("model", "scene-blop", MODELS)
    assert sentence == "unknown model 'scene-blop'; did you mean scene-blip? Known: blip-base, blip-large, scene-blip"


def test_a_long_list_that_stands_nowhere_else_is_shown_whole() -> None:
    keys = [f"key{i}" for i in range(30)]
    assert all(key in unknown("key", "kye1", keys) for key in keys)


def test_no_guess_where_nothing_is_near() -> None:
    assert suggested("zzz", ["smoke", "full"]) == "known: full, smoke"
    assert unknown("tier", "ful", []) == "unknown tier 'ful'; known: none"


def test_a_table_gives_what_it_holds_or_the_sentence() -> None:
    assert known({"a": 1}, "a", "tier") == 1
    with pytest.raises(VlmgateError, match=r"^unknown tier 'ab'; did you mean a\? Known: a, x$"):
        known({"x": 0, "a": 1}, "ab", "tier")
