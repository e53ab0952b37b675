"""A block, by a real worker on a tiny model."""

import json
import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest
from fake_cuda import FakeCuda, pretend
from fake_nvml import FakeNvml
from fake_powercap import set_counter, write_powercap
from jobs import IMAGES, NEW_TOKENS, in_this_process, job

from vlmgate.measure import Answer, run_job
from vlmgate.meters import find_meter, nvml
from vlmgate.protocol import Message
from vlmgate.record.environment import WAITING
from vlmgate.report.gpu import remarks
from vlmgate.running.group import block_of
from vlmgate.spec import Block
from vlmgate.worker import block as blocks
from vlmgate.worker import energy
from vlmgate.worker.block import FIRST_ROUNDS, THROUGHPUT_CALLS
from vlmgate.worker.clock import Clock
from vlmgate.worker.turns import WARMUP_CALLS, loading_order, schedule, warm_up

SEED, ROUNDS, SIZES = 7, 3, [1, 4]


@pytest.fixture(scope="module")
def block(tricks_folder: Path, tricks: Path, arm: Callable[..., Message]) -> tuple[Answer, list[Message], list[Any]]:
    """One block of reference, spy and placebo: the answer, every message, and every call that the spy saw."""
    calls, heard = tricks_folder / "calls", []  # type: ignore[var-annotated]
    calls.unlink()  # those of the self-check when the artefact was made
    arms = [arm("fp32"), arm("spy"), arm("placebo", "fp32")]
    answer = run_job(
        "block", job(tricks, arms=arms, rounds=ROUNDS, seed=SEED, batches=SIZES, affinity="pin"), listener=heard.append
    )
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
    for stage in ("loading", "preparing images", "warming"):
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
    assert data["threads"] == 1 and data["affinity"] == sorted(os.sched_getaffinity(0))[:1]  # it was to be pinned
    assert data["waiting"]["GOMP_SPINCOUNT"] == WAITING["GOMP_SPINCOUNT"]
    assert data["device_times"] == {}  # there are no events on a CPU


class Machine:
    """A counter of energy, and a clock that moves only when this machine idles or an arm is called: half a second a call."""

    IDLE, CALLED = 10.0, {"fp32": 40.0, "placebo": 40.0, "int8": 24.0}  # watts, of the calls above the idle ones
    HELD = 30.0  # more while a model is loaded, as on a GPU that keeps its clocks up

    def __init__(self, folder: Path) -> None:
        self.powercap, self.now, self.joules = write_powercap(folder, {"intel-rapl:0": "package-0"}), 0.0, 0.0
        self.loaded = False

    def idle(self, seconds: float) -> None:
        self.spend(seconds, self.IDLE + (self.HELD if self.loaded else 0.0))

    def spend(self, seconds: float, watts: float) -> None:
        self.now += seconds
        self.joules += seconds * watts
        set_counter(self.powercap, "intel-rapl:0", round(self.joules * 1e6))

    def hear(self, message: Message) -> None:
        self.loaded |= message.get("stage") == "loading"
        if message.get("stage") == "measuring energy":
            self.spend(0.5, self.IDLE + self.CALLED[message["arm"]])


@pytest.fixture
def inside(arm: Callable[..., Message], tricks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Message, Block]:
    """A block of two threads and batches of two in this process, with a GPU's events, a yardstick and a meter made up."""
    machine = Machine(tmp_path)
    monkeypatch.setattr("vlmgate.worker.block.clock_of", lambda captioner: Clock("cuda", FakeCuda()))
    monkeypatch.setattr("vlmgate.worker.block.measure_yardstick", float)
    monkeypatch.setattr("vlmgate.worker.block.set_threads", lambda job: None)  # two would wait for each other beside other tests

    def now() -> float:
        return machine.now

    monkeypatch.setattr(energy, "power_of", partial(energy.power_of, clock=now))
    monkeypatch.setattr("vlmgate.worker.block.idle_meter", partial(energy.idle_meter, clock=now, sleep=machine.idle))
    monkeypatch.setattr(energy, "find_meter", partial(find_meter, powercap=machine.powercap))
    arms = [arm("fp32"), arm("int8", "fp32"), arm("placebo", "fp32")]
    asked = job(tricks, plugins=[], arms=arms, rounds=ROUNDS, seed=SEED, batch=2, threads=2, energy="cpu")
    data = in_this_process(blocks.block, asked, machine.hear)[-1]["data"]
    return data, block_of("tiny/scenes", 0, Answer(result=data), 2)


def test_a_block_measures_joules_a_caption_times_by_the_gpu_and_the_yardstick_on_its_threads(
    inside: tuple[Message, Block],
) -> None:
    data, made = inside
    assert made.idle_power == pytest.approx(Machine.IDLE), "measured before anything was loaded"
    took = {name: fmean(map(median, images)) / 2 for name, images in data["times"].items()}  # two captions a call
    joules = {name: watts * took[name] for name, watts in Machine.CALLED.items()}
    assert made.energy == pytest.approx(joules) and data["energy"] == pytest.approx(joules)
    assert data["device_times"] == {name: [[0.005] * ROUNDS] for name in joules}, "the seconds of the GPU's events"
    assert made.device_times == dict.fromkeys(joules, ((0.0025,) * ROUNDS,)) and made.times != made.device_times
    assert data["yardstick"] == [2.0] * ROUNDS


def test_a_block_reads_the_gpu_of_the_arm_that_is_on_one_beside_a_reference_on_the_cpu(
    arm: Callable[..., Message], tricks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, blocks, "fp16-cuda")
    monkeypatch.setattr(nvml, "_import", FakeNvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    asked = job(tricks, plugins=[], arms=[arm("fp32"), arm("fp16-cuda", "fp32")], images=IMAGES[:1], rounds=2, seed=SEED)
    data = in_this_process(blocks.block, asked)[-1]["data"]
    assert data["device_times"] == {"fp16-cuda": [[0.005] * 2]}, "by events, of the arm on the GPU alone"
    made = block_of("tiny/scenes", 0, Answer(result=data), 1)
    assert made.gpu["before"] == made.gpu["after"] and made.gpu["after"]["sm_clock"] == 1_980_000_000
    assert "the GPU was shared with" in remarks([made])[0]
    on_cpu = in_this_process(blocks.block, asked | {"arms": [arm("fp32")]})[-1]["data"]
    assert "gpu" not in on_cpu and not on_cpu["device_times"]


@pytest.mark.parametrize(("images", "stage"), [(1, "preparing images"), (4, "warming at batch 4")])
def test_an_arm_is_announced_before_it_takes_images(
    arm: Callable[..., Message], tricks: Path, monkeypatch: pytest.MonkeyPatch, images: int, stage: str
) -> None:
    """So that it is blamed where it cannot: on a GPU the images may be what no longer fits."""
    plain = blocks.load

    def load(asked: Message, more: Message) -> Any:
        loaded = plain(asked, more)
        inputs = loaded.inputs

        def full(batch: list[Any]) -> Any:
            if asked["name"] == "full" and len(batch) == images:
                raise OverflowError("too many")
            return inputs(batch)

        loaded.inputs = full
        return loaded

    monkeypatch.setattr(blocks, "load", load)
    arms = [arm("fp32"), arm("full", "fp32"), arm("placebo", "fp32")]
    asked, heard = job(tricks, plugins=[], arms=arms, images=IMAGES[:1], rounds=1, seed=SEED, batches=[4]), list[Message]()
    with pytest.raises(OverflowError, match="too many"):
        in_this_process(blocks.block, asked, heard.append)
    assert (heard[-1]["arm"], heard[-1]["stage"]) == ("full", stage)
