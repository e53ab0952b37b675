"""The roofline: the least time that operations and bytes allow on a machine whose ceilings were measured.

Source: Williams, Waterman, Patterson, "Roofline: an insightful visual performance model for multicore architectures",
Communications of the ACM 52 (4), 2009, https://doi.org/10.1145/1498765.1498785
"""

from collections.abc import Iterable, Mapping
from typing import Any

BANDWIDTH = "bandwidth"  # key of the bytes a second among the ceilings; all others are operations a second


def floor_seconds(phases: Iterable[Mapping[str, Any]], ceilings: Mapping[str, float]) -> float | None:
    """Seconds a call that ``ceilings`` (type → operations a second, `BANDWIDTH` → bytes a second) allow at best.

    Each phase has ``times``, ``operations`` (type → number each time) and ``bytes`` (read each time). Arithmetic and reading may
    overlap within a phase, phases may not. None where a ceiling is not known, or there is no phase.
    """
    total = 0.0
    for phase in phases:
        if any(not ceilings.get(kind) for kind in (*phase["operations"], BANDWIDTH)):
            return None
        arithmetic = sum(number / ceilings[kind] for kind, number in phase["operations"].items())
        total += phase["times"] * max(arithmetic, phase["bytes"] / ceilings[BANDWIDTH])
    return total or None
