"""Gates without thresholds: what is off fails, what is right says nothing."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from vlmgate.judge.always import SIZE_ERROR, always
from vlmgate.spec import CaseRecord, Failure, Outcome, Question, Settings

SIZE = (Question.SIZE,)


def record(exact: Mapping[str, float], questions: tuple[Question, ...] = SIZE, **more: Any) -> CaseRecord:
    return CaseRecord("m/v/d", "m", "v", "d", "", questions, Settings(), {}, "", exact=exact, **more)


@pytest.mark.parametrize("stored", [100.0, 100.0 + 100.0 * SIZE_ERROR, 99.0])
def test_tensors_within_a_hundredth_of_the_closed_form_are_well(stored: float) -> None:
    assert always(record({"expected_bytes": 100.0, "weight_bytes": stored, "reloads": 1.0, "low_precision_kernels": 1.0})) == []


@pytest.mark.parametrize("stored", [1.02e6, 0.98e6, 1.2e6])
def test_tensors_that_the_recipe_does_not_explain_fail(stored: float) -> None:
    exact = {"expected_bytes": 1e6, "weight_bytes": stored}
    (verdict,) = always(record(exact))
    assert (verdict.metric, verdict.outcome) == ("expected_bytes", Outcome.FAIL)
    assert f"take {stored / 1e6:.3f} MB, {stored / 1e6 - 1:+.1%} off the 1.000 MB of its recipe (limit 1%)" in verdict.sentence
    assert always(record(exact, (Question.LATENCY,))) == []


def test_without_a_closed_form_nothing_is_said() -> None:
    assert always(record({"weight_bytes": 1e6})) == [] == always(record({"expected_bytes": 1e6}))


def test_the_other_promises() -> None:
    broken = {"reloads": 0.0, "low_precision_kernels": 0.0, "bf16_kernels": 0.0, "compiled_graphs": 0.0}
    assert [v.metric for v in always(record(broken))] == list(broken)
    dead = record({}, (Question.SIZE, Question.LATENCY), failure=Failure("v", "timing", "SIGKILL", "killed"))
    assert [(v.metric, v.question) for v in always(dead)] == [("worker", Question.SIZE), ("worker", Question.LATENCY)]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("name", ["reloads", "low_precision_kernels", "bf16_kernels", "expected_bytes", "weight_bytes"])
def test_a_promise_whose_number_is_none_is_not_kept(name: str, value: float) -> None:
    exact = {"reloads": 1.0, "low_precision_kernels": 1.0, "expected_bytes": 1e6, "weight_bytes": 1e6}
    assert always(record(exact)) == []
    (found,) = always(record({**exact, name: value}))
    assert found.outcome is Outcome.FAIL


def test_an_endless_closed_form_is_none() -> None:
    assert [v.metric for v in always(record({"expected_bytes": math.inf, "weight_bytes": 1e6}))] == ["expected_bytes"]
