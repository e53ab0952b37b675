"""The goals of the long proof: each is answered from its rows, and one that is missed says no."""

import math

from vlmgate.selftest.arms import INT8, INT8_COPY
from vlmgate.selftest.drawing import Row
from vlmgate.selftest.games import Game, Played
from vlmgate.selftest.goals import goals_table, within
from vlmgate.selftest.rates import Rate
from vlmgate.spec import Outcome


def row(game: Game, slower: float, *played: tuple[Outcome, int, float]) -> Row:
    return Row(game, slower, [Played(outcome, blocks, seconds) for outcome, blocks, seconds in played], Rate(0, 1), Rate(0, 1))


def answers(*rows: Row) -> dict[str, tuple[str, str]]:
    return {str(goal): (str(measured), str(met)) for goal, measured, met in goals_table(rows).rows}


TENTH, FIFTH = Game("", "fp32-slow10"), Game("", INT8_COPY, INT8, shift=math.log(1.2))
SAME = Game("", INT8_COPY, INT8)


def test_goals_that_are_met() -> None:
    fails = [(Outcome.FAIL, 12, 50.0)] * 20
    found = answers(row(SAME, 0.0, (Outcome.PASS, 6, 40.0)), row(TENTH, 0.1, *fails), row(FIFTH, 0.2, *fails))
    assert len(found) == 5 and {met for _, met in found.values()} == {"yes"}
    assert found["FP32 +10%: median at most 60 s"][0] == "50 s"


def test_goals_that_are_missed() -> None:
    fifth = row(FIFTH, 0.2, (Outcome.FAIL, 12, 50.0), (Outcome.FAIL, 18, 80.0), (Outcome.UNRESOLVED, 12, 70.0))
    found = answers(
        row(SAME, 0.0, (Outcome.FAIL, 12, 40.0), (Outcome.PASS, 6, 40.0)),
        row(TENTH, 0.1, (Outcome.UNRESOLVED, 24, 90.0), (Outcome.FAIL, 12, 61.0)),
        fifth,
    )
    assert len(found) == 5 and {met for _, met in found.values()} == {"no"}
    assert (within(fifth, 12), within(fifth, 18)) == (Rate(1, 3), Rate(2, 3))
    assert [words for words, _ in found.values()][-2:] == [str(Rate(1, 3)), str(Rate(2, 3))]


def test_a_margin_and_a_baseline_are_other_questions() -> None:
    margin = row(Game("", "fp32-slow10", line=0.97), 0.1, (Outcome.FAIL, 12, 50.0))
    since = row(Game("", INT8_COPY, promoted=INT8, line=1.0), 0.2, (Outcome.FAIL, 12, 50.0))
    assert answers(margin, since) == {}
