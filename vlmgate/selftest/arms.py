"""The arms of the bank: the reference and INT8, an identical copy of each, and both slowed down by known shares."""

from vlmgate.judge.evidence import PLACEBO
from vlmgate.spec import Step, Variant
from vlmgate.variants import VARIANTS

REFERENCE, INT8, INT8_COPY, INT8_SLOW = "fp32", "int8-dynamic", "int8-copy", "int8-slow10"
SHARES = {"fp32-slow3": 0.03, "fp32-slow5": 0.05, "fp32-slow10": 0.10, "fp32-slow20": 0.20}  # of the arm's own time, on top
COPIES = {PLACEBO: REFERENCE, INT8_COPY: INT8}  # a second load of the same artefact: whatever it differs by is noise


def _slowed(name: str, of: str, share: float) -> Variant:
    return Variant(name, (*VARIANTS[of].steps, Step("slowed", {"share": share})), about=f"{of}, {share:.0%} slower by busy work")


def variants() -> dict[str, Variant]:
    """Arm → variant, for the arms that have an artefact of their own; `COPIES` are loaded from these."""
    plain = {name: VARIANTS[name] for name in (REFERENCE, INT8)}
    slow = {name: _slowed(name, REFERENCE, share) for name, share in SHARES.items()}
    return plain | slow | {INT8_SLOW: _slowed(INT8_SLOW, INT8, 0.10)}
