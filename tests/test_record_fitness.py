"""Fitness: each reason alone makes a case unfit, and a clean case has none. Promotion itself: test_record_baselines.py."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from record_samples import ENVIRONMENT, make_run, record, verdict

from vlmgate.record.baselines import load_baselines, promote
from vlmgate.record.fitness import LEAST_BLOCKS, other_than, unfit, unlike
from vlmgate.spec import Failure, Outcome, Question

VALUES = {"time_per_caption": (0.1, 0.2) * (LEAST_BLOCKS // 2)}


def test_a_clean_case_is_fit() -> None:
    run = make_run()
    assert unfit(run, run.cases[1], VALUES, None) == []


@pytest.mark.parametrize(
    ("run", "values", "phrase"),
    [
        ({"status": "interrupted"}, VALUES, "the run is interrupted"),
        ({"verdicts": (verdict("blip/int8/scenes", Outcome.FAIL),)}, VALUES, "fail speedup against reference"),
        ({"verdicts": (verdict("blip/int8/scenes", Outcome.UNRESOLVED),)}, VALUES, "unresolved speedup against reference"),
        ({"verdicts": (verdict("blip/int8/scenes", Outcome.WAIVED),)}, VALUES, "waived speedup against reference"),
        ({}, {"time_per_caption": VALUES["time_per_caption"][1:]}, "23 blocks of time_per_caption where 24 are needed"),
        ({}, {}, "0 blocks of time_per_caption where 24 are needed, which --top-up measures"),
        ({}, {**VALUES, "energy_per_caption": (3.0,)}, "1 blocks of energy_per_caption where 24 are needed"),
    ],
)
def test_each_reason_is_a_phrase(run: dict[str, Any], values: dict[str, tuple[float, ...]], phrase: str) -> None:
    made = make_run(**run)
    (found,) = unfit(made, made.cases[1], values, None)
    assert found.startswith(phrase)


def test_a_case_that_is_not_asked_for_its_time_needs_no_block() -> None:
    run = make_run(record("int8", questions=(Question.SIZE, Question.MEMORY)))
    assert unfit(run, run.cases[0], {}, None) == []


def test_skips_and_verdicts_of_others_do_not_count() -> None:
    run = make_run(verdicts=(verdict("blip/int8/scenes", Outcome.SKIP), verdict("blip/fp32/scenes", Outcome.FAIL)))
    assert unfit(run, run.cases[1], VALUES, None) == []


def test_a_crash_is_named_once() -> None:
    run = make_run(record("int8", failure=Failure("int8", "loading", "SIGSEGV", "crashed"), questions=(Question.SIZE,)))
    assert unfit(run, run.cases[0], {}, None) == ["SIGSEGV while loading"]


def test_another_reference_makes_another_thing_of_a_speed(tmp_path: Path) -> None:
    run = make_run()
    case = run.cases[1]
    promote(run, tmp_path, cases=["*/int8/*"], reason="", force=True, block_values={case.id: VALUES})
    held = load_baselines(tmp_path, ENVIRONMENT)[case.id]
    assert held.reference == case.reference == "blip/fp32/scenes" and other_than(run, case, held) == []
    moved = replace(case, reference="blip/onnx/scenes")
    phrase = "reference (blip/fp32/scenes then, blip/onnx/scenes now)"
    assert other_than(run, moved, held) == [phrase] and f"it was measured with other {phrase}" in unlike(run, moved, VALUES, held)
    assert other_than(run, moved, replace(held, reference=None)) == [], "a file from before it was kept"
    promote(replace(run, cases=(moved,)), tmp_path, cases=None, reason="", force=True, block_values={case.id: VALUES})
    assert load_baselines(tmp_path, ENVIRONMENT)[case.id].history[-1]["other"] == [phrase]
