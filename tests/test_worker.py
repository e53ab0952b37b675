"""The worker's jobs, each done by a real worker process on a tiny model; and the rules of taking turns."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from jobs import IMAGES, NEW_TOKENS, ROOT, job, trick, write_tricks

from vlmgate.measure import Answer, run_job
from vlmgate.protocol import Message
from vlmgate.spec import Model
from vlmgate.variants import VARIANTS
from vlmgate.worker import WARMUP_CALLS, schedule, warm_up

ARMS = ["fp32", "int8", "placebo"]
SPIKE = 200_000_000  # bytes that the variant `spike` takes while it is loaded, and gives back
SEED, ROUNDS = 7, 2


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker")


@pytest.fixture(scope="module")
def plugin(workplace: Path, tiny_checkpoint: Path) -> Path:
    return write_tricks(workplace / "tricks.py", tiny_checkpoint)


@pytest.fixture(scope="module")
def prepared(workplace: Path, plugin: Path, tiny_model: Model) -> Answer:
    """Artefacts of fp32, a spy and a spike; fp16-cuda cannot run where no GPU is seen."""
    variants = [VARIANTS["fp32"], VARIANTS["fp16-cuda"], trick("spy", do="spy", log=str(workplace / "calls"))]
    variants.append(trick("spike", do="spike", bytes=SPIKE))
    extra = {"model": asdict(tiny_model), "root": str(ROOT), "cache": str(workplace / "cache")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        answer = run_job("prepare", job(plugin, variants=[asdict(variant) for variant in variants], **extra))
    assert answer.failure is None
    return answer


@pytest.fixture(scope="module")
def arm(prepared: Answer) -> Callable[..., Message]:
    return lambda name, variant="": {"name": name, "folder": prepared.arms[variant or name]["folder"]}


@pytest.fixture(scope="module")
def block(workplace: Path, plugin: Path, arm: Callable[..., Message]) -> tuple[Answer, list[Message], list[Any]]:
    """One block of reference, spy and placebo: the answer, every message, and every call that the spy saw."""
    calls, heard = workplace / "calls", []  # type: ignore[var-annotated]
    calls.unlink()  # those of the self-check when the artefact was made
    arms = [arm("fp32"), arm("spy"), arm("placebo", "fp32")]
    answer = run_job("block", job(plugin, arms=arms, rounds=ROUNDS, seed=SEED), listener=heard.append)
    assert answer.failure is None
    return answer, heard, [json.loads(line) for line in calls.read_text().splitlines()]


@pytest.mark.parametrize("images", [1, 4])
def test_each_round_takes_every_image_once_and_each_image_every_arm_once(images: int) -> None:
    turns = schedule(1, 5, images, ARMS)
    for start in range(0, len(turns), images):
        assert sorted(image for image, _ in turns[start : start + images]) == list(range(images))
    assert len(turns) == 5 * images
    assert all(sorted(order) == sorted(ARMS) for _, order in turns)  # a turn holds all arms of one image: they are adjacent


def test_orders_are_drawn_afresh_in_every_round() -> None:
    turns = schedule(1, 30, 4, ARMS)
    images = [tuple(image for image, _ in turns[start : start + 4]) for start in range(0, len(turns), 4)]
    assert len(set(images)) > 10  # of 24
    assert len({tuple(order) for image, order in turns if image == 0}) == 6  # all orders of three arms come up
    first = Counter(order[0] for _, order in turns)
    assert min(first.values()) > 20  # of 120: no arm is always first


def test_the_seed_makes_the_turns() -> None:
    assert schedule(1, 5, 4, ARMS) == schedule(1, 5, 4, ARMS)
    assert schedule(1, 5, 4, ARMS) != schedule(2, 5, 4, ARMS)


def calls_of(seconds: list[float]) -> Callable[[], float]:
    queue: Iterator[float] = iter(seconds)
    return lambda: next(queue)


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        ([1.0, 1.05, 9.0], 2),  # steady at once
        ([5.0, 2.0, 1.0, 1.02, 9.0], 4),  # the first calls are slow
        ([1.0, 3.0, 1.0, 1.0, 9.0], 4),  # two calls in a row must be steady, not one
        ([3.0, 3.0, 9.0], 2),
        ([2.0**-n for n in range(20)], WARMUP_CALLS),  # never steady: capped
    ],
)
def test_warming_up_ends_when_two_calls_are_near_the_fastest(seconds: list[float], kept: int) -> None:
    assert warm_up(calls_of(seconds)) == seconds[:kept]  # and nothing is thrown away


def test_the_yardstick_needs_no_torch() -> None:
    code = "import sys, vlmgate.worker as w; print(w.measure_yardstick(1), w.measure_yardstick(2), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=120)
    one, two, torch = done.stdout.split()
    assert float(one) > 0 and float(two) > 0 and torch == "False"


def test_preparing_says_what_was_made_and_what_cannot_run(prepared: Answer) -> None:
    assert "fp16-cuda needs an NVIDIA GPU" in prepared.arms.pop("fp16-cuda")["skip"]
    assert prepared.arms.keys() == {"fp32", "spy", "spike"}
    assert len({data["folder"] for data in prepared.arms.values()}) == 3
    assert len({data["checkpoint"] for data in prepared.arms.values()}) == 1
    for data in prepared.arms.values():
        assert Path(data["folder"], "model.safetensors").is_file()
        assert data["exact"]["reloads"] == 1.0 and data["exact"]["weight_bytes"] > 0


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
        assert [name for word, name in stages if word == stage] == ["fp32", "spy", "placebo"]
    turns = schedule(SEED, ROUNDS, len(IMAGES), ["fp32", "spy", "placebo"])
    assert [name for word, name in stages if word == "timing"] == [name for _, order in turns for name in order]
    ticks = [(message["done"], message["of"]) for message in block[1] if message["event"] == "tick"]
    assert ticks == [(n + 1, ROUNDS * len(IMAGES)) for n in range(ROUNDS * len(IMAGES))]
    assert [message["event"] for message in block[1]].count("result") == 1


def test_timed_calls_generate_exactly_so_many_tokens_without_garbage_collection(block: tuple[Answer, Any, list[Any]]) -> None:
    data, calls = block[0].result, block[2]
    asked = Counter(tuple(call["asked"]) for call in calls)
    assert asked == {
        (NEW_TOKENS, NEW_TOKENS): len(data["warmup"]["spy"]) + ROUNDS * len(IMAGES),
        (1, 1): len(IMAGES),  # the first token alone
    }
    assert all(call["shape"] == [1, call["asked"][1]] for call in calls)
    assert not any(call["gc"] for call in calls)


def test_memory_tells_the_peak_of_loading_from_that_of_running(plugin: Path, arm: Callable[..., Message]) -> None:
    answer = run_job("memory", job(plugin, arms=[arm("spike")]))
    assert answer.failure is None
    data = answer.arms["spike"]
    assert data["load_peak"] > data["resident_before"] + SPIKE  # the spike lies in the loading peak …
    assert data["resident_before"] <= data["peak_memory"] < data["load_peak"] - SPIKE / 2  # … and not in the running one
    assert SPIKE < data["heap_peak"] < 2 * SPIKE  # memray sees both together


def test_captions_are_those_made_here(plugin: Path, arm: Callable[..., Message]) -> None:
    from vlmgate.datasets.images import open_image
    from vlmgate.prepare import load_artefact

    heard: list[Message] = []
    arms = [arm("fp32"), arm("again", "fp32")]
    answer = run_job("caption", job(plugin, arms=arms), listener=heard.append)
    assert answer.failure is None
    captioner = load_artefact(Path(arms[0]["folder"]))
    here = [captioner.caption([open_image(Path(path))], 8)[0] for path in IMAGES]
    assert answer.arms["fp32"]["captions"] == answer.arms["again"]["captions"] == here
    assert all(here)
    assert len(answer.arms["fp32"]["seconds"]) == len(IMAGES)  # one a batch
    assert [message["done"] for message in heard if message["event"] == "tick"] == [1, 2, 3] * 2


def test_probing_says_what_cannot_run_here(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    answer = run_job("probe", job(plugin, variants=[asdict(VARIANTS["fp32"]), asdict(VARIANTS["fp16-cuda"])]))
    assert answer.failure is None
    assert answer.result["fp32"] == ""
    assert answer.result["fp16-cuda"].startswith("fp16-cuda needs an NVIDIA GPU with CUDA")
