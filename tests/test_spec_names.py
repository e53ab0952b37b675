"""Unknown names: the nearest one comes first, and a guess is only made where there is one to make."""

import pytest

from vlmgate.spec import VlmgateError
from vlmgate.spec.names import known, nearest, suggested, unknown
from vlmgate.variants import VARIANTS


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("int8", "int8-dynamic"),  # what it begins, though onnx-int8 has more letters in common
        ("int8-dynamc", "int8-dynamic"),
        ("bf61", "bf16"),
        ("prooned", "pruned"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_name_that_was_meant(name: str, near: str) -> None:
    assert nearest(name, VARIANTS) == near


def test_the_nearest_comes_before_the_long_list() -> None:
    sentence = unknown("variant", "int8", VARIANTS)
    assert sentence.startswith("unknown variant 'int8'; did you mean int8-dynamic? Known: bf16, ")
    assert all(name in sentence for name in VARIANTS)


def test_no_guess_where_nothing_is_near() -> None:
    assert suggested("zzz", ["smoke", "full"]) == "known: full, smoke"
    assert unknown("tier", "ful", []) == "unknown tier 'ful'; known: none"


def test_a_table_gives_what_it_holds_or_the_sentence() -> None:
    assert known({"a": 1}, "a", "tier") == 1
    with pytest.raises(VlmgateError, match=r"^unknown tier 'ab'; did you mean a\? Known: a, x$"):
        known({"x": 0, "a": 1}, "ab", "tier")
