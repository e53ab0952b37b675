"""The worker process: one job (probe, prepare, block, caption or memory), then it ends. See `vlmgate.protocol`."""

import contextlib
import gc
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vlmgate import protocol
from vlmgate.protocol import Message

Emit = Callable[[Message], None]

STEADY = 0.10  # warm-up ends when two calls in a row lie within this share of the fastest so far …
WARMUP_CALLS = 8  # … or after this many calls
YARDSTICK_SIDE = 320  # rows of the square float32 matrices whose products make the yardstick
YARDSTICK_PRODUCTS = 12


def main(read_fd: int, write_fd: int) -> int:
    """Read one job, do it, report; returns the exit status."""
    with os.fdopen(read_fd, "rb") as source, os.fdopen(write_fd, "wb", buffering=0) as sink:
        job = protocol.decode(source.readline())

        def emit(message: Message) -> None:
            sink.write(protocol.encode(message))

        try:
            if job.get("version") != protocol.VERSION:
                raise ValueError(f"protocol version {job.get('version')!r}, this worker speaks {protocol.VERSION}")
            JOBS[job["do"]](job, emit)
        except Exception as error:
            import traceback

            traceback.print_exc()
            emit({"event": "failed", "kind": type(error).__name__, "message": str(error)})
            return 1
        emit({"event": "done"})
    return 0


def probe(job: Message, emit: Emit) -> None:
    """Which variants cannot run here, and why."""
    from vlmgate.prepare import cannot_run

    register(job)
    emit({"event": "result", "data": {variant["name"]: cannot_run(_variant(variant)) for variant in job["variants"]}})


def prepare(job: Message, emit: Emit) -> None:
    """Make sure that the artefact of every arm exists; artefacts are keyed by all that they depend on."""
    import hashlib
    import json

    from vlmgate.models.source import checkpoint_folder, fingerprint
    from vlmgate.prepare import artefact_key, build_artefact, cannot_run
    from vlmgate.spec import Model, Source

    register(job)
    _set_threads(job)
    emit({"event": "stage", "arm": "", "stage": "fetching"})
    fields = job["model"] | {"parts": {part: tuple(names) for part, names in job["model"]["parts"].items()}}
    model = Model(**{**fields, "source": Source(fields["source"])})
    cache = Path(job["cache"])
    checkpoint = checkpoint_folder(model, Path(job["root"]), cache)
    weights = fingerprint(checkpoint, model.name)
    for raw in job["variants"]:
        variant = _variant(raw)
        if skip := cannot_run(variant):
            emit({"event": "arm", "arm": variant.name, "data": {"skip": skip}})
            continue
        emit({"event": "stage", "arm": variant.name, "stage": "preparing"})
        key = hashlib.sha256(json.dumps(artefact_key(model, variant, checkpoint), sort_keys=True, default=list).encode())
        folder = cache / "artefacts" / model.name / f"{variant.name}-{key.hexdigest()[:16]}"
        exact = build_artefact(model, variant, checkpoint, folder)
        emit({"event": "arm", "arm": variant.name, "data": {"folder": str(folder), "exact": exact, "checkpoint": weights}})


def block(job: Message, emit: Emit) -> None:
    """Load all arms, warm them up, then let them take turns: per round images in random order, per image all arms."""
    import torch

    register(job)
    _set_threads(job)
    arms = {}
    for arm in job["arms"]:
        emit({"event": "stage", "arm": arm["name"], "stage": "loading"})
        arms[arm["name"]] = _load(arm, job)
    images = _batches(job)
    inputs = {name: [captioner.inputs(batch) for batch in images] for name, captioner in arms.items()}
    gc.collect()
    gc.freeze()
    gc.disable()
    started = time.perf_counter()

    def call(name: str, image: int, tokens: int) -> float:
        captioner = arms[name]
        captioner.synchronise()
        began = time.perf_counter()
        captioner.tokens(inputs[name][image], least=tokens, most=tokens)
        captioner.synchronise()
        return time.perf_counter() - began

    warmup = {}
    for name in arms:
        emit({"event": "stage", "arm": name, "stage": "warming"})
        warmup[name] = warm_up(lambda name=name: call(name, 0, job["new_tokens"]))  # type: ignore[misc]
    times: dict[str, list[list[float]]] = {name: [[] for _ in images] for name in arms}
    yardstick = []
    turns = list(schedule(job["seed"], job["rounds"], len(images), list(arms)))
    for turn, (image, order) in enumerate(turns):
        for name in order:
            emit({"event": "stage", "arm": name, "stage": "timing"})
            times[name][image].append(call(name, image, job["new_tokens"]))
        emit({"event": "tick", "done": turn + 1, "of": len(turns)})
        if (turn + 1) % len(images) == 0:
            yardstick.append(measure_yardstick(job["threads"]))
    first: dict[str, list[float]] = {name: [0.0] * len(images) for name in arms}
    for image, order in schedule(job["seed"] + 1, 1, len(images), list(arms)):
        for name in order:
            emit({"event": "stage", "arm": name, "stage": "timing the first token"})
            first[name][image] = call(name, image, 1)
    data = {"times": times, "first_token": first, "warmup": warmup, "yardstick": yardstick}
    about = {"measuring": time.perf_counter() - started, "torch": torch.__version__, "threads": torch.get_num_threads()}
    emit({"event": "result", "data": data | about})


