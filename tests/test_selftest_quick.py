"""The short proof: every check has the one line it must meet, and the real session sees the changes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from project import ROOT, Project
from sessions import Made

from vlmgate.models import MODELS
from vlmgate.running import Options
from vlmgate.selftest import quick
from vlmgate.spec import Against, Model, Outcome, Question, Verdict, VlmgateError
from vlmgate.suite import reference_of

SMALL = replace(quick.SETTINGS, images=4, timed_images=2, new_tokens=4, max_tokens=8)


def seen(check: quick.Check, outcome: Outcome) -> quick.Seen:
    return quick.Seen(
        check, Verdict("c", check.metric, check.question, Against.REFERENCE, outcome, f"a sentence on {check.name}")
    )


def test_every_check_is_a_case_with_one_line_against_the_reference() -> None:
    suite = quick.suite_of(MODELS["scene-blip"], ROOT, quick.CHECKS)
    reference, *cases = suite.tiers[quick.TIER].cases
    assert [case.variant for case in cases] == [check.variant for check in quick.CHECKS]
    for case, check in zip(cases, quick.CHECKS, strict=True):
        assert reference_of(case, suite.tiers[quick.TIER].cases) is reference  # the second copy too, which has no steps
        (line,) = suite.thresholds_for(case.id)
        assert (line.metric, line.against) == (check.metric, Against.REFERENCE) and case.questions == (check.question,)
        assert check.question in reference.questions
    assert [check.must_fail for check in quick.CHECKS].count(False) == 1


def test_a_gate_that_is_blind_or_cries_wolf_is_wrong() -> None:
    same, slow = quick.CHECKS[:2]
    for check, outcome, right in (
        (same, Outcome.PASS, True),
        (same, Outcome.UNRESOLVED, True),
        (same, Outcome.FAIL, False),
        (slow, Outcome.FAIL, True),
        (slow, Outcome.UNRESOLVED, False),
        (slow, Outcome.PASS, False),
        (slow, Outcome.SKIP, False),
    ):
        assert seen(check, outcome).right is right
    table = quick.checks_table([seen(same, Outcome.FAIL), seen(slow, Outcome.FAIL)])
    assert [list(row[1:]) for row in table.rows] == [["not fail", "fail", "WRONG"], ["fail", "fail", "right"]]
    assert table.notes[1] == f"a sentence on {slow.name}"


def test_repeated_runs_are_counted_and_kept(tmp_path: Path) -> None:
    same, slow = quick.CHECKS[:2]
    once = quick.outcomes_of([seen(same, Outcome.PASS), seen(slow, Outcome.FAIL)])
    cells = {row[0]: row[2] for row in quick.repeated_table([once, once, {slow.name: "unresolved"}]).rows}
    assert str(cells[same.name]).startswith("0.0 % (0.0 to 84.2, 0 of 2)") and "2 of 3" in str(cells[slow.name])
    assert quick.read_log(tmp_path / "none") == []
    (tmp_path / "bad").write_text("words\n", encoding="utf-8")
    with pytest.raises(VlmgateError, match="is no log of live runs"):
        quick.read_log(tmp_path / "bad")


def test_the_session_sees_an_inflated_artefact_and_a_hog(tiny_model: Model, project: Project) -> None:
    options = Options(project.root, project.root / "cache")
    said: list[str] = []
    found = quick.run_checks(tiny_model, options, (Question.SIZE, Question.MEMORY), said.append, settings=SMALL)
    assert [one.verdict.metric for one in found] == ["size", "peak_memory"] * 2
    assert [one.verdict.outcome for one in found] == [Outcome.FAIL] * 4
    assert all("misses its floor" in one.verdict.sentence for one in found[:2])
    assert [one.verdict.against for one in found[2:]] == [Against.BASELINE] * 2 and all(
        quick.SINCE in one.name for one in found[2:]
    )
    assert said[-1] == "promoted without the changes"  # nothing was timed, so no force was needed


def test_a_busy_machine_ends_in_time_with_what_was_cut(tiny_model: Model, project: Project, made: Callable[..., Made]) -> None:
    made({"fp32": 1.0, "placebo": 1.0, "copy": 1.0, "slow20": 1.2})
    said: list[str] = []
    options = Options(project.root, project.root / "cache", within=0.0)  # all of it gone before timing began
    found = quick.run_checks(tiny_model, options, (Question.LATENCY,), said.append, settings=SMALL)
    same, slow = found[:2]
    assert same.verdict.outcome is slow.verdict.outcome is Outcome.UNRESOLVED
    assert [one.right for one in found] == [True, False] * 2
    assert "tiny/scenes: the time budget of 0 s ended after 0 of 6 blocks; left open: copy, slow20" in said


@pytest.mark.slow
def test_the_short_proof_holds_on_the_model_that_ships(tmp_path: Path) -> None:
    found = quick.run_checks(MODELS["scene-blip"], Options(ROOT, tmp_path))
    assert [one.check for one in found] == 2 * list(quick.CHECKS) and all(one.right for one in found)
