"""What changed since a baseline: every kind of change is a phrase, and nothing else is."""

from dataclasses import replace
from typing import Any

import pytest
from judging import baseline_of, line, record, run_of

from vlmgate.judge import judge_run
from vlmgate.judge.since import changed_between, changed_since, since_phrase
from vlmgate.metrics import METRICS
from vlmgate.spec import Baseline, Environment, Outcome, Run

RECIPE = {"name": "int8", "about": "a", "dtype": "float32", "steps": [{"recipe": "prune", "parameters": {"amount": 0.3}}]}
MADE = {
    "versions": {"python": "3.11.7", "torch": "2.12.0", "pytest": "9.1", "gone": "1"},
    "recipe": RECIPE,
    "checkpoint": "a" * 64,
    "scores": "tokenizer t",
}


def baseline(**changes: Any) -> Baseline:
    entry = {"run": "r0", "made_with": {**MADE, **changes}}
    return replace(baseline_of(record("int8")), commit="c" * 40, history=({"run": "older"}, entry))


def run(versions: dict[str, str] | None = None, dirty: bool = False, commit: str = "c" * 40, **changes: Any) -> Run:
    info = {"python": "3.11.7", "versions": versions or {"torch": "2.12.0", "gone": "1"}, "commit": commit, "dirty": dirty}
    case = record("int8", **{"recipe": RECIPE, "checkpoint": "a" * 64, **changes})
    return replace(run_of(record("fp32"), case), environment=Environment({}, info, "here"))


def test_nothing_changed_is_no_phrase() -> None:
    assert changed_since(baseline(), run()) == []


def other_amount(amount: float) -> dict[str, Any]:
    return {**RECIPE, "steps": [{"recipe": "prune", "parameters": {"amount": amount}}]}


@pytest.mark.parametrize(
    ("now", "phrases"),
    [
        (run({"torch": "2.13.0", "gone": "1"}), ["torch 2.12.0 → 2.13.0"]),
        (run({"torch": "2.12.0", "new": "3"}), ["gone 1 → none", "new none → 3"]),
        (run(commit="d" * 40), ["commit cccccccccc → dddddddddd"]),
        (run(commit="c" * 39 + "d"), [f"commit {'c' * 40} → {'c' * 39}d"]),
        (run(dirty=True), ["commit cccccccccc → cccccccccc-dirty"]),
        (run(checkpoint="b" * 64), ["checkpoint aaaaaaaaaa → bbbbbbbbbb"]),
        (run(recipe=other_amount(0.5)), ["recipe steps[0].parameters.amount 0.3 → 0.5"]),
        (run(recipe={**RECIPE, "about": "other words", "steps": []}),
         ["recipe steps[0].recipe prune → none", "recipe steps[0].parameters.amount 0.3 → none"]),
        (run(engine="x86"), []),  # the baseline is from before it was kept
        (run(signature="tokenizer u"), ["scoring (tokenizer t) → (tokenizer u)"]),
        (run(signature="tokenizer t | scorer 2 | 9 images"), ["scoring (tokenizer t) → (tokenizer t | scorer 2)"]),
    ],
)  # fmt: skip
def test_every_change_is_a_phrase(now: Run, phrases: list[str]) -> None:
    assert changed_since(baseline(), now) == phrases


def test_another_engine_is_a_change() -> None:
    assert changed_since(baseline(engine="onednn"), run(engine="x86")) == ["engine onednn → x86"]


def test_a_sentence_names_the_first_changes_and_counts_the_others() -> None:
    assert since_phrase([]) == ""
    assert since_phrase(["a 1 → 2", "b 1 → 2"]) == "; changed since: a 1 → 2, b 1 → 2"
    assert since_phrase(list("abcdefg")) == "; changed since: a, b, c, d, e and 2 more"


@pytest.mark.parametrize("against", ["baseline", "limit"])
@pytest.mark.parametrize(("size", "outcome"), [(20e6, Outcome.FAIL), (25e6, Outcome.PASS)])
def test_a_line_against_the_baseline_keeps_what_changed_and_says_it_where_it_is_missed(
    against: str, size: float, outcome: Outcome
) -> None:
    """torch alone is other than it was, so that whoever reads the fail looks there first."""
    now = run({"torch": "2.13.0", "gone": "1"})
    then = replace(baseline(), exact={"size": size})
    asked = line("size", against, 0.1 if against == "baseline" else size)
    (found,) = judge_run(now, {"m/int8/d": [asked]}, METRICS, {"m/int8/d": then})
    told = against == "baseline"
    assert found.outcome is outcome and found.since == (("torch 2.12.0 → 2.13.0",) if told else ())
    assert ("; changed since: torch 2.12.0 → 2.13.0; list" in found.sentence) is (told and outcome is Outcome.FAIL)


def test_tools_that_move_no_number_are_left_out() -> None:
    assert changed_since(baseline(versions={**MADE["versions"], "pytest": "8"}), run()) == []


def test_what_an_old_baseline_does_not_hold_is_not_compared() -> None:
    old = replace(baseline_of(record("int8")), commit="", history=())
    assert changed_since(old, run(commit="d" * 40)) == []
    assert changed_since(replace(old, history=({"run": "r"},)), run()) == []


def test_two_runs_are_compared_alike() -> None:
    then, now = run(), run({"torch": "2.13.0", "gone": "1"}, checkpoint="b" * 64)
    assert changed_between(then, then, "m/int8/d") == []
    assert changed_between(then, now, "m/int8/d") == ["torch 2.12.0 → 2.13.0", "checkpoint aaaaaaaaaa → bbbbbbbbbb"]
    assert changed_between(then, now, "m/gone/d") == ["torch 2.12.0 → 2.13.0"]
