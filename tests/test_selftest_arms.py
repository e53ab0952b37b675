"""The arms of the bank: what is slowed is slowed by what its name says, and a copy is a copy."""

import pytest

from vlmgate.selftest import arms
from vlmgate.variants import VARIANTS


@pytest.mark.parametrize(("name", "share"), [*arms.SHARES.items(), (arms.INT8_SLOW, 0.10)])
def test_a_slowed_arm_is_its_origin_with_busy_work(name: str, share: float) -> None:
    variant = arms.variants()[name]
    origin = VARIANTS[arms.INT8 if "int8" in name else arms.REFERENCE]
    assert variant.name == name and name.endswith(f"slow{share * 100:.0f}")
    *steps, last = variant.steps
    assert tuple(steps) == origin.steps and (last.recipe, dict(last.parameters)) == ("slowed", {"share": share})


def test_copies_have_no_artefact_of_their_own() -> None:
    assert not arms.COPIES.keys() & arms.variants().keys()
    assert set(arms.COPIES.values()) <= arms.variants().keys()
