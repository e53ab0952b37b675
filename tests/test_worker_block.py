"""A block, by a real worker on a tiny model."""

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from jobs import IMAGES, NEW_TOKENS, job

from vlmgate.measure import Answer, run_job
from vlmgate.protocol import Message
from vlmgate.record.environment import WAITING
from vlmgate.worker.block import FIRST_ROUNDS, THROUGHPUT_CALLS
from vlmgate.worker.turns import WARMUP_CALLS, loading_order, schedule, warm_up

SEED, ROUNDS, SIZES = 7, 3, [1, 4]


@pytest.fixture(scope="module")
def block(tricks_folder: Path, tricks: Path, arm: Callable[..., Message]) -> tuple[Answer, list[Message], list[Any]]:
    """One block of reference, spy and placebo: the answer, every message, and every call that the spy saw."""
    calls, heard = tricks_folder / "calls", []  # type: ignore[var-annotated]
    calls.unlink()  # those of the self-check when the artefact was made
    arms = [arm("fp32"), arm("spy"), arm("placebo", "fp32")]
    answer = run_job("block", job(tricks, arms=arms, rounds=ROUNDS, seed=SEED, batches=SIZES), listener=heard.append)
    assert answer.failure is None
    return answer, heard, [json.loads(line) for line in calls.read_text().splitlines()]


def test_a_block_has_a_positive_time_for_every_arm_image_and_round(block: tuple[Answer, Any, Any]) -> None:
    data = block[0].result
    assert data["times"].keys() == data["first_token"].keys() == data["warmup"].keys() == {"fp32", "spy", "placebo"}
    for name, images in data["times"].items():
        assert len(images) == len(IMAGES) and all(len(rounds) == ROUNDS for rounds in images)
        assert len(data["first_token"][name]) == len(IMAGES)
        assert 2 <= len(data["warmup"][name]) <= WARMUP_CALLS
        seconds = [time for rounds in images for time in rounds] + data["first_token"][name] + data["warmup"][name]
        assert all(time > 0 for time in seconds)
    assert len(data["yardstick"]) == ROUNDS and all(time > 0 for time in data["yardstick"])
    timed = sum(time for images in data["times"].values() for rounds in images for time in rounds)
    assert data["measuring"] > timed and data["threads"] == 1
    assert 0 < block[0].startup < block[0].seconds


def test_a_block_takes_the_turns_of_its_schedule_and_announces_them(block: tuple[Answer, list[Message], Any]) -> None:
    stages = [(message["stage"], message["arm"]) for message in block[1] if message["event"] == "stage"]
    for stage in ("loading", "warming"):
        assert [name for word, name in stages if word == stage] == loading_order(SEED, ["fp32", "spy", "placebo"])
    turns = schedule(SEED, ROUNDS, len(IMAGES), ["fp32", "spy", "placebo"])
    assert [name for word, name in stages if word == "timing"] == [name for _, order in turns for name in order]
    ticks = [(message["done"], message["of"]) for message in block[1] if message["event"] == "tick"]
    assert ticks == [(n + 1, ROUNDS * len(IMAGES)) for n in range(ROUNDS * len(IMAGES))]
    assert [message["event"] for message in block[1]].count("result") == 1


def warm_calls(data: Message, arm: str) -> dict[int, list[float]]:
    """The warm-up calls of an arm at each batch size, seconds."""
    return {
        size: [seconds for stage, name, *_, seconds in data["calls"] if stage == f"warming at batch {size}" and name == arm]
        for size in SIZES
    }


def test_every_batch_size_is_warmed_up_until_steady(block: tuple[Answer, Any, Any]) -> None:
    for name in ("fp32", "spy", "placebo"):
        for seconds in warm_calls(block[0].result, name).values():
            assert warm_up(iter(seconds).__next__) == seconds  # by the same rule as before the timed rounds: not one call fewer


def test_timed_calls_generate_exactly_so_many_tokens_without_garbage_collection(block: tuple[Answer, Any, list[Any]]) -> None:
    data, calls = block[0].result, block[2]
    warmed = warm_calls(data, "spy")
    asked = Counter(tuple(call["asked"]) for call in calls)
    assert asked == {
        (NEW_TOKENS, NEW_TOKENS): len(data["warmup"]["spy"])
        + ROUNDS * len(IMAGES)
        + sum(len(seconds) + THROUGHPUT_CALLS for seconds in warmed.values()),
        (1, 1): FIRST_ROUNDS * len(IMAGES),  # the first token alone
    }
    assert {call["shape"][1] for call in calls if call["asked"] == [1, 1]} == {1}
    sizes = Counter(call["shape"][0] for call in calls)
    assert sizes[4] == len(warmed[4]) + THROUGHPUT_CALLS and sum(sizes.values()) == sizes[1] + sizes[4]
    assert not any(call["gc"] for call in calls)


def test_a_block_tells_the_order_of_its_calls(block: tuple[Answer, Any, Any]) -> None:
    drawn = schedule(SEED, ROUNDS, len(IMAGES), ["fp32", "spy", "placebo"])
    assert block[0].result["turns"] == [[image, order] for image, order in drawn]


def test_the_first_token_is_the_median_of_its_rounds_and_takes_less_than_the_caption(block: tuple[Answer, Any, Any]) -> None:
    data = block[0].result
    for name, images in data["first_token_rounds"].items():
        assert data["first_token"][name] == [median(calls) for calls in images]
        assert all(len(calls) == FIRST_ROUNDS for calls in images)
        assert sum(data["first_token"][name]) < sum(median(calls) for calls in data["times"][name])


def test_throughput_is_timed_at_every_batch_size_by_every_arm_in_turn(block: tuple[Answer, list[Message], Any]) -> None:
    data = block[0].result
    assert data["throughput"].keys() == {"fp32", "spy", "placebo"}
    assert all(list(sizes) == ["1", "4"] for sizes in data["throughput"].values())
    assert all(seconds > 0 for sizes in data["throughput"].values() for seconds in sizes.values())
    said = [message["arm"] for message in block[1] if message.get("stage") == "timing at batch 4"]
    assert Counter(said) == dict.fromkeys(("fp32", "spy", "placebo"), THROUGHPUT_CALLS)
    assert all(len(set(said[start : start + 3])) == 3 for start in range(0, len(said), 3))  # not all of one, then all of another


def test_a_block_says_what_it_computed_with(block: tuple[Answer, Any, Any]) -> None:
    data = block[0].result
    assert data["threads"] == 1 and data["affinity"] == sorted(os.sched_getaffinity(0))
    assert data["waiting"]["GOMP_SPINCOUNT"] == WAITING["GOMP_SPINCOUNT"]
    assert data["device_times"] == {}  # there are no events on a CPU
