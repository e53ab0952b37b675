"""Going on from a run that was stopped: what is taken over, and when it is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sessions import DIES, LATENCY, MEMORY, SECONDS, SLOW, Made, Place, arms, verdicts

from vlmgate.record import read_run, write_run
from vlmgate.record.raw import NO_BLOCK, Call, read_raw, write_raw
from vlmgate.running import Session
from vlmgate.spec import Run, VlmgateError

SELECTED = {SLOW: (LATENCY, MEMORY), DIES: (LATENCY,)}


@pytest.fixture
def stopped(place: Place, made: Callable[..., Made], tmp_path: Path) -> Path:
    """The run.json of a session that was interrupted in its fourth block, as `keep` left it: nobody could finish it."""

    def interrupt(line: str) -> None:
        if "block 4 of 6" in line:
            raise KeyboardInterrupt

    made(SECONDS)
    folder = tmp_path / "stopped"
    folder.mkdir()
    run = place.session(SELECTED, interrupt, folder=folder)
    with pytest.raises(KeyboardInterrupt):
        run.measure()
    return folder / "run.json"


def resumed(place: Place, stopped: Path, **more: Any) -> Session:
    (stopped.parent.parent / "new").mkdir(exist_ok=True)
    return place.session(SELECTED, folder=stopped.parent.parent / "new", resume=stopped, **more)


def test_what_is_written_after_each_block_is_a_run(stopped: Path) -> None:
    run = read_run(stopped)
    assert run.status == "interrupted" and len(run.blocks) == 3 and not run.verdicts
    assert read_raw(stopped.parent) == []  # made-up answers have no calls, but the file is there


def test_a_resumed_run_measures_only_what_is_missing(place: Place, made: Callable[..., Made], stopped: Path) -> None:
    answers = made(SECONDS)
    run = resumed(place, stopped)
    run.measure()
    assert answers.jobs == {"prepare": 1, "block": 3}  # no memory, and three of six blocks
    assert arms(run) == {"fp32": 6, "slow": 6, "dies": 6, "placebo": 6}
    done = run.finish("new")
    assert done.status == "complete" and verdicts(done, SLOW)["time_per_caption"].estimate is not None
    assert done.notes == ("resumed from stopped: 3 blocks, the captions of 0 and the memory of 2 cases are from there",)


def test_calls_that_a_worker_left_behind_are_taken_over(place: Place, made: Callable[..., Made], stopped: Path) -> None:
    made(SECONDS)
    lost = [Call("tiny/scenes", 0, "look", NO_BLOCK, 0, "warm-up", None, None, "fp32", 0.5)]
    write_raw(lost, stopped.parent)
    run = resumed(place, stopped)
    run.measure()
    assert run.calls == lost


def test_a_resumed_run_equals_one_that_was_never_stopped(place: Place, made: Callable[..., Made], stopped: Path) -> None:
    made(SECONDS)
    whole = place.session(SELECTED)
    whole.measure()
    run = resumed(place, stopped)
    run.measure()
    assert run.blocks == whole.blocks and run.finish("one").verdicts == whole.finish("one").verdicts


def test_the_engine_is_known_only_once_a_case_is_prepared(place: Place, made: Callable[..., Made], stopped: Path) -> None:
    made(SECONDS)
    run = read_run(stopped)
    cases = [replace(case, engine="x86") for case in run.cases]
    write_run(replace(run, cases=tuple(cases)), stopped.parent)
    again = resumed(place, stopped)
    again.measure()
    assert len(again.blocks) == 6


def other_isa(run: Run) -> Run:
    return replace(run, environment=replace(run.environment, key={**run.environment.key, "isa": "abacus"}))


def other_version(run: Run) -> Run:
    info = {**run.environment.info, "versions": {**run.environment.info["versions"], "torch": "0.4"}}
    return replace(run, environment=replace(run.environment, info=info))


def other_settings(run: Run) -> Run:
    cases = [replace(case, settings=replace(case.settings, rounds=77)) for case in run.cases]
    return replace(run, cases=tuple(cases))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_isa, "isa: abacus against"),
        (other_version, "torch: 0.4 against"),
        (other_settings, "tiny/slow/scenes: rounds: 77 against 2"),
        (lambda run: replace(run, suite="0" * 64), "suite.yaml was changed"),
        (lambda run: replace(run, tier="full"), "tier: full against smoke"),
        (lambda run: replace(run, datasets={"scenes": "0" * 64}), "the images of scenes were changed"),
        (lambda run: replace(run, cases=tuple(replace(c, recipe={}) for c in run.cases)), "the recipe was changed"),
        (lambda run: replace(run, cases=tuple(replace(c, checkpoint="x") for c in run.cases)), "has other weights now"),
    ],
)
def test_what_was_measured_under_other_conditions_is_refused_by_name(
    place: Place, made: Callable[..., Made], stopped: Path, change: Callable[[Run], Run], words: str
) -> None:
    made(SECONDS)
    write_run(change(read_run(stopped)), stopped.parent)
    with pytest.raises(VlmgateError, match=r"run stopped cannot be resumed: .*without --resume") as error:
        resumed(place, stopped).measure()
    assert words in str(error.value)


def test_a_failure_stays_one(place: Place, made: Callable[..., Made], tmp_path: Path) -> None:
    """Else resuming would wash a crash away."""
    made(SECONDS, {"block": ["dies"]})
    folder = tmp_path / "failed"
    folder.mkdir()
    run = place.session(SELECTED, folder=folder)
    run.measure()
    made(SECONDS)
    again = resumed(place, folder / "run.json")
    again.measure()
    assert again.records[DIES].failure == run.records[DIES].failure and again.failures == run.failures
    assert arms(again)["dies"] == 0
