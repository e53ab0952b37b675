"""Stored runs: judged again through JSON they give the same verdicts, field by field; what promotion takes of them."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judging import CASE, baseline_of, blocks, confirming, line, record, run_of, statistics
from project import Done, Project

from vlmgate.datasets import DATASETS
from vlmgate.judge import judge_run
from vlmgate.judge.energy import energy_values
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.record import load_baselines, promote, read_run, write_run
from vlmgate.report import terminal, write_reports
from vlmgate.report.compare import compare_runs
from vlmgate.running.stored import block_values, changes, contaminated_cases, rejudged
from vlmgate.spec import Block, Outcome, Run, Verdict
from vlmgate.suite import load_suite
from vlmgate.variants import VARIANTS


def test_judged_again_through_json_every_field_is_the_same(project: Project, first: Done, tmp_path: Path) -> None:
    suite = load_suite(project.root / "benchmarks" / "suite.yaml", MODELS, VARIANTS, DATASETS, METRICS)
    stored = first.run
    assert stored.verdicts
    again = rejudged(replace(stored, verdicts=()), suite, {})
    assert again.verdicts == stored.verdicts
    assert read_run(write_run(again, tmp_path)) == stored


def test_a_run_without_timing_is_judged_without(project: Project, first: Done) -> None:
    suite = load_suite(project.root / "benchmarks" / "suite.yaml", MODELS, VARIANTS, DATASETS, METRICS)
    untimed = replace(first.run, blocks=())
    words = "tiny/int8-dynamic/scenes: time_per_caption skipped: timing is switched off (--benchmark-disable)"
    marked = replace(untimed, verdicts=(replace(first.run.verdicts[0], sentence=words),))
    assert words in [verdict.sentence for verdict in rejudged(marked, suite, {}).verdicts]
    assert words not in [verdict.sentence for verdict in rejudged(untimed, suite, {}).verdicts]


def test_block_values_are_against_the_reference_and_of_a_reference_against_the_yardstick() -> None:
    found = block_values(run_of(record("fp32"), record("int8"), timed=blocks(1.5, 6)))
    assert {case: sorted(values) for case, values in found.items()} == {
        "m/fp32/d": ["energy_per_caption", "placebo", "time_per_caption"],
        "m/int8/d": ["energy_per_caption", "time_per_caption"],
    }
    assert all(len(block) == 6 for values in found.values() for block in values.values())
    assert sum(found["m/int8/d"]["time_per_caption"]) / 6 == pytest.approx(0.405465, abs=1e-6)  # ln 1.5
    assert found["m/int8/d"]["energy_per_caption"] == energy_values(blocks(1.5, 6), "int8")
    assert block_values(run_of(record("fp32"), record("int8"))) == {}


def test_energy_below_the_idle_power_is_not_promoted() -> None:
    below = [replace(block, energy=block.energy | {"int8": -1.0}) for block in blocks(1.5, 6)]
    found = block_values(run_of(record("fp32"), record("int8"), timed=below))
    assert "energy_per_caption" not in found["m/int8/d"] and "energy_per_caption" in found["m/fp32/d"]


def energy_since(now: float, then: Path) -> Verdict:
    """The verdict on energy of int8 at a speed-up of ``now`` against the baselines in ``then``."""
    timed = blocks(now, 6)
    run = run_of(record("fp32"), record("int8"), timed=[*timed, *confirming(timed)])
    lines = {CASE: [line("energy_per_caption", "baseline", 0.2)]}
    (found,) = judge_run(run, lines, METRICS, load_baselines(then, run.environment))
    return found


def test_energy_is_promoted_and_judged_against(tmp_path: Path) -> None:
    """Joules go with seconds here, so that a case two thirds as fast takes half as much again."""
    assert "promote a run that measured it" in no_energy(tmp_path / "without").sentence
    run = run_of(record("fp32"), record("int8"), timed=blocks(1.5, 24))
    promote(run, tmp_path, cases=None, reason="", force=False, block_values=block_values(run))
    assert energy_since(1.5, tmp_path).outcome is Outcome.PASS
    assert energy_since(1.0, tmp_path).outcome is Outcome.FAIL


def no_energy(root: Path) -> Verdict:
    """The same where no block of the promoted run measured energy."""
    run = run_of(record("fp32"), record("int8"), timed=[replace(block, energy={}) for block in blocks(1.5, 24)])
    assert all("energy_per_caption" not in values for values in block_values(run).values())
    promote(run, root, cases=None, reason="", force=False, block_values=block_values(run))
    return energy_since(1.5, root)


def test_a_placebo_that_moved_is_said_of_every_timed_case() -> None:
    quiet, moved = (run_of(record("fp32"), record("int8"), timed=blocks(1.5, 6, placebo=p)) for p in (1.0, 1.1))
    assert contaminated_cases(quiet, {}) == {}
    assert set(contaminated_cases(moved, {})) == {"m/fp32/d", "m/int8/d"}


def test_changes_leave_the_commit_aside() -> None:
    made = {"versions": {"torch": "1"}, "recipe": {}, "checkpoint": "c"}
    baseline = replace(baseline_of(record("int8")), history=({"run": "r", "made_with": made},))
    run = run_of(record("fp32"), record("int8", checkpoint="d"))
    info = {"commit": "e" * 40, "versions": {"torch": "1"}}
    run = replace(run, environment=replace(run.environment, info=info))
    assert changes(run, {"m/int8/d": baseline}) == {"m/int8/d": ["checkpoint c → d"]}


BROKEN = {
    "a time": lambda run: replace(run, blocks=(spoiled(run.blocks[0], int8=math.nan), *run.blocks[1:])),
    "a time of the reference": lambda run: replace(run, blocks=(spoiled(run.blocks[0], fp32=math.inf), *run.blocks[1:])),
    "a time of the placebo": lambda run: replace(run, blocks=(spoiled(run.blocks[0], placebo=0.0), *run.blocks[1:])),
    "a size": lambda run: with_case(run, exact={"size": math.nan}),
    "a peak": lambda run: with_case(run, memory={"peak_memory": (math.inf,)}),
    "a score": lambda run: with_case(run, scores={"cider": math.inf, "bleu_4": math.nan}),
    "a statistic": lambda run: with_case(run, quality=statistics() | {"0": (math.nan,) * 13}),
    "joules": lambda run: replace(run, blocks=tuple(replace(b, energy={"int8": math.nan}) for b in run.blocks)),
}


def spoiled(block: Block, **seconds: float) -> Block:
    return replace(block, times={**block.times, **{arm: ((s, s, s), (0.1, 0.1, 0.1)) for arm, s in seconds.items()}})


def with_case(run: Run, **changes: Any) -> Run:
    return replace(run, cases=(run.cases[0], replace(run.cases[1], **changes)))


@pytest.mark.parametrize("what", BROKEN)
def test_a_number_that_is_none_in_a_stored_run_passes_no_line_and_crashes_no_command(what: str, tmp_path: Path) -> None:
    """The run is written and read again, judged, shown, compared and weighed for promotion."""
    numbers = {"time_per_caption": 1.3, "energy_per_caption": 0.2, "peak_memory": 0.4, "size": 0.7, "cider": 0.9, "bleu_4": 0.9}
    limits = {"time_per_caption": 1.0, "energy_per_caption": 1e9, "peak_memory": 1e9, "size": 1e9, "cider": 0.1, "bleu_4": 0.1}
    asked = {CASE: [line(m, "reference", n) for m, n in numbers.items()] + [line(m, "limit", n) for m, n in limits.items()]}
    whole = run_of(record("fp32"), record("int8"), timed=blocks(1.5))
    run = read_run(write_run(BROKEN[what](whole), tmp_path))
    good, found = (judge_run(each, asked, METRICS, {}) for each in (whole, run))
    assert {verdict.outcome for verdict in good} == {Outcome.PASS}
    hit = [verdict for verdict in found if verdict.outcome is not Outcome.PASS]
    assert hit and all(verdict.outcome is Outcome.UNRESOLVED and verdict.estimate is None for verdict in hit)
    shared = "reference" in what or "placebo" in what  # which the verdicts on energy look at too
    assert len({verdict.question for verdict in hit}) == (2 if shared else 1)
    judged = replace(run, verdicts=found)
    assert terminal.render(judged, colour=False) and len(write_reports(judged, tmp_path)) > 0
    assert compare_runs(whole, judged, {})
    assert block_values(judged) is not None and contaminated_cases(judged, {}) == {}
