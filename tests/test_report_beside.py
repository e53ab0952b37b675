"""The table of a run with --against: in what the sides differ, and each case now against there."""

from dataclasses import replace

from runs import INFO, make_run, verdict

from vlmgate.report import markdown, terminal
from vlmgate.report.beside import columns, sides
from vlmgate.report.terminal import significant
from vlmgate.spec import Against, Estimate, Other, Outcome, Question, Run

THERE = {"commit": "", "python": "3.11.9", "versions": {"torch": "2.12.0", "transformers": "5.23.0"}}


def compared(metric: str, question: Question, low: float, centre: float, high: float) -> object:
    found = verdict("m/int8/d", metric, question, Outcome.PASS, estimate=Estimate(centre, low, high, 6, 0.95, "t"))
    return replace(found, against=Against.BASELINE)


def beside(**info: object) -> Run:
    """Speed, size and CIDEr of one case against another environment, and a verdict that is against the reference."""
    judged = (
        compared("time_per_caption", Question.LATENCY, 0.9, 1.25, 1.5),
        compared("size", Question.SIZE, 1.0, 1.0, 1.0),
        compared("cider", Question.QUALITY, 0.98, 0.98, 0.98),
        verdict("m/int8/d", "peak_memory", Question.MEMORY, Outcome.PASS),
    )
    return make_run(other=Other("~/old", {**THERE, **info}), verdicts=judged)


def test_what_differs_between_the_sides_is_named() -> None:
    assert sides(beside()) == "against ~/old: torch 2.12.0 → 2.13.0"
    assert sides(beside(commit="c" * 40, versions=INFO["versions"])) == "against ~/old: the same commit and libraries"
    assert sides(beside(commit="d" * 40, versions=INFO["versions"])) == "against ~/old: commit dddddddddd → cccccccccc"
    shared = "against ~/old (its code with the libraries of this side): torch 2.12.0 → 2.13.0"
    assert sides(beside(own_libraries=False)) == shared and sides(beside(own_libraries=True)) == sides(beside())
    assert sides(make_run()) == ""


def test_every_case_is_a_line_of_ratios() -> None:
    assert columns(beside(), significant) == (
        ("now ÷ there", "speed", "size", "CIDEr"),
        [("m/int8/d", "1.25 (0.900 to 1.50)", "1.00", "0.980")],
    )
    assert columns(make_run(), significant)[1] == []
    unknown = compared("time_per_caption", Question.LATENCY, 0.0, 1.0, float("inf"))
    assert columns(replace(beside(), verdicts=(unknown,)), significant)[1] == [("m/int8/d", "1.00 (not known)")]  # type: ignore[arg-type]


def test_both_reports_show_them_and_neither_does_without_another_side() -> None:
    for render in (lambda run: terminal.render(run, colour=False), markdown.render):
        assert "against ~/old: torch" in render(beside()).replace("\\~", "~") and "1.25 (0.900 to 1.50)" in render(beside())
        assert "now ÷ there" not in render(make_run())
