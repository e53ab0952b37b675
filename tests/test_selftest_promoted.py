"""Promote → next run: real files, the same as in memory, and the run as it was before the changes."""

from dataclasses import replace

import pytest
from banks import bank

from vlmgate.judge import judge_run
from vlmgate.judge.evidence import PLACEBO, TIME
from vlmgate.metrics import METRICS
from vlmgate.record import baselines as files
from vlmgate.selftest.arms import INT8
from vlmgate.selftest.games import Game, cast, run_of
from vlmgate.selftest.promoted import before, in_memory, promoted
from vlmgate.spec import Against, Baseline, Block, Failure, Outcome, Question, Run, Threshold

BANK = bank(100, sd=0.01)
GAME = Game("", INT8)
CASE = "m/under-test/d"


def drawn(name: str, count: int, start: int = 0) -> Run:
    return replace(run_of(BANK, GAME, cast(BANK, GAME)[start : start + count]), name=name)


def undated(baseline: Baseline) -> Baseline:
    history = [{**entry, "promoted": ""} for entry in baseline.history]
    occasions = [{**entry, "recorded": ""} for entry in baseline.occasions]
    return replace(baseline, promoted="", history=tuple(history), occasions=tuple(occasions))


def moved(run: Run) -> Run:
    """The run with a placebo that is none."""
    slow = lambda times: tuple(tuple(1.2 * t for t in rounds) for rounds in times)  # noqa: E731
    return replace(run, blocks=tuple(replace(b, times={**b.times, PLACEBO: slow(b.times[PLACEBO])}) for b in run.blocks))


@pytest.mark.parametrize("change", [lambda run: run, moved], ids=["calm", "contaminated"])
def test_files_and_memory_give_the_same_baselines(change) -> None:  # type: ignore[no-untyped-def]
    run, again = change(drawn("first", 24)), [drawn("a", 12, 24), moved(drawn("b", 12, 36)), drawn("c", 12, 48)]
    made, refused = promoted(run, again)
    known = in_memory(run, again)
    assert {case: undated(one) for case, one in made.items()} == {case: undated(one) for case, one in known.items()}
    assert [entry["run"] for entry in made[CASE].occasions] == ["a", "c"]  # the contaminated one would have been refused
    assert ("contaminated" in refused) is made[CASE].forced is (change is moved)
    assert made[CASE].between_runs == (2 if made[CASE].forced else 3)  # what was forced says nothing of the spread


def test_what_needs_force_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    made, refused = promoted(drawn("short", 12))
    assert "12 blocks of time_per_caption where 24 are needed" in refused
    assert made[CASE].forced and len(made[CASE].blocks[TIME]) == 12


def test_baselines_went_through_files(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = files.read_document
    monkeypatch.setattr(files, "read_document", lambda path, **how: read.append(path.name) or real(path, **how))
    promoted(drawn("first", 24))
    assert read.count("d.json") == 2  # the reference and the case
    read.clear()
    in_memory(drawn("first", 24))
    assert read == []


def changed_run() -> Run:
    """A reference, its copy, and a case that grew, was slowed and died, in six blocks and six that confirm."""
    base, source = run_of(BANK, GAME, ()), BANK.blocks[:12]
    asked = (Question.LATENCY, Question.SIZE, Question.QUALITY)
    clean = replace(
        base.cases[0], questions=asked, exact={"size": 100.0, "parameters": 5.0}, scores={"cider": 1.0}, captions={"1": "a"}
    )
    copy, slow = (
        replace(clean, id=f"m/{name}/d", variant=name, reference=clean.id, exact={}, scores={}, captions={})
        for name in ("copy", "slow")
    )
    slow = replace(slow, exact={"size": 120.0}, scores={"cider": 0.2}, failure=Failure("m/slow/d", "weighing", "crash", "killed"))

    def block(index: int, source: Block) -> Block:
        times = {"fp32": source.times["fp32"], "copy": source.times[PLACEBO], "slow": source.times["fp32-slow20"]}
        if index > 3:
            del times["copy"]  # decided earlier
        return replace(source, times=times, role="look" if index < 6 else "confirm")

    blocks = tuple(block(index, each) for index, each in enumerate(source))
    return replace(base, cases=(clean, copy, slow), blocks=blocks, status="complete")


def test_before_the_changes_every_case_was_as_the_reference_and_timed_as_its_copy() -> None:
    run = changed_run()
    line = Threshold("m/slow/d", "size", Against.REFERENCE, -0.01, "")
    then = before(run, "fp32", "copy", {"m/slow/d": [line]})
    clean, copy, slow = then.cases
    assert (slow.failure, slow.exact, slow.scores, slow.captions) == (None, {"size": 100.0}, {"cider": 1.0}, {})
    assert (copy.exact, copy.scores) == ({}, {}) and clean == run.cases[0]
    assert [set(block.times) for block in then.blocks] == [{"fp32", "copy", "slow"}] * 4 + [{"fp32"}] * 2
    assert all(block.times["slow"] == block.times["copy"] for block in then.blocks[:4])
    assert [verdict.outcome for verdict in then.verdicts] == [Outcome.PASS]


def test_a_changed_run_fails_against_the_one_before() -> None:
    run = replace(changed_run(), cases=tuple(replace(each, failure=None) for each in changed_run().cases))
    baselines, _ = promoted(before(run, "fp32", "copy", {}))
    lines = [Threshold("m/slow/d", "size", Against.BASELINE, 0.01, ""), Threshold("m/slow/d", TIME, Against.BASELINE, 0.03, "")]
    found = {verdict.metric: verdict.outcome for verdict in judge_run(run, {"m/slow/d": lines}, METRICS, baselines)}
    assert found[TIME] is Outcome.FAIL and found["size"] is Outcome.FAIL
