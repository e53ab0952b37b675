"""What changed since the baselines is said once, for all cases or for those that it is true of."""

from dataclasses import replace

from runs import make_run, verdict

from vlmgate.report import markdown, terminal
from vlmgate.report.since import since
from vlmgate.spec import Against, Estimate, Other, Outcome, Question, Run, Verdict

TORCH, RECIPE = "torch 2.12.0 → 2.13.0", "recipe steps[0].parameters.amount 0.3 → 0.5"


def judged(variant: str, *phrases: str, metric: str = "size") -> Verdict:
    found = verdict(f"m/{variant}/d", metric, Question.SIZE, Outcome.PASS, estimate=Estimate(1.0, 1.0, 1.0, 1, 1.0, "exact"))
    return replace(found, against=Against.BASELINE, since=phrases)


def run(*verdicts: Verdict) -> Run:
    return make_run(verdicts=(*verdicts, verdict("m/d/e", "size", Question.SIZE, Outcome.PASS)))


def test_what_changed_for_all_is_one_line_and_what_changed_for_some_names_them() -> None:
    made = run(judged("int8", TORCH), judged("int8", TORCH, metric="parameters"), judged("pruned", TORCH, RECIPE))
    assert since(made) == [f"since the baselines: {TORCH}", f"since the baselines of m/pruned/d: {RECIPE}"]
    many = [judged(f"v{i}", TORCH) for i in range(5)]
    assert since(run(judged("int8"), *many)) == [f"since the baselines of m/v0/d, m/v1/d, m/v2/d and 2 more: {TORCH}"]


def test_nothing_is_said_where_nothing_changed_or_the_sides_are_named() -> None:
    assert since(run(judged("int8"))) == since(make_run()) == []
    assert since(replace(run(judged("int8", TORCH)), other=Other("~/old", {}))) == []


def test_both_reports_say_it() -> None:
    made = run(judged("int8", TORCH))
    assert f"\nsince the baselines: {TORCH}\n" in terminal.render(made, colour=False)
    assert f"\nsince the baselines: {TORCH}\n" in markdown.render(made)
