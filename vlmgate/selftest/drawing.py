"""The long proof: many runs drawn from the bank for each change on purpose, and how often the gate saw it."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from vlmgate.judge.estimates import across_devices
from vlmgate.judge.evidence import PLACEBO
from vlmgate.judge.levels import FAMILY_ERROR, LOOKS
from vlmgate.selftest.arms import INT8, INT8_COPY, INT8_SLOW, SHARES
from vlmgate.selftest.bank import Bank
from vlmgate.selftest.games import TESTED, Game, Played, cast, play, promote_drawn
from vlmgate.selftest.goals import goals_table
from vlmgate.selftest.noise import RULE, pooled_median, rule_fails
from vlmgate.selftest.rates import Rate, rate
from vlmgate.selftest.tables import Table
from vlmgate.spec import Outcome, Question, VlmgateError
from vlmgate.suite import Suite, Tier, reference_of

SEED = 20_261_127
TOLERANCE = 0.03  # the margin beside "no slower at all"
AGAIN = 6  # A/A runs that make the spread between runs known
BUDGETS = (60.0, 120.0, 300.0)  # seconds
SHIFTS = tuple(percent / 100 for percent in (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30))
FOUND = 0.95
BY_FILES = 5  # first runs of a row whose baselines go through files; the others' are the same, made in memory


@dataclass(frozen=True)
class Row:
    """One game, how its runs ended, and how pytest-benchmark's rule ended on the same blocks."""

    game: Game
    slower: float  # true share by which the variant is slower; 0 for identical code
    played: Sequence[Played]
    one_process: Rate  # RULE flags one process against one before
    six: Rate  # the rounds of six processes pooled against those of six before

    @property
    def fails(self) -> Rate:
        return rate(one.outcome is Outcome.FAIL for one in self.played)


def games(lines: int) -> list[tuple[Game, float]]:
    """Every change on purpose with its true size: identical copies, slowed reference, slowed INT8, and INT8 since a baseline."""
    listed: list[tuple[Game, float]] = []
    for line in (1.0, 1 - TOLERANCE):
        listed.append((Game("FP32, second copy", PLACEBO, line=line, lines=lines), 0.0))
        listed.append((Game("INT8, second copy", INT8_COPY, INT8, line=line, lines=lines), 0.0))
        listed += [(Game(f"FP32 +{share:.0%}", arm, line=line, lines=lines), share) for arm, share in SHARES.items()]
        listed.append((Game("INT8 +10%", INT8_SLOW, INT8, line=line, lines=lines), 0.10))
        shifted = Game("INT8 +20% (copy, log times shifted)", INT8_COPY, INT8, line=line, lines=lines, shift=math.log(1.2))
        listed.append((shifted, 0.20))
    for runs in (0, AGAIN):
        known = "spread between runs measured" if runs else "spread between runs assumed"
        since = Game("", INT8, line=TOLERANCE, lines=lines, promoted=INT8, runs=runs)
        listed.append((replace(since, name=f"INT8 promoted, again ({known})"), 0.0))
        listed.append((replace(since, name=f"INT8 promoted, +10% ({known})", arm=INT8_SLOW), 0.10))
        listed.append((replace(since, name=f"INT8 promoted, +20% ({known})", arm=INT8_COPY, shift=math.log(1.2)), 0.20))
    return listed


def play_all(bank: Bank, game: Game, slower: float, runs: int, seed: int = SEED) -> Row:
    """``runs`` runs of one game. A run draws its blocks without replacement; different runs may share blocks."""
    tested, before = cast(bank, game), cast(bank, replace(game, shift=0.0), game.promoted or game.reference)
    played: list[Played] = []
    single: list[bool] = []
    six: list[bool] = []
    for number, order in enumerate(_orders(len(bank.entries), runs, seed)):
        left = iter(order)
        baselines = promote_drawn(bank, game, before, left, number < BY_FILES) if game.promoted else {}
        played.append(play(bank, game, tested, left, baselines))
        for flags, n in ((single, 1), (six, LOOKS[0])):
            now, then = [tested[i] for i in order[:n]], [before[i] for i in order[n : 2 * n]]
            flags.append(rule_fails(pooled_median(now, TESTED), pooled_median(then, TESTED)))
    return Row(game, slower, played, rate(single), rate(six))


def _orders(blocks: int, runs: int, seed: int) -> Iterator[list[int]]:
    rng = random.Random(seed)
    return (rng.sample(range(blocks), blocks) for _ in range(runs))


def prove(
    bank: Bank, runs: int, lines: int, progress: Callable[[str], None] = lambda line: None
) -> tuple[list[Row], list[Table]]:
    """All games that the bank has blocks for, and the tables. Raises VlmgateError where it has too few for any."""
    listed = [(game, slower) for game, slower in games(lines) if game.needs <= len(bank.entries)]
    if not listed:
        least = min(game.needs for game, _ in games(lines))
        raise VlmgateError(f"the bank holds {len(bank.entries)} blocks; drawing needs {least} or more: go on with `vlmgate bank`")
    rows = []
    for game, slower in listed:
        progress(f"{game.name}, line {game.line:g}: {runs} runs")
        rows.append(play_all(bank, game, slower, runs))
    progress("the smallest slow-down of INT8 that is found")
    return rows, [rates_table(rows, bank), smallest_found(bank, runs, lines), goals_table(rows)]


