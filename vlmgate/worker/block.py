"""The job that times: a block, in which all arms of a model take turns."""

import gc
import os
import time
from collections.abc import Iterable
from functools import partial
from statistics import fmean, median
from typing import Any

from vlmgate.meters import Meter
from vlmgate.protocol import Message
from vlmgate.worker.clock import clock_of
from vlmgate.worker.common import Emit, batches, cores, load, register, set_threads
from vlmgate.worker.energy import energy_of, gpu_state, idle_meter
from vlmgate.worker.imports import import_libraries
from vlmgate.worker.turns import loading_order, measure_yardstick, schedule, warm_up

FIRST_ROUNDS = 2  # rounds of calls for one token, at most as many as timed rounds
THROUGHPUT_CALLS = 3  # an arm and batch size; the median counts
WAITS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME")  # say how the threads of GNU's and Intel's OpenMP wait

Took = tuple[float, float | None]  # seconds of a call by the wall clock, and by the GPU's own (None on a CPU)


class Arms:
    """The arms of a block, loaded, with the images as each of them takes them.

    They are loaded and warmed up in an order that the seed draws: what comes first gets other memory than what comes later, and
    were that always the reference, every speed-up would be off by it.
    """

    def __init__(self, job: Message, emit: Emit) -> None:
        self.job, self.emit = job, emit
        self.captioners: dict[str, Any] = dict.fromkeys(arm["name"] for arm in job["arms"])  # as in the job, whoever loads first
        self.order = loading_order(job["seed"], list(self.captioners))
        self.calls: list[list[Any]] = []  # [stage, arm, round, image, seconds], in the order in which they were made
        self.told = 0  # of the calls, how many the parent knows, should this worker die
        for arm in sorted(job["arms"], key=lambda arm: self.order.index(arm["name"])):
            self.say(arm["name"], "loading")
            self.captioners[arm["name"]] = load(arm, job)
        images = batches(job)
        self.images = len(images)
        self.inputs: dict[str, list[Any]] = {}
        for name in self.order:
            self.say(name, "preparing images")
            self.inputs[name] = [self.captioners[name].inputs(batch) for batch in images]
        self.clocks = {name: clock_of(of) for name, of in self.captioners.items()}

    def say(self, name: str, stage: str) -> None:
        """Announce what comes, so that a crash has an address, with the calls since the last time, so that they outlive it."""
        self.stage = stage
        new, self.told = self.calls[self.told :], len(self.calls)
        self.emit({"event": "stage", "arm": name, "stage": stage} | ({"calls": new} if new else {}))

    def call(self, name: str, inputs: Any, tokens: int, place: tuple[int | None, int | None] = (None, None)) -> Took:
        """How long one call for exactly so many new tokens takes; ``place`` is its round and image, for the record."""
        took = self.clocks[name].time(lambda: self.captioners[name].tokens(inputs, least=tokens, most=tokens))
        self.calls.append([self.stage, name, *place, took[0]])
        return took

    def warm_up(self) -> dict[str, list[float]]:
        """The calls of each arm until it is steady; kept, and never judged."""
        found = {}
        for name in self.order:
            self.say(name, "warming")
            found[name] = self.until_steady(name, self.inputs[name][0])
        return found

    def until_steady(self, name: str, inputs: Any) -> list[float]:
        """Calls of an arm until they are steady: seconds of each."""
        return warm_up(lambda: self.call(name, inputs, self.job["new_tokens"])[0])

    def turns(self, seed: int, rounds: int, tokens: int, stage: str) -> Iterable[tuple[int, list[str], dict[str, Took]]]:
        """Let the arms take their turns: image, the order of the arms, and what each call took."""
        for turn, (image, order) in enumerate(schedule(seed, rounds, self.images, list(self.captioners))):
            took = {}
            for name in order:
                self.say(name, stage)
                took[name] = self.call(name, self.inputs[name][image], tokens, (turn // self.images, image))
            yield image, order, took


def block(job: Message, emit: Emit) -> None:
    """Load all arms, warm them up, then let them take turns: per round images in random order, per image all arms.

    The result holds, in seconds a call: ``times`` [arm][image][round], ``device_times`` likewise where there are events of a
    GPU, ``first_token`` [arm][image] (the median of ``first_token_rounds``), ``warmup`` [arm], ``throughput`` [arm][batch size]
    and ``yardstick`` [round]; ``turns``, one [image, [arms in the order of their calls]] a turn; and ``calls``, every call of all
    in the order in which they were made, as [stage, arm, round, image, seconds].
    """
    register(job)
    import_libraries(job)
    set_threads(job)
    metered = idle_meter(job["energy"]) if job.get("energy") else None  # of the device whose energy is asked for
    arms = Arms(job, emit)
    gc.collect()
    gc.freeze()
    gc.disable()
    started = time.perf_counter()
    data: dict[str, Any] = {"warmup": arms.warm_up()}
    device = next((of.device for of in arms.captioners.values() if of.device.startswith("cuda")), "")
    before = gpu_state(device)
    data |= _timing(arms)
    data |= _first_tokens(arms)
    data |= _throughput(arms)
    if metered:
        data |= _energy(arms, metered, data["times"])
    data |= {"calls": arms.calls, "measuring": time.perf_counter() - started} | _about()
    if before:
        data["gpu"] = {"before": before, "after": gpu_state(device)}
    emit({"event": "result", "data": data})


def _timing(arms: Arms) -> dict[str, Any]:
    """The timed rounds, with the yardstick after each."""
    job = arms.job
    times: dict[str, list[list[float]]] = {name: [[] for _ in range(arms.images)] for name in arms.captioners}
    device: dict[str, list[list[float]]] = {name: [[] for _ in range(arms.images)] for name in arms.captioners}
    turns, yardstick = [], []
    for image, order, took in arms.turns(job["seed"], job["rounds"], job["new_tokens"], "timing"):
        for name, (wall, events) in took.items():
            times[name][image].append(wall)
            device[name][image] += [] if events is None else [events]
        turns.append([image, order])
        arms.emit({"event": "tick", "done": len(turns), "of": job["rounds"] * arms.images})
        if len(turns) % arms.images == 0:
            yardstick.append(measure_yardstick(job["threads"]))
            arms.calls.append(["yardstick", "", len(yardstick) - 1, None, yardstick[-1]])
    by_events = {name: images for name, images in device.items() if any(images)}
    return {"times": times, "device_times": by_events, "turns": turns, "yardstick": yardstick}


def _first_tokens(arms: Arms) -> dict[str, Any]:
    """Calls for one token, in turns of their own: image encoding and prefill."""
    rounds: dict[str, list[list[float]]] = {name: [[] for _ in range(arms.images)] for name in arms.captioners}
    count = min(FIRST_ROUNDS, arms.job["rounds"])
    for image, _, took in arms.turns(arms.job["seed"] + 1, count, 1, "timing the first token"):
        for name, (wall, _) in took.items():
            rounds[name][image].append(wall)
    medians = {name: [median(calls) for calls in images] for name, images in rounds.items()}
    return {"first_token": medians, "first_token_rounds": rounds}


def _throughput(arms: Arms) -> dict[str, Any]:
    """Seconds a call at each batch size of the job, arms in turn; images are repeated until a batch is full."""
    found: dict[str, dict[str, float]] = {}
    for size in arms.job.get("batches", ()):
        pictures = _filled(arms.job, size)
        inputs: dict[str, Any] = {}
        for name, of in arms.captioners.items():
            arms.say(name, f"warming at batch {size}")
            inputs[name] = of.inputs(pictures)
            arms.until_steady(name, inputs[name])
        calls: dict[str, list[float]] = {name: [] for name in inputs}
        for _, order in schedule(arms.job["seed"] + 2 + size, THROUGHPUT_CALLS, 1, list(inputs)):
            for name in order:
                arms.say(name, f"timing at batch {size}")
                calls[name].append(arms.call(name, inputs[name], arms.job["new_tokens"])[0])
        for name, seconds in calls.items():
            found.setdefault(name, {})[str(size)] = median(seconds)
    return {"throughput": found}


def _energy(arms: Arms, metered: tuple[Meter, float], times: Message) -> dict[str, Any]:
    """Joules a caption of each arm above the idle power, its power being that on its first image; what came before it may have
    moved the clocks, so it is warmed up again. Arms on another device than the metered one have none."""
    job = arms.job
    took = {name: fmean(map(median, images)) / job["batch"] for name, images in times.items()}

    def call(name: str) -> object:
        arms.say(name, "measuring energy")
        return arms.call(name, arms.inputs[name][0], job["new_tokens"])

    def warm(name: str) -> object:
        arms.say(name, "warming for energy")
        return arms.until_steady(name, arms.inputs[name][0])

    calls = {name: partial(call, name) for name, of in arms.captioners.items() if of.device == job["energy"]}
    return energy_of(metered, took, calls, job["seed"] + 3, warm)


def _filled(job: Message, size: int) -> list[Any]:
    """A batch of ``size`` images, those of the job over and over."""
    pictures = [image for batch in batches(job, 1) for image in batch]
    return [pictures[i % len(pictures)] for i in range(size)]


def _about() -> dict[str, Any]:
    """What the worker computed with."""
    import torch

    waiting = {name: os.environ[name] for name in WAITS if name in os.environ}
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "affinity": cores(), "waiting": waiting}
