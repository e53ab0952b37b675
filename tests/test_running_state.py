"""Who is blamed for a failure, and what an interrupt leaves."""

from collections.abc import Callable
from typing import Any

import pytest
from sessions import ALL, DIES, FP32, LATENCY, SECONDS, SLOW, Made, Place, records, verdicts

from vlmgate.measure import Answer
from vlmgate.spec import Failure, Outcome, Run
from vlmgate.variants import VARIANTS, recipe


def test_an_interrupted_session_gives_what_was_measured(place: Place) -> None:
    def interrupt(line: str) -> None:
        if "captioning" in line:
            raise KeyboardInterrupt

    run = place.session({SLOW: ALL}, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.measure()
    done = run.finish("cut")
    assert done.status == "interrupted" and not done.blocks
    assert records(done)[SLOW].exact["parameters"] > 1000
    found = verdicts(done, SLOW)
    assert found["parameters"].outcome is Outcome.PASS
    assert found["time_per_caption"].outcome is found["agreement"].outcome is Outcome.UNRESOLVED


def test_a_reference_that_dies_fails_its_group(broken: Run) -> None:
    (failure,) = broken.failures
    assert failure.arm in ("fp32", "placebo")  # two copies of one artefact, whichever was warmed up first
    assert (failure.stage, failure.kind) == ("warming", "SIGSEGV")
    assert broken.status == "complete" and not broken.blocks
    assert records(broken)[FP32].failure == records(broken)[SLOW].failure == failure
    found = verdicts(broken, SLOW)
    assert found["time_per_caption"].outcome is Outcome.FAIL and "SIGSEGV" in found["time_per_caption"].sentence


def test_an_interrupt_keeps_the_blocks_already_measured(place: Place, made: Callable[..., Made]) -> None:
    def interrupt(line: str) -> None:
        if "block 4 of 6" in line:
            raise KeyboardInterrupt

    made(SECONDS)
    run = place.session({DIES: (LATENCY,)}, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.measure()
    done = run.finish("stopped")
    assert done.status == "interrupted" and len(done.blocks) == 3
    assert verdicts(done, DIES)["time_per_caption"].estimate is not None


def test_building_and_compiling_may_be_silent_for_longer(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[tuple[str, float]] = []
    answers, found = Made(SECONDS), dict[str, float]()

    def watch(do: str, job: Any, **more: Any) -> Answer:
        waits.append((do, more["patience"]))
        answer = answers(do, job, **more)
        for data in answer.arms.values() if do == "prepare" else ():
            data["exact"] |= found
        return answer

    monkeypatch.setattr("vlmgate.running.state.run_job", watch)
    run = place.session({SLOW: (LATENCY,)}, blocks=2)
    run.measure()
    assert set(waits) == {("prepare", 480.0), ("block", 120.0)}
    waits.clear()
    found["compile_seconds"] = 30.0
    run = place.session({SLOW: (LATENCY,)}, blocks=2)
    run.measure()
    assert set(waits) == {("prepare", 480.0), ("block", 480.0)}


def test_a_variant_under_the_compiler_compiles() -> None:
    """Which is what its ``compile_seconds`` come from."""

    def compiles(name: str) -> bool:
        return any(getattr(recipe(step.recipe), "COMPILES", False) for step in VARIANTS[name].steps)

    assert compiles("torchao-int8-dynamic-compile") and not compiles("torchao-int8-dynamic")


def test_a_memory_limit_reaches_the_workers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []

    def refuse(do: str, job: object, **more: Any) -> Answer:
        limits.append(more["memory_limit"])
        return Answer(failure=Failure("", "starting", "MemoryError", "out of memory"))

    monkeypatch.setattr("vlmgate.running.state.run_job", refuse)
    place.session({SLOW: (LATENCY,)}, memory_limit=10**9).measure()
    assert limits == [10**9]
