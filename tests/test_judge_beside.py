"""The other side as a baseline: sizes, peaks, scores and captions of its cases, and what it was made with."""

from dataclasses import replace
from pathlib import Path

from judging import CASE, line, record, run_of

from vlmgate.judge import beside, judge_run
from vlmgate.judge.beside import baselines_beside, side_name
from vlmgate.judge.since import changed_since
from vlmgate.metrics import METRICS
from vlmgate.spec import Environment, Other, Outcome


def test_without_another_side_there_is_none() -> None:
    assert baselines_beside(run_of(record("int8"))) == {}


def test_sizes_are_held_against_the_other_side_and_not_against_promoted_ones() -> None:
    then = record("int8", exact={"size": 20e6}, checkpoint="b" * 64)
    run = run_of(record("fp32"), record("int8"))
    info = {"versions": {"torch": "2"}, "python": "3.11", "commit": "d" * 40}
    run = replace(run, environment=Environment({}, info, "here"))
    other = Other("main", {"commit": "c" * 40, "python": "3.11", "versions": {"torch": "1"}}, (then, record("gone")))
    run = replace(run, other=other)
    found = baselines_beside(run)
    assert set(found) == {CASE}
    assert changed_since(found[CASE], run) == [
        "torch 1 → 2",
        f"checkpoint {'b' * 10} → c",
        "commit cccccccccc → dddddddddd",
    ]
    (verdict,) = judge_run(run, {CASE: [line("size", "baseline", 0.01)]}, METRICS, {})
    assert verdict.outcome is Outcome.FAIL and "+25.0%" in verdict.sentence and "against main" in verdict.sentence


def test_what_a_commit_shares_with_this_side_is_said_in_one_place() -> None:
    assert side_name("HEAD", own_libraries=True) == "HEAD"
    assert side_name("HEAD", own_libraries=False) == "HEAD (its code with the libraries of this side)"
    sources = Path(beside.__file__).parents[1].rglob("*.py")
    holding = [path.name for path in sources if "with the libraries of this side" in path.read_text(encoding="utf-8")]
    assert holding == ["beside.py"]