def schedule(seed: int, rounds: int, images: int, arms: list[str]) -> list[tuple[int, list[str]]]:
    """The turns of a block: (image, order of arms), the image order and each image's arm order drawn afresh each round."""
    rng = random.Random(seed)
    turns = []
    for _ in range(rounds):
        for image in rng.sample(range(images), images):
            turns.append((image, rng.sample(arms, len(arms))))
    return turns


def warm_up(call: Callable[[], float]) -> list[float]:
    """Call until two calls in a row are within STEADY of the fastest, at most WARMUP_CALLS times."""
    seconds = [call(), call()]
    while len(seconds) < WARMUP_CALLS and max(seconds[-2:]) > (1 + STEADY) * min(seconds):
        seconds.append(call())
    return seconds


def measure_yardstick(threads: int) -> float:
    """Seconds for a fixed NumPy workload at the same thread count, independent of torch and of its thread pool."""
    import numpy as np

    matrix = np.full((YARDSTICK_SIDE, YARDSTICK_SIDE), 0.5, np.float32)

    def work(_: int) -> None:
        for _ in range(YARDSTICK_PRODUCTS):
            matrix @ matrix

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(work, range(threads)))
        return time.perf_counter() - began


def caption(job: Message, emit: Emit) -> None:
    """Caption every image with every arm, at the batch size that is shipped."""
    from vlmgate.datasets.images import open_image

    register(job)
    _set_threads(job)
    for arm in job["arms"]:
        emit({"event": "stage", "arm": arm["name"], "stage": "loading"})
        captioner = _load(arm, job)
        emit({"event": "stage", "arm": arm["name"], "stage": "captioning"})
        texts, seconds = [], []
        for start in range(0, len(job["images"]), job["batch"]):
            images = [open_image(Path(path)) for path in job["images"][start : start + job["batch"]]]
            began = time.perf_counter()
            texts += captioner.caption(images, job["max_tokens"])
            seconds.append(time.perf_counter() - began)
            emit({"event": "tick", "done": len(texts), "of": len(job["images"])})
        emit({"event": "arm", "arm": arm["name"], "data": {"captions": texts, "seconds": seconds}})
        del captioner
        gc.collect()


def memory(job: Message, emit: Emit) -> None:
    """Peaks of one arm in bytes: resident set while loading and while running, and memray's heap for both together."""
    import memray

    register(job)
    _set_threads(job)
    (arm,) = job["arms"]
    from vlmgate.prepare import load_artefact

    emit({"event": "stage", "arm": arm["name"], "stage": "loading"})
    before = reset_peak()
    captioner = load_artefact(Path(arm["folder"]), job["image_size"])
    load_peak = peak_resident()
    inputs = captioner.inputs(_batches(job)[0])
    gc.collect()
    reset_peak()
    emit({"event": "stage", "arm": arm["name"], "stage": "captioning"})
    for _ in range(3):
        captioner.tokens(inputs, least=job["new_tokens"], most=job["new_tokens"])
    data = {"resident_before": before, "load_peak": load_peak, "peak_memory": peak_resident()} | _cuda_peaks(captioner)
    del captioner
    gc.collect()
    emit({"event": "stage", "arm": arm["name"], "stage": "tracing the heap"})
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch) / "heap.bin"
        with memray.Tracker(trace):
            captioner = load_artefact(Path(arm["folder"]), job["image_size"])
            captioner.tokens(captioner.inputs(_batches(job)[0]), least=job["new_tokens"], most=job["new_tokens"])
        data["heap_peak"] = memray.FileReader(trace).metadata.peak_memory
    emit({"event": "arm", "arm": arm["name"], "data": data})


def peak_resident() -> int:
    """The kernel's high-water mark of this process's resident set, bytes."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def reset_peak() -> int:
    """Set the high-water mark back to what is resident now (Linux: proc(5), clear_refs) and return it, bytes."""
    with contextlib.suppress(OSError):  # elsewhere the mark cannot be reset: the run peak then includes the load peak
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_resident()


def register(job: Message) -> None:
    """Import the user's plugins, so that their recipes and families are known in this process too."""
    from vlmgate.models import FAMILIES
    from vlmgate.suite import load_plugin
    from vlmgate.variants import RECIPES

    for name in job["plugins"]:
        plugin = load_plugin(name)
        RECIPES.update(getattr(plugin, "RECIPES", {}))
        FAMILIES.update(getattr(plugin, "FAMILIES", {}))


def _set_threads(job: Message) -> None:
    import torch

    torch.set_num_threads(job["threads"])


def _variant(raw: dict[str, Any]) -> Any:
    from vlmgate.spec import Step, Variant

    return Variant(**{**raw, "steps": tuple(Step(step["recipe"], step["parameters"]) for step in raw["steps"])})


def _load(arm: Message, job: Message) -> Any:
    from vlmgate.prepare import load_artefact

    return load_artefact(Path(arm["folder"]), job["image_size"])


def _batches(job: Message) -> list[list[Any]]:
    """The job's images, opened, in groups of the batch size; a smaller last one would time unlike the others and is left out."""
    from vlmgate.datasets.images import open_image

    images = [open_image(Path(path)) for path in job["images"]]
    groups = [images[start : start + job["batch"]] for start in range(0, len(images), job["batch"])]
    return [group for group in groups if len(group) == len(groups[0])]


def _cuda_peaks(captioner: Any) -> dict[str, int]:
    if not captioner.device.startswith("cuda"):
        return {}
    import torch

    return {"cuda_peak": torch.cuda.max_memory_allocated()}


JOBS: dict[str, Callable[[Message, Emit], None]] = {
    "probe": probe,
    "prepare": prepare,
    "block": block,
    "caption": caption,
    "memory": memory,
}

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
