"""How the arms of a block share workers, and which blocks are still to be measured."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from project import ROOT
from sessions import CUDA, DIES, FP32, LATENCY, SECONDS, SLOW, Made, Place, arms

from vlmgate.measure import Answer, run_job
from vlmgate.running import Session, beside, state
from vlmgate.running.against import Declared, Side

SELECTED = {SLOW: (LATENCY,), DIES: (LATENCY,), CUDA: (LATENCY,)}


def with_backend(run: Session, variant: str, backend: str) -> None:
    """Let a variant of the tier be computed by another runtime."""
    cases = [
        replace(case, variant=replace(case.variant, backend=backend)) if case.variant.name == variant else case
        for case in run.tier.cases
    ]
    run.tier = replace(run.tier, cases=tuple(cases))


def test_a_runtime_with_threads_of_its_own_has_workers_of_its_own_that_alternate(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    run = place.session(SELECTED, blocks=2)
    with_backend(run, "dies", "onnx")
    run.measure()
    torch, other = ["fp32", "slow", "fp16-cuda", "placebo"], ["fp32", "dies", "placebo"]
    assert answers.workers[:4] == [torch, other, other, torch]  # neither is always first
    assert [block.index for block in run.blocks[:4]] == [0, 0, 1, 1]


def test_what_does_not_fit_into_memory_has_workers_of_its_own(
    place: Place, made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlmgate.running.group.free_memory", lambda: 4.1e6 / 0.6)  # twice the reference and two more
    answers = made(SECONDS)
    run = place.session(SELECTED, blocks=2)
    run.measure()
    first, second = ["fp32", "slow", "dies", "placebo"], ["fp32", "fp16-cuda", "placebo"]
    assert answers.workers[:4] == [first, second, second, first]


def test_blocks_that_are_there_are_not_measured_again(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    one = place.session({DIES: (LATENCY,)}, floor=1.0)
    one.measure()
    again = place.session({DIES: (LATENCY,), SLOW: (LATENCY,)}, floor=0.001)
    again.blocks += [block for block in one.blocks if block.index != 2]
    answers.workers.clear()
    again.measure()
    assert arms(again)["dies"] == arms(again)["slow"] == 6
    both, slow = ["fp32", "slow", "dies", "placebo"], ["fp32", "slow", "placebo"]
    assert answers.workers == [slow, slow, both, slow, slow, slow]


def test_a_reference_that_is_asked_itself_is_timed_alone(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    place.session({FP32: (LATENCY,)}).measure()
    assert answers.workers == [["fp32", "placebo"]] * 6


def test_the_time_left_counts_every_worker(place: Place, made: Callable[..., Made]) -> None:
    lines: list[str] = []
    answers = made(SECONDS)
    run = place.session(SELECTED, lines.append, blocks=2)
    with_backend(run, "dies", "onnx")
    now = [0.0]
    run.clock.now = run.tell.now = lambda: now[0]
    run.clock.began = 0.0
    answers.pass_time = lambda: now.__setitem__(0, now[0] + 10)
    run.measure()
    left = [line.partition("about ")[2] for line in lines if "block" in line and "of 2" in line and "confirm" not in line]
    assert left == ["", "30 s left", "20 s left", "10 s left"]
    assert any("workers timed in" in line for line in lines)


@pytest.fixture
def silent(tmp_path: Path) -> str:
    """A Python that never says a word."""
    path = tmp_path / "silent"
    path.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("there", [False, True])
def test_a_silent_worker_of_either_side_ends_with_the_budget(
    place: Place, made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch, silent: str, there: bool
) -> None:
    """Its block is dropped, nobody is blamed, and what was cut is said. It is a real one; all others are made up."""
    answers = made(SECONDS)
    run = place.session({SLOW: (LATENCY,)}, blocks=6, time_budget=0.5, against="old" if there else None)
    run.options = replace(run.options, patience=20.0, python="python" if there else silent)
    models, variants = ({case.id: getattr(case, what) for case in run.tier.cases} for what in ("model", "variant"))
    monkeypatch.setattr(beside, "open_side", lambda *_: Side("old", silent, (), ROOT))
    monkeypatch.setattr(beside, "ask", lambda *_: Declared(models, variants, (), {"commit": "", "python": "", "versions": {}}))

    def job(do: str, given: Mapping[str, Any], **more: Any) -> Answer:
        return run_job(do, given, **more) if do == "block" and more["python"] == silent else answers(do, given, **more)

    monkeypatch.setattr(state, "run_job", job)
    run.measure()
    assert run.status == "complete" and not run.failures
    assert len(run.blocks) == there  # made up, before the silent one's turn
    assert run.notes == ["tiny/scenes: the time budget of 0.5 s ended after 0 of 6 blocks; left open: slow"]
