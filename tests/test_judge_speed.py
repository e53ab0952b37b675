"""Speed since the baseline: the spread between runs widens the interval and, once measured, the margin."""

import math
from dataclasses import replace

import pytest
from judging import baseline_of, blocks, judge, line, record, run_of, wobble

from vlmgate.judge.evidence import Evidence
from vlmgate.judge.speed import (
    ASSUMED_SD,
    BETWEEN_RUN_SD,
    CONTAMINATED,
    LEAST_RUNS,
    PROMOTED_SD,
    between_runs,
    doubt,
    footing,
    margin,
)
from vlmgate.spec import Change, Outcome
from vlmgate.stats import Prior

INT8 = record("int8")
THEN = baseline_of(INT8, [math.log(1.5) + w for w in wobble(24, turn=4)])
SINCE = line("time_per_caption", "baseline", 0.03)


def with_spread(sd, runs=LEAST_RUNS):
    return replace(THEN, between_sd=sd, between_runs=runs)


def test_the_spread_between_runs_is_assumed_until_enough_runs_have_measured_it():
    assert between_runs(THEN) == between_runs(None) == (BETWEEN_RUN_SD, math.inf)
    assert between_runs(with_spread(0.001, LEAST_RUNS - 1)) == (BETWEEN_RUN_SD, math.inf)
    assert between_runs(with_spread(0.001)) == (0.001, LEAST_RUNS - 1)
    assert between_runs(with_spread(math.nan)) == (BETWEEN_RUN_SD, math.inf)


@pytest.mark.parametrize(("sd", "runs", "wide"), [(0.001, 5, 0.03), (0.05, 4, 0.03), (0.05, 5, -math.expm1(-0.1))])
def test_the_margin_is_the_larger_of_the_tolerance_and_twice_the_measured_spread(sd, runs, wide):
    assert margin(SINCE, with_spread(sd, runs)) == pytest.approx(wide)
    assert judge(SINCE, timed=blocks(), baseline=with_spread(sd, runs)).margin == pytest.approx(wide)


def test_a_loss_is_seen_sooner_where_runs_are_known_to_agree():
    slower = {"timed": blocks(1.4, n=24)}
    assert judge(SINCE, **slower, baseline=THEN).outcome is Outcome.UNRESOLVED
    found = judge(SINCE, **slower, baseline=with_spread(0.001))
    assert (found.outcome, found.change) == (Outcome.FAIL, Change.REGRESSED)


def test_a_margin_wider_than_what_the_line_is_to_catch_is_said():
    said = judge(SINCE, timed=blocks(1.4, n=24), baseline=with_spread(0.05)).sentence
    assert "margin of 9.5% (twice the spread between runs; the tolerance of 3.0% is smaller)" in said
    assert "more than half of the 6.0% which this line is meant to catch" in said
    patient = replace(SINCE, catch=0.3)
    assert "meant to catch" not in judge(patient, timed=blocks(1.4, n=24), baseline=with_spread(0.05)).sentence


def test_a_margin_is_kept_with_lines_against_the_baseline_only():
    assert judge(line("time_per_caption", "reference", 1.3), timed=blocks()).margin is None
    assert judge(line("size", "baseline", 0.1), baseline=THEN).margin == 0.1


@pytest.mark.parametrize(("prior", "least"), [(None, ASSUMED_SD), (Prior(0.01, 23), PROMOTED_SD)])
@pytest.mark.parametrize(("what", "meter"), [("time", "clock"), ("energy", "meter")])
def test_speed_and_energy_rest_on_the_same_footing(prior, least, what, meter):
    steady, moved = (
        Evidence(run_of(record("fp32"), INT8, timed=blocks(placebo=shift)), INT8, record("fp32"), None) for shift in (1.0, 1.1)
    )
    assert footing(steady, (0.1, 0.2), prior, what, meter) == (least, "")
    assert footing(moved, (0.1, 0.2), prior, what, meter) == (least, CONTAMINATED)
    equal = footing(steady, (0.1, 0.1), prior, what, meter)
    assert equal[0] == least
    assert equal[1] == ("" if prior else doubt((0.1, 0.1), None, what, meter)) and (
        prior or f"the same {what}, which no {meter}" in equal[1]
    )
