"""The rule on simulated blocks of known truth, many runs at once: coverage, errors, false fails and power.

Every rate calls the functions and constants that the judge calls (``stats.half_widths``, ``judge.levels``); a test holds its
verdicts against `judge_run`. Block values have mean zero, and the line lies at the truth: the worst place for a false verdict.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlmgate.judge.confirm import CONFIRMING
from vlmgate.judge.evidence import PLACEBO, speed_values
from vlmgate.judge.levels import LOOKS, Levels, levels_of
from vlmgate.judge.speed import ASSUMED_SD, PROMOTED_SD
from vlmgate.selftest.bank import Bank
from vlmgate.selftest.rates import Rate
from vlmgate.stats import Array, coverage, half_widths, power

SEED = 20_261_127
PROMOTED = 24  # blocks that the promoted spread rests on; 0: nothing is promoted
CHUNK = 60_000  # rows of blocks held at once
PAIRS = (("int8-copy", "int8-dynamic"), ("int8-dynamic", "fp32"), (PLACEBO, "fp32"))  # of the bank: arm and its reference

Shape = Callable[[np.random.Generator, tuple[int, ...]], Array]
"""Draws block values of mean zero."""


def normal(sd: float) -> Shape:
    return lambda rng, size: rng.normal(0.0, sd, size)


def heavy(sd: float) -> Shape:
    """Student's t on 3 df, scaled."""
    return lambda rng, size: sd * rng.standard_t(3, size)


def modes(share: float, gap: float = 0.08, sd: float = 0.005) -> Shape:
    """Processes of two layout modes, ``gap`` apart; ``share`` of them fall into the upper one."""
    return lambda rng, size: np.where(rng.random(size) < share, gap, 0.0) - gap * share + rng.normal(0.0, sd, size)


def skewed(sd: float) -> Shape:
    """Log-normal with the skewness of 2.3, shifted to mean zero."""
    return lambda rng, size: sd * (rng.lognormal(0.0, 0.6, size) - math.exp(0.18))


def resampled(values: Sequence[float]) -> Shape:
    """Real block values, drawn with replacement and centred: their mean is the truth."""
    centred = np.asarray(values) - np.mean(values)
    return lambda rng, size: rng.choice(centred, size)


SHAPES: Mapping[str, Shape] = {
    "normal": normal(0.03),
    "heavy tails (t, 3 df)": heavy(0.02),
    "two modes, 20 % of blocks 8 % up": modes(0.2),
    "two modes, 20 % of blocks 8 % down": modes(0.8),
    "two modes, half and half": modes(0.5),
    "skewed (log-normal)": skewed(0.03),
}
RARE: Mapping[str, Shape] = {  # beyond what 24 promoted blocks surely meet
    "two modes, 10 % of blocks 8 % up": modes(0.1),
    "two modes, 10 % of blocks 16 % up": modes(0.1, 0.16),
}


def bank_shapes(bank: Bank) -> dict[str, Shape]:
    """The block values of a bank as shapes, for each pair of arms that it holds."""
    arms = set(bank.blocks[0].times) if bank.blocks else set()
    pairs = [pair for pair in PAIRS if arms.issuperset(pair)]
    return {f"bank of {len(bank.blocks)}: {arm} against {to}": resampled(speed_values(bank.blocks, arm, to)) for arm, to in pairs}


@dataclass(frozen=True)
class Rows:
    """Block values (rows, blocks), and the promoted spread of each row (None: nothing promoted)."""

    values: Array
    prior_sd: Array | None

    def half(self, error: float) -> Array:
        """Half-width of each row's interval at a one-sided error, as the judge takes it."""
        if self.prior_sd is None:
            return half_widths(self.values, coverage(error), least_sd=ASSUMED_SD)
        return half_widths(self.values, coverage(error), self.prior_sd, PROMOTED - 1, PROMOTED_SD)

    def fails(self, levels: Levels) -> Array:
        """Rows whose interval lies wholly below the line, zero."""
        return np.asarray(self.values.mean(axis=-1) + self.half(levels.fail) < 0)

    def passes(self, levels: Levels) -> Array:
        return np.asarray(self.values.mean(axis=-1) - self.half(levels.good) >= 0)

    def confirmed(self, fresh: Array, levels: Levels) -> Array:
        """Of rows that fail: whether ``fresh`` blocks (rows, new) confirm it, by their mean and together with the old ones."""
        both = Rows(np.concatenate([self.values, fresh], axis=-1), self.prior_sd)
        return np.asarray((fresh.mean(axis=-1) < 0) & both.fails(levels))

    def first(self, blocks: int, which: Any = slice(None)) -> "Rows":
        return Rows(self.values[which, :blocks], None if self.prior_sd is None else self.prior_sd[which])


