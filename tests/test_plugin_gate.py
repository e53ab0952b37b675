"""Verdicts as outcomes of pytest, without measuring anything."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from runs import make_run

from vlmgate.plugin.gate import UNRESOLVED, Gate
from vlmgate.spec import Against, Outcome, Question, Verdict

CASE = "scene-blip/int8-dynamic/scenes"


def gate(*outcomes: Outcome, strict: bool = False, case: str = CASE) -> Gate:
    verdicts = [
        Verdict(case, f"metric {i}", Question.SIZE, Against.LIMIT, outcome, f"sentence {i} ({outcome})")
        for i, outcome in enumerate(outcomes)
    ]
    config = SimpleNamespace(getoption={"vlmgate_strict": strict}.__getitem__)
    state = SimpleNamespace(run=make_run(verdicts=tuple(verdicts)), config=config, folder=None, untold=0)
    return Gate(state, SimpleNamespace(stash=pytest.Stash()), case, Question.SIZE, None)  # type: ignore[arg-type]


def test_all_passing_passes():
    gate(Outcome.PASS, Outcome.SKIP).check()


def test_every_missed_line_is_named_and_no_other():
    with pytest.raises(pytest.fail.Exception) as caught:
        gate(Outcome.FAIL, Outcome.PASS, Outcome.FAIL, Outcome.UNRESOLVED).check()
    assert str(caught.value) == "sentence 0 (fail)\nsentence 2 (fail)"


def test_a_worker_that_broke_shows_the_last_lines_of_its_log():
    broken = "blip-base/int8-dynamic/scenes"
    held = gate(Outcome.FAIL, case=broken)
    log = "Traceback:\n  File 'a.py'\n\x1b[31mlast words"
    cases = [replace(each, failure=replace(each.failure, log=log)) if each.failure else each for each in held.state.run.cases]
    held.state.run = replace(held.state.run, cases=tuple(cases))
    with pytest.raises(pytest.fail.Exception) as caught:
        held.check()
    assert str(caught.value).splitlines() == [
        *("sentence 0 (fail)", "the last lines of its log:"),
        *("    Traceback:", "      File 'a.py'", "     [31mlast words"),
    ]


def test_unresolved_is_its_own_outcome():
    held = gate(Outcome.PASS, Outcome.UNRESOLVED)
    with pytest.raises(pytest.skip.Exception, match="sentence 1"):
        held.check()
    assert held.item.stash[UNRESOLVED]


def test_unresolved_fails_where_it_must_not_be():
    with pytest.raises(pytest.fail.Exception, match="sentence 1"):
        gate(Outcome.PASS, Outcome.UNRESOLVED, strict=True).check()


def test_a_waived_fail_is_an_expected_one():
    with pytest.raises(pytest.xfail.Exception, match="sentence 1"):
        gate(Outcome.PASS, Outcome.WAIVED).check()


def test_a_waiver_hides_no_other_line():
    with pytest.raises(pytest.fail.Exception, match="sentence 1"):
        gate(Outcome.WAIVED, Outcome.FAIL).check()
    with pytest.raises(pytest.skip.Exception, match="sentence 1"):
        gate(Outcome.WAIVED, Outcome.UNRESOLVED).check()


def test_what_fails_only_for_being_strict_is_counted():
    held = gate(Outcome.UNRESOLVED, strict=True)
    with pytest.raises(pytest.fail.Exception):
        held.check()
    assert held.state.untold == 1


def test_the_same_reason_reads_the_same_in_every_skipped_test():
    """Without case and metric, so that pytest's summary folds them: one line a reason and not one a test."""
    held = gate(Outcome.SKIP, Outcome.SKIP)
    words = f"no baseline yet: promote it with `vlmgate promote run --cases '{CASE}'`"
    skipped = [replace(v, sentence=f"{CASE}: {v.metric} skip: {words}") for v in held.state.run.verdicts]
    held.state.run = replace(held.state.run, verdicts=tuple(skipped))
    with pytest.raises(pytest.skip.Exception) as caught:
        held.check()
    assert str(caught.value) == "no baseline yet: promote it with `vlmgate promote run --cases '*'`"
