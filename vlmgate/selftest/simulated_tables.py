"""Tables of the simulated rates, with what each was to be and whether it is."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from vlmgate.judge.confirm import CONFIRMING
from vlmgate.judge.levels import FAMILY_ERROR, LOOKS, PASS_ERROR
from vlmgate.judge.speed import ASSUMED_SD, PROMOTED_SD
from vlmgate.metrics import scores
from vlmgate.selftest.rates import Rate
from vlmgate.selftest.simulated import PROMOTED, RARE, SHAPES, Shape, covered, false_verdicts, found, one_sided
from vlmgate.selftest.tables import Table
from vlmgate.stats import Array, bootstrap_ratio, permutation_p

BLOCKS = (3, 4, 6, 8, 12, 16, 20, 24)
ERRORS = (0.05, 0.01, 0.0033)
SDS, DISTANCES = (0.01, 0.02, 0.03, 0.045, 0.06), (0.01, 0.02, 0.04, 0.06, 0.1)
MOST_FALSE = 0.0125  # upper 95 % bound of the share of runs with a false fail
KINDS = ("raw", "moderated", "held")
IMAGES, DRAWS = 1_000, 10_000  # of the timed bootstrap and permutation

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Says nothing."""


def tables(scale: float, bank: Mapping[str, Shape], lines: int, say: Say = silent) -> list[Table]:
    """All tables; ``scale`` 1 is 40,000 runs of ``lines`` noisy lines, 100,000 intervals a cell and 40,000 a cell of power."""
    shapes = {**SHAPES, **bank}
    steps: dict[str, Callable[[], Table]] = {
        "coverage": lambda: coverage_table(int(100_000 * scale)),
        "one-sided errors": lambda: error_table({**shapes, **RARE}, int(100_000 * scale)),
        "false verdicts": lambda: rule_table({**shapes, **RARE}, int(40_000 * scale), lines),
        "power": lambda: power_table(int(40_000 * scale)),
    }
    made = []
    for name, make in steps.items():
        say(name)
        made.append(make())
    return made


def coverage_table(draws: int) -> Table:
    """Two-sided coverage on normal blocks."""
    rows = [
        [kind, f"{level:.0%}", *(f"{covered(blocks, level, kind, draws).share:.2%}" for blocks in BLOCKS)]
        for kind in KINDS
        for level in (0.9, 0.95, 0.99)
    ]
    note = f"held: the spread is never below the promoted one; {_within(0.95, draws)}."
    return Table(f"Coverage on normal blocks, {PROMOTED} promoted", ["interval", "nominal", *map(str, BLOCKS)], rows, [note])


def error_table(shapes: Mapping[str, Shape], draws: int, blocks: tuple[int, ...] = (3, *LOOKS)) -> Table:
    """Error of the worse end of the judge's interval, as a multiple of what it should be."""
    rows = [
        [name, f"{error:.2%}", known, *(f"{_worse(one_sided(shape, n, error, promoted, draws)) / error:.2f}" for n in blocks)]
        for name, shape in shapes.items()
        for error in ERRORS
        for known, promoted in (("promoted", PROMOTED), (f"assumed {ASSUMED_SD:.0%}", 0))
    ]
    note = f"Worse of the two ends; {_within(ERRORS[-1], draws, ERRORS[-1])}. The judge looks at 6, 12 and 24 blocks, never at 3."
    return Table("Error of one end ÷ nominal", ["blocks are", "nominal", "spread", *map(str, blocks)], rows, [note])


def rule_table(shapes: Mapping[str, Shape], runs: int, lines: int) -> Table:
    """False verdicts of the whole rule."""
    rows = []
    for name, shape in shapes.items():
        for known, promoted in (("promoted", PROMOTED), (f"assumed {ASSUMED_SD:.0%}", 0)):
            seen = false_verdicts(shape, runs, lines, promoted)
            held = "yes" if seen.fail.interval()[1] <= MOST_FALSE else "no"
            rows.append([name, known, str(seen.unconfirmed), str(seen.fail), held, f"{seen.passed.share:.2%}"])
    head = [
        "blocks are",
        "spread",
        "false fail, unconfirmed",
        "false fail",
        f"bound ≤ {MOST_FALSE:.2%}",
        "false pass a line",
    ]
    notes = [
        f"Each run has {lines} independent lines whose truth is on the line, looks at {', '.join(map(str, LOOKS))} blocks, and "
        f"{CONFIRMING} new blocks for each fail; the bound is the upper end of the 95 % interval. Promised: {FAMILY_ERROR:.0%} "
        f"a run for `fail`, {PASS_ERROR:.0%} a line for `pass`."
    ]
    return Table(f"False verdicts of the whole rule, {runs:,} runs", head, rows, notes)


def power_table(draws: int, blocks: int = 6, error: float = 0.01) -> Table:
    """Power as predicted and as simulated."""
    rows, apart = [], 0.0
    for promoted in (0, PROMOTED):
        for sd in SDS:
            cells = [found(sd, distance, blocks, error, promoted, draws) for distance in DISTANCES]
            apart = max(apart, *(abs(said - seen.share) for said, seen in cells))
            rows.append([promoted, f"{sd:.1%}", *(f"{said:.1%} / {seen.share:.1%}" for said, seen in cells)])
    head = ["promoted", "sd", *(f"{distance:.0%} away" for distance in DISTANCES)]
    least = f"Without the least spreads of the judge ({PROMOTED_SD:.1%}, {ASSUMED_SD:.0%})."
    note = f"Largest difference: {100 * apart:.2f} points. {least}"
    return Table(f"Power predicted / simulated, {blocks} blocks, error {error:.0%}", head, rows, [note])


def resampling_seconds() -> dict[str, float]:
    """Wall time of the paired bootstrap and permutation of BLEU-4: 10,000 draws over 1,000 images each."""
    rng = np.random.default_rng(0)
    rows = rng.uniform(1, 12, (IMAGES, len(scores.FIELDS)))
    worse = rows.copy()
    worse[:, :4] *= rng.random((IMAGES, 4))

    def bleu(stats: Array, counts: Array) -> Array:
        return scores.corpus(stats, counts)["bleu_4"]

    taken = {}
    for name, draw in (
        ("bootstrap", lambda: bootstrap_ratio(worse, rows, bleu, level=0.95, draws=DRAWS)),
        ("permutation", lambda: permutation_p(worse, rows, bleu, draws=DRAWS)),
    ):
        start = time.perf_counter()
        draw()
        taken[name] = time.perf_counter() - start
    return taken


def _worse(ends: tuple[Rate, Rate]) -> float:
    return max(end.share for end in ends)


def _within(share: float, draws: int, unit: float = 0.01) -> str:
    """Half of the Monte-Carlo interval at ``share``, in points or as a multiple of ``unit``."""
    low, high = Rate(round(share * draws), draws).interval()
    half = (high - low) / 2 / unit
    return f"{draws:,} draws a cell, ± {half:.2f}" + (f" at {share:.2%}" if unit != 0.01 else f" points at {share:.0%}")