def draw(shape: Shape, rng: np.random.Generator, rows: int, blocks: int, promoted: int) -> Rows:
    """Rows of blocks with spreads promoted from other blocks of the same shape."""
    values = shape(rng, (rows, blocks))
    return Rows(values, shape(rng, (rows, promoted)).std(axis=-1, ddof=1) if promoted else None)


@dataclass(frozen=True)
class FalseVerdicts:
    """Over runs of several lines whose truth is on the line: runs with a false fail, before and after confirmation; lines passed.

    Both count any look, though a run may stop before: upper bounds for a judge who stops.
    """

    unconfirmed: Rate
    fail: Rate
    passed: Rate


def false_verdicts(shape: Shape, runs: int, lines: int, promoted: int = PROMOTED, seed: int = SEED) -> FalseVerdicts:
    """What the whole rule (looks × lines × confirmation) says of ``runs`` runs in which nothing is wrong."""
    rng, step, counts = np.random.default_rng(seed), max(CHUNK // lines, 1), np.zeros(3, dtype=int)
    for start in range(0, runs, step):
        size = min(step, runs - start)
        first, failed, passed = _whole_rule(shape, rng, size * lines, promoted, lines)
        counts += [first.reshape(size, lines).any(axis=1).sum(), failed.reshape(size, lines).any(axis=1).sum(), passed.sum()]
    unconfirmed, fail, passed_lines = (int(count) for count in counts)
    return FalseVerdicts(Rate(unconfirmed, runs), Rate(fail, runs), Rate(passed_lines, runs * lines))


def _whole_rule(shape: Shape, rng: np.random.Generator, rows: int, promoted: int, lines: int) -> tuple[Array, Array, Array]:
    """(failed at any look, and confirmed, passed at any look) of each row; a refuted fail is not asked again."""
    drawn = draw(shape, rng, rows, LOOKS[-1], promoted)
    first, failed, passed = (np.zeros(rows, dtype=bool) for _ in range(3))
    for look, blocks in enumerate(LOOKS):
        levels, so_far = levels_of(lines, LOOKS, look), drawn.first(blocks)
        hit = np.flatnonzero(so_far.fails(levels) & ~first)
        first[hit] = True
        failed[hit] = drawn.first(blocks, hit).confirmed(shape(rng, (len(hit), CONFIRMING)), levels)
        passed |= so_far.passes(levels)
    return first, failed, passed


def one_sided(
    shape: Shape, blocks: int, error: float, promoted: int = PROMOTED, draws: int = 100_000, seed: int = SEED
) -> tuple[Rate, Rate]:
    """How often the low end of an interval lies above the truth, and the high end below it; ``error`` is what each should be."""
    rows = draw(shape, np.random.default_rng(seed), draws, blocks, promoted)
    centre, half = rows.values.mean(axis=-1), rows.half(error)
    return Rate(int((centre - half > 0).sum()), draws), Rate(int((centre + half < 0).sum()), draws)


def covered(blocks: int, level: float, kind: str, draws: int = 100_000, seed: int = SEED) -> Rate:
    """How often a two-sided interval on normal blocks holds the truth; ``kind``: raw t, moderated, or held at the promoted sd."""
    rows = draw(normal(0.03), np.random.default_rng(seed), draws, blocks, PROMOTED)
    assert rows.prior_sd is not None
    if kind == "raw":
        half = half_widths(rows.values, level)
    else:
        half = half_widths(rows.values, level, rows.prior_sd, PROMOTED - 1, held=kind == "held")
    return Rate(int((np.abs(rows.values.mean(axis=-1)) <= half).sum()), draws)


def found(
    sd: float, distance: float, blocks: int, error: float, promoted: int, draws: int = 40_000, seed: int = SEED
) -> tuple[float, Rate]:
    """Power as predicted, and as simulated: a truth ``distance`` from the line, on normal blocks at one look."""
    rows = draw(normal(sd), np.random.default_rng(seed), draws, blocks, promoted)
    prior = (rows.prior_sd, promoted - 1) if promoted else (None, 0)
    half = half_widths(rows.values, coverage(error), *prior)
    predicted = power(sd, prior[1], blocks, distance, coverage(error))
    return predicted, Rate(int((rows.values.mean(axis=-1) + distance - half > 0).sum()), draws)
