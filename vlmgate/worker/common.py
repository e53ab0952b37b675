"""What the jobs of a worker share: plugins, thread count, loading an arm, opening the images."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vlmgate.protocol import Message

Emit = Callable[[Message], None]
PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends before it, however that ends (Linux; elsewhere nothing is done).

    A parent that is killed cannot kill its worker, and a worker that compiles or loads tells it nothing for minutes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def register(job: Message) -> None:
    """Import the user's plugins, so that their recipes and families are known in this process too."""
    if not job["plugins"]:
        return  # without the parser of suite.yaml, which takes 0.1 s to import
    from vlmgate.models import FAMILIES
    from vlmgate.suite import load_plugin
    from vlmgate.variants import RECIPES

    for name in job["plugins"]:
        plugin = load_plugin(name)
        RECIPES.update(getattr(plugin, "RECIPES", {}))
        FAMILIES.update(getattr(plugin, "FAMILIES", {}))


def set_threads(job: Message) -> None:
    """Let torch compute with the job's number of threads (importing it, which takes seconds)."""
    import torch

    torch.set_num_threads(job["threads"])


def variant_of(raw: dict[str, Any]) -> Any:
    """The variant from its JSON form."""
    from vlmgate.spec import Step, Variant

    return Variant(**{**raw, "steps": tuple(Step(step["recipe"], step["parameters"]) for step in raw["steps"])})


def load(arm: Message, job: Message) -> Any:
    """The captioner of an arm, from its artefact."""
    from vlmgate.artefacts import load_artefact

    return load_artefact(Path(arm["folder"]), job["image_size"], job.get("decoding"))


def batches(job: Message, size: int | None = None) -> list[list[Any]]:
    """The job's images, opened, in groups of ``size`` (the job's batch); a smaller last one would time unlike the others and
    is left out."""
    from vlmgate.datasets.images import open_image

    size = size or job["batch"]
    images = [open_image(Path(path)) for path in job["images"]]
    groups = [images[start : start + size] for start in range(0, len(images), size)]
    return [group for group in groups if len(group) == len(groups[0])]


def cores() -> list[int]:
    """The cores that this process may run on; empty where the system has no such thing."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def keep_to_cores(job: Message) -> None:
    """With affinity ``pin`` keep to the first cores, as many as the job has threads. Before torch makes any thread."""
    if job.get("affinity") == "pin" and (usable := cores()):
        os.sched_setaffinity(0, usable[: job["threads"]])


def check_preloaded(job: Message) -> None:
    """Refuse a job whose ``LD_PRELOAD`` the loader did not follow: it only warns, and measuring would go on without (Linux).

    Raises:
        VlmgateError: a library that the job's environment names is not in this process.
    """
    named = job.get("environment", {}).get("LD_PRELOAD", "").replace(":", " ").split()
    if not named or not Path("/proc/self/maps").exists():
        return
    from vlmgate.spec import VlmgateError

    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    there = {os.path.realpath(line.split(maxsplit=5)[-1]) for line in mapped.splitlines() if "/" in line}
    for name in named:
        found = os.path.realpath(name) in there if "/" in name else any(Path(path).name.startswith(name) for path in there)
        if not found:
            raise VlmgateError(
                f"LD_PRELOAD: {name}, of the settings' environment, could not be loaded; give the full path of a library"
            )


def limit_memory(job: Message) -> None:
    """Hold the private memory of this process to the job's ``memory_limit`` bytes, where it has one (Linux: RLIMIT_DATA)."""
    if limit := job.get("memory_limit"):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
