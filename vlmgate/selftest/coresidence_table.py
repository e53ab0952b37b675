"""The table of `docs/coresidence.py`, and its result in one sentence: what sharing a worker moves, with its interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlmgate.judge.evidence import PLACEBO
from vlmgate.selftest.blocklog import Entry
from vlmgate.selftest.coresidence import SPEED_UP, TIME, pairs_of
from vlmgate.selftest.tables import Table
from vlmgate.spec import Estimate
from vlmgate.stats import Array, Prior, line_level, t_interval

ERROR = 0.05  # that any of the judged intervals misses, all variants together
LEAST = 3  # pairs of a variant that make an interval
RATIOS = (SPEED_UP, PLACEBO)  # which are judged; seconds of two processes never are, so they are shown only


@dataclass(frozen=True)
class Change:
    """What a block says of a variant, alone and together (means of logarithms), and the interval on their difference."""

    variant: str
    what: str
    alone: float
    together: float
    moved: Estimate

    @property
    def found(self) -> bool:
        """Whether the interval excludes no change at all."""
        return not self.moved.low <= 0 <= self.moved.high

    @property
    def most(self) -> float:
        """The upper end of the interval on how much is moved, whichever way, as a share."""
        return max(abs(math.expm1(end)) for end in (self.moved.low, self.moved.high))


def changes(entries: Sequence[Entry], variants: Sequence[str]) -> list[Change]:
    """Three for each variant with enough pairs.

    The interval is a moderated t on the differences within pairs. Nothing is promoted of these, so the spread that it is drawn to
    is that of the other differences of the same kind: of all ratios (speed-ups and placebos), or of the reference's times.
    """
    columns: dict[tuple[str, str], Array] = {}
    for variant in variants:
        pairs = pairs_of(entries, variant)
        for what in (*RATIOS, TIME) if len(pairs) >= LEAST else ():
            columns[variant, what] = np.array([[entry.values[what] for entry in pair] for pair in pairs])
    level = 1 - line_level(ERROR, sum(what in RATIOS for _, what in columns))
    found = []
    for (variant, what), values in columns.items():
        like = [name for name in columns if name != (variant, what) and (name[1] in RATIOS) == (what in RATIOS)]
        moved = t_interval(_within(values), level, pooled([_within(columns[name]) for name in like]))
        alone, together = values.mean(axis=0)
        found.append(Change(variant, what, float(alone), float(together), moved))
    return found


def _within(values: Array) -> Array:
    """The differences within pairs (n,), of values (n, 2)."""
    return values[:, 1] - values[:, 0]


def pooled(rows: Sequence[Array]) -> Prior | None:
    """One spread of several rows of values, each about its own mean; None without any row."""
    df = sum(len(row) - 1 for row in rows)
    return Prior(math.sqrt(sum(float(np.var(row)) * len(row) for row in rows) / df), df) if df else None


def sentence(found: Sequence[Change], neighbours: Sequence[int]) -> str:
    """The result: what is moved, and beyond which share nothing else is; ``neighbours``: how many each variant had."""
    judged = [change for change in found if change.what in RATIOS]
    if not judged:
        return f"Nothing can be said yet: it takes {LEAST} pairs of a variant."
    count = " to ".join(str(number) for number in sorted({min(neighbours), max(neighbours)}))
    moved = [f"{_name(change)} by {_percent(change.moved)}" for change in judged if change.found]
    still = [change.most for change in judged if not change.found]
    rest = f"nothing {'else ' if moved else ''}beyond {100 * max(still):.1f} %" if still else ""
    return f"Sharing a worker with {count} other variants moves {'; '.join(filter(None, [', '.join(moved), rest]))}."


def coresidence_table(entries: Sequence[Entry], variants: Sequence[str]) -> Table:
    """Each variant's figures alone and together, what sharing moves, and the result in a sentence below."""
    found, rows, notes, counts = changes(entries, variants), [], [], []
    for variant in variants:
        pairs = pairs_of(entries, variant)
        mine = [change for change in found if change.variant == variant]
        if not mine:
            notes.append(f"{variant}: {len(pairs)} pairs, too few")
            continue
        company = [arm for arm in pairs[-1][1].arms if arm not in pairs[-1][0].arms]
        counts.append(len(company))
        notes.append(f"Beside {variant}: {', '.join(company)}.")
        rows += [[variant, change.what, *_levels(change), _percent(change.moved), len(pairs)] for change in mine]
    busy = [entry.others for variant in variants for pair in pairs_of(entries, variant) for entry in pair if entry.others >= 0]
    notes += [f"Other programs used {max(busy):.2f} cores at most, {np.median(busy):.2f} in the median block."] if busy else []
    return Table(
        "A variant in a worker of its own, and sharing one (interval: 95 % for all speed-ups and placebos at once)",
        ["variant", "", "alone", "together", "together ÷ alone", "pairs"],
        rows,
        [sentence(found, counts), *notes],
    )


def _name(change: Change) -> str:
    return f"the speed-up of {change.variant}" if change.what == SPEED_UP else f"the placebo beside {change.variant}"


def _levels(change: Change) -> list[str]:
    """Geometric means of both sides: ratios, or milliseconds."""
    ends = [math.exp(value) for value in (change.alone, change.together)]
    return [f"{1000 * end:.1f} ms" if change.what == TIME else f"{end:.3f}×" for end in ends]


def _percent(moved: Estimate) -> str:
    centre, low, high = (100 * math.expm1(value) for value in (moved.centre, moved.low, moved.high))
    return f"{centre:+.1f} % ({low:+.1f} to {high:+.1f})"
