"""Two runs side by side: what is compared, what is not and why, and the text."""

import math
from dataclasses import replace
from typing import Any

import pytest
from judging import FP32, blocks, record, run_of

from vlmgate.report.compare import compare_runs, pairs
from vlmgate.spec import Environment, Run, Settings

INT8 = "m/int8/d"


def run(name: str, speed_up: float = 1.5, key: dict[str, Any] | None = None, **changes: Any) -> Run:
    case = record("int8", **changes)
    made = run_of(record("fp32"), case, timed=blocks(speed_up, 24, placebo_sd=0.002))
    return replace(made, name=name, environment=Environment(key or {}, {"versions": {"torch": name}}, "here"))


def test_speed_is_the_ratio_of_the_speed_ups_with_an_interval() -> None:
    reference, int8 = pairs(run("a"), run("b", 1.2), {})
    assert (reference.case, int8.case) == (FP32, INT8)
    assert int8.speed and int8.speed.centre == pytest.approx(1.2 / 1.5)
    assert int8.speed.low < int8.speed.centre < int8.speed.high < 1
    assert reference.speed and reference.speed.low < 1 < reference.speed.high
    half = math.log(int8.speed.high / int8.speed.centre)
    assert half > 1.96 * math.sqrt(2) * 0.02  # two runs may differ by so much


def test_size_memory_scores_and_captions() -> None:
    captions = dict(record("int8").captions) | {"3": "a blue cube"}
    then, now = run("a"), run("b", exact={"size": 50e6}, memory={"peak_memory": (3e8, 1e8)}, captions=captions)
    found = pairs(then, now, {})[1]
    assert (found.size, found.memory) == (2.0, 1.0)
    assert found.captions == {"3": ("a red cube", "a blue cube")} and found.images == 40
    assert found.scores and found.scores["cider"][0] == found.scores["cider"][1]
    text = compare_runs(then, now, {})
    assert "+100.00%" in text and "1 of 40" in text and "m/int8/d image 3: 'a red cube' → 'a blue cube'" in text
    assert "between them: torch a → b" in text


def test_another_environment_compares_no_times() -> None:
    text = compare_runs(run("a", key={"isa": "avx2"}), run("b", key={"isa": "amx"}), {})
    found = pairs(run("a", key={"isa": "avx2"}), run("b", key={"isa": "amx"}), {})[1]
    assert (found.speed, found.memory, found.size) == (None, None, 1.0) and found.captions == {}
    assert "the environments differ (isa: avx2 against amx), so times and memory are not compared" in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"settings": Settings(threads=1)}, "other threads (2 then, 1 now)"), ({"skip": "no GPU"}, "b: no GPU")],
)
def test_what_cannot_be_compared_says_why(changes: dict[str, Any], why: str) -> None:
    found = pairs(run("a"), run("b", **changes), {})[1]
    assert found.why == why and found.speed is None and found.captions is None
    assert f"not compared: {why}" in compare_runs(run("a"), run("b", **changes), {})


def test_other_images_and_cases_of_one_run_only() -> None:
    then, now = run("a"), replace(run("b"), datasets={"d": "other"})
    assert pairs(then, now, {})[1].why == "other image files (sha256)"
    alone = replace(now, cases=now.cases[:1], datasets=then.datasets)
    assert [(p.case, p.why) for p in pairs(then, alone, {})] == [(FP32, ""), (INT8, "only in a")]
    assert pairs(alone, then, {})[1].why == "only in a"
    lines = compare_runs(then, alone, {}).splitlines()
    assert lines[-1] == f"not compared: only in a: {INT8}" and not any(line.startswith(INT8) for line in lines)


def test_a_run_beside_itself_has_not_changed() -> None:
    text = compare_runs(run("a"), run("a"), {})
    assert "nothing that was recorded has changed" in text and "1.000 (" in text and "0 of 40" in text


def test_a_time_that_is_none_is_not_compared() -> None:
    now = run("b")
    first = now.blocks[0]
    broken = replace(now, blocks=(replace(first, times={**first.times, "int8": ((math.nan,), (0.1,))}), *now.blocks[1:]))
    reference, int8 = pairs(run("a"), broken, {})
    assert int8.speed is None and reference.speed is not None
    assert compare_runs(run("a"), broken, {})
