"""Where the line lies, and what a margin wider than the tolerance does to verdict and change."""

import pytest
from judging import line

from vlmgate.judge.rule import change, decide, goal
from vlmgate.metrics import METRICS
from vlmgate.spec import Better, Change, Estimate, Outcome

SPEED = METRICS["time_per_caption"]


@pytest.mark.parametrize(
    ("metric", "against", "number", "expected"),
    [
        ("time_per_caption", "reference", 1.3, (1.3, Better.HIGHER)),
        ("time_per_caption", "baseline", 0.25, (0.75, Better.HIGHER)),
        ("time_per_caption", "limit", 0.1, (0.1, Better.LOWER)),
        ("size", "baseline", 0.25, (1.25, Better.LOWER)),
        ("cider", "baseline", 0.25, (0.75, Better.HIGHER)),
        ("cider", "limit", 0.9, (0.9, Better.HIGHER)),
    ],
)
def test_where_the_line_lies(metric, against, number, expected):
    assert goal(line(metric, against, number), METRICS[metric]) == expected


def test_a_margin_takes_the_place_of_a_tolerance_and_of_nothing_else():
    assert goal(line("time_per_caption", "baseline", 0.03), SPEED, 0.25) == (0.75, Better.HIGHER)
    assert goal(line("time_per_caption", "reference", 1.3), SPEED, 0.25) == (1.3, Better.HIGHER)


def test_a_loss_within_the_margin_is_no_regression():
    asked, found = line("time_per_caption", "baseline", 0.03), Estimate(0.9, 0.88, 0.92, 6, 0.98, "")
    assert (change(found, asked, SPEED), change(found, asked, SPEED, 0.25)) == (Change.REGRESSED, Change.UNCHANGED)
    assert decide(found, *goal(asked, SPEED)) is Outcome.FAIL
    assert decide(found, *goal(asked, SPEED, 0.25)) is Outcome.PASS