def rates_table(rows: Sequence[Row], bank: Bank) -> Table:
    """How often each game failed, passed and stayed unresolved, and what it cost, beside pytest-benchmark's rule."""
    head = ["case", "line", "must", "fails", "passes", "open", "blocks", "seconds", "rule, one process", "rule, six"]
    body = [[*_words(row), *_figures(row), row.one_process.brief, row.six.brief] for row in rows]
    blocks, lines = len(bank.entries), rows[0].game.lines
    runs = len(rows[0].played)
    notes = [
        f"{runs} runs a row, {runs * len(rows)} in all, each drawn without replacement from {blocks} real blocks. Different runs"
        f" share blocks (at most {blocks // LOOKS[-1]} of 24 blocks would not), so the 95 % intervals are of the drawing.",
        f"Looks at {', '.join(map(str, LOOKS))} blocks; the family error of {FAMILY_ERROR:.0%} is shared among {lines} noisy"
        " lines; a fail is confirmed by new blocks, which are counted. open: unresolved after all looks.",
        "blocks, seconds to the verdict: median, 95 % quantile. Seconds are those of the drawn blocks less the calls of the arms"
        " that a run of this case alone has not.",
        f"promoted: by the code of `vlmgate promote`, for the first {BY_FILES} runs of a row through its files; a contaminated"
        " run is promoted with force, and is no occasion for the spread between runs.",
        f"rule: pytest-benchmark's own --benchmark-compare-fail={RULE} on the same blocks, the pooled rounds of one process (or"
        " six) against those of one (or six) before.",
    ]
    return Table("Runs drawn from the bank", head, body, notes)


def _words(row: Row) -> list[str]:
    game = row.game
    if game.promoted:
        return [game.name, f"baseline −{game.line:.0%}", "fail" if row.slower > game.line else "not fail"]
    truth = 1 / (1 + row.slower)
    must = "not fail" if truth >= game.line else "fail"
    return [game.name, f"speed-up ≥ {game.line:.2f}×", must]


def _figures(row: Row) -> list[str]:
    ends = [rate(one.outcome is outcome for one in row.played).share for outcome in (Outcome.PASS, Outcome.UNRESOLVED)]
    cost: list[list[float]] = [[one.blocks for one in row.played], [one.seconds for one in row.played]]
    return [row.fails.brief, *(f"{share:.1%}" for share in ends), *(f"{median(x):.0f}, {_high(x):.0f}" for x in cost)]


def _high(values: Sequence[float]) -> float:
    return float(np.quantile(np.asarray(values, dtype=np.float64), 0.95))


def smallest_found(bank: Bank, runs: int, lines: int) -> Table:
    """The smallest slow-down of INT8 against a second INT8 that 95 % of runs find within a budget."""
    shares: dict[float, list[float]] = {budget: [] for budget in BUDGETS}
    for share in SHIFTS:
        row = play_all(bank, Game("", INT8_COPY, INT8, lines=lines, shift=math.log1p(share)), share, runs)
        for budget in BUDGETS:
            in_time = (one.outcome is Outcome.FAIL and one.seconds <= budget for one in row.played)
            shares[budget].append(rate(in_time).share)
    rows = [[f"{budget:.0f} s", crossing(SHIFTS, found), *map("{:.0%}".format, found)] for budget, found in shares.items()]
    head = ["within", f"smallest found in {FOUND:.0%} of runs", *(f"+{share:.0%}" for share in SHIFTS)]
    note = "Made by shifting the log times of the second copy, so the noise is real and the change is not; confirmation included."
    return Table("INT8 against a second INT8: share of runs that find a slow-down", head, rows, [note])


def crossing(sizes: Sequence[float], shares: Sequence[float]) -> str:
    """Where the shares reach `FOUND` for good, between two sizes by a straight line."""
    below = max((i for i, share in enumerate(shares) if share < FOUND), default=-1)
    if below == len(sizes) - 1:
        return f"none up to +{sizes[-1]:.0%}"
    if below < 0:
        return f"+{sizes[0]:.0%} or less"
    part = (FOUND - shares[below]) / (shares[below + 1] - shares[below])
    return f"+{(sizes[below] + part * (sizes[below + 1] - sizes[below])) * 100:.1f}%"


def noisy_lines(suite: Suite, tier: Tier) -> int:
    """How many lines on speed, memory and energy share a family's error in a run of the tier, where all can be measured."""
    noisy = 0
    for case in tier.cases:
        reference = reference_of(case, tier.cases) or case
        for line in suite.thresholds_for(case.id):
            metric, devices = suite.metrics[line.metric], (case.variant.device, reference.variant.device)
            asked = metric.question in case.questions and not across_devices(line, metric, *devices)
            noisy += asked and not metric.exact and metric.question is not Question.QUALITY
    return noisy


def violations(rows: Sequence[Row]) -> list[str]:
    """Rows of identical code that fail more often than the family error allows, by more than chance."""
    aa = [row for row in rows if not row.slower]
    return [f"{row.game.name}: fails {row.fails}" for row in aa if row.fails.interval()[0] > FAMILY_ERROR]
