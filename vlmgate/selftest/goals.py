"""What the long proof was to show, beside what the drawn runs gave: one row a goal, met or not."""

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from vlmgate.judge.confirm import CONFIRMING
from vlmgate.judge.levels import LOOKS
from vlmgate.selftest.arms import INT8, SHARES
from vlmgate.selftest.rates import Rate, rate
from vlmgate.selftest.tables import Table
from vlmgate.spec import Outcome

if TYPE_CHECKING:
    from vlmgate.selftest.drawing import Row

BY = LOOKS[1]  # blocks within which +20 % on INT8 is to be found
SHARE, SECONDS = 0.95, 60.0  # of runs that are to find +10 % on FP32, and their median


def within(row: "Row", blocks: int) -> Rate:
    """Runs that failed within so many blocks, those that confirm included."""
    return rate(one.outcome is Outcome.FAIL and one.blocks <= blocks for one in row.played)


def goals_table(rows: Sequence["Row"]) -> Table:
    """The goals that drawn runs can answer; the slowed ones against a line of "no slower at all"."""
    body: list[list[str]] = []
    if same := [row for row in rows if not row.slower]:
        hits = Rate(sum(row.fails.hits for row in same), sum(row.fails.n for row in same))
        body.append(["identical code: no false fail", str(hits), _met(not hits.hits)])
    strict = [row for row in rows if row.game.line == 1.0 and not row.game.promoted]
    for row in (row for row in strict if SHARES.get(row.game.arm) == 0.10):
        seconds = median(one.seconds for one in row.played)
        body.append([f"FP32 +10%: found in {SHARE:.0%}", str(row.fails), _met(row.fails.share >= SHARE)])
        body.append([f"FP32 +10%: median at most {SECONDS:.0f} s", f"{seconds:.0f} s", _met(seconds <= SECONDS)])
    for row in (row for row in strict if row.game.reference == INT8 and row.slower == 0.20):
        for goal, blocks in ((f"by {BY} blocks", BY), (f"by the look at {BY}, and {CONFIRMING} to confirm", BY + CONFIRMING)):
            found = within(row, blocks)
            body.append([f"INT8 +20%: in every run {goal}", str(found), _met(found.hits == found.n)])
    note = f"A fail takes at least {LOOKS[0]} blocks and {CONFIRMING} that confirm it. Slowed code stands at a line of 1.00×."
    return Table("Goals", ["goal", "measured", "met"], body, [note])


def _met(well: bool) -> str:
    return "yes" if well else "no"
