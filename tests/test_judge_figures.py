"""Figures for reading: units, direction, and what lies too far off to be written out; the evidence keeps every digit."""

import math
import re

import pytest
from judging import baseline_of, blocks, judge, line, record, wobble

from vlmgate.judge.figures import interval, value
from vlmgate.metrics import METRICS
from vlmgate.spec import Estimate

SPEED, PEAK, CIDER = METRICS["time_per_caption"], METRICS["peak_memory"], METRICS["cider"]
THEN = baseline_of(record("int8"), [math.log(1.5) + w for w in wobble(2, sd=2.0)])


@pytest.mark.parametrize(
    ("number", "metric", "against", "words"),
    [
        (1.234567, SPEED, "reference", "1.23×"),
        (999.4, SPEED, "reference", "999×"),
        (1e30, SPEED, "reference", "over 1,000×"),
        (1e-30, SPEED, "reference", "under 0.001×"),
        (math.inf, SPEED, "reference", "over 1,000×"),
        (1.05, SPEED, "baseline", "+5.0%"),
        (11.0, SPEED, "baseline", "+1000.0%"),
        (3e35, SPEED, "baseline", "over +1,000%"),
        (math.inf, METRICS["size"], "baseline", "over +1,000%"),
        (0.0, SPEED, "baseline", "-100.0%"),
        (0.5, PEAK, "reference", "50.0%"),
        (-3e35, PEAK, "reference", "under -1,000%"),
        (12.0, CIDER, "reference", "over 1,000%"),
        (2e8, PEAK, "limit", "200 MB"),
        (0.0123456, SPEED, "limit", "0.01235 s"),
        (math.nan, SPEED, "limit", "undefined"),
    ],
)
def test_values(number, metric, against, words):
    assert value(number, line(metric.name, against, 0.5), metric) == words


def test_an_end_far_from_the_centre_of_a_value_with_a_unit():
    asked = line(SPEED.name, "limit", 0.5)
    assert interval(Estimate(0.1, 1e-9, 1e40, 2, 0.9, ""), asked, SPEED) == " (any lower to any higher, 2 blocks)"
    assert interval(Estimate(0.1, 0.09, 0.2, 6, 0.9, ""), asked, SPEED) == " (0.09 s to 0.2 s, 6 blocks)"
    assert interval(Estimate(0.1, 0.1, 0.1, 6, 1.0, ""), asked, SPEED) == ""


@pytest.mark.parametrize(("metric", "n", "words"), [(SPEED, 1, "1 block"), (PEAK, 1, "1 process"), (PEAK, 3, "3 processes")])
def test_what_was_counted_stands_in_the_singular_and_the_plural(metric, n, words):
    found = Estimate(0.4, 0.3, 0.5, n, 0.9, "")
    assert interval(found, line(metric.name, "reference", 0.5), metric).endswith(f", {words})")


@pytest.mark.parametrize(("against", "number"), [("reference", 1.3), ("baseline", 0.03), ("limit", 0.05)])
def test_two_blocks_that_differ_say_little_in_few_letters_and_lose_no_digit(against, number):
    found = judge(line(SPEED.name, against, number), timed=blocks(1.5, n=2, sd=2.0), baseline=THEN)
    assert not re.search(r"\d{7}|e\+", found.sentence), found.sentence
    assert found.estimate.high > 1e6
