"""What makes times differ between processes: the same block in fresh workers, under one setting of the process after another.

Settings take turns in seeded random order, so that a slow hour hits all alike. Each block is a line of a log as soon as it is
there; `docs/variance.py` is the command.
"""

import math
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlmgate.datasets import load_dataset
from vlmgate.judge.evidence import PLACEBO
from vlmgate.record.files import locked
from vlmgate.selftest import blocklog
from vlmgate.selftest.arms import INT8, INT8_COPY, REFERENCE
from vlmgate.selftest.blocklog import Entry, Progress, go_on, head_of, open_log
from vlmgate.selftest.recording import Subject, block_job, prepare
from vlmgate.spec import Block
from vlmgate.stats import block_value, log_time
from vlmgate.variants import VARIANTS

KIND = "variance"
SEED = 20_261
LIBRARIES = {"jemalloc": "libjemalloc.so*", "tcmalloc": "libtcmalloc*.so*"}  # allocators, by the name of their file
FOLDERS = ("/usr/lib", "/usr/local/lib", "/opt")


@dataclass(frozen=True)
class Way:
    """One setting of a process; ``missing`` says why it cannot be had here."""

    name: str
    about: str
    environment: Mapping[str, str] = field(default_factory=dict)
    affinity: str = "inherit"
    under: tuple[str, ...] = ()  # a command that becomes the worker
    missing: str = ""


def ways(threads: int) -> dict[str, Way]:
    """The settings by name, the default first. What each does is documented by glibc (tunables, mallopt), torch
    (THP_MEM_ALLOC_ENABLE, c10/core/impl/alloc_cpu.cpp), libgomp (GOMP_SPINCOUNT) and personality(2)."""
    arena = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TOP_PAD_": "67108864"}
    found = [
        Way("default", "as vlmgate measures"),
        Way("malloc-huge", "glibc's heap in transparent huge pages", {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}),
        Way("torch-huge", "torch's tensors of 2 MB and more in transparent huge pages", {"THP_MEM_ALLOC_ENABLE": "1"}),
        Way("one-arena", "one heap that is grown and not mapped piece by piece", arena),
        *(_preloaded(name, pattern) for name, pattern in LIBRARIES.items()),
        Way("pinned", f"kept to the first {threads} usable cores", affinity="pin"),
        Way("no-aslr", "addresses not drawn at random", under=("setarch", "-R"), missing=_no_setarch()),
        Way("aligned", "weights at multiples of 2 MB", {"VLMGATE_ALIGN": str(2 << 20)}),
    ]
    if threads > 1:
        found.append(Way("spinning", "waiting threads spin without end", {"GOMP_SPINCOUNT": "INFINITY"}))
    return {way.name: way for way in found}


def _preloaded(name: str, pattern: str) -> Way:
    files = sorted(file for folder in FOLDERS for file in Path(folder).rglob(pattern) if file.is_file())
    why = "" if files else f"no {pattern} under {', '.join(FOLDERS)}"
    return Way(name, f"the allocator {name}", {"LD_PRELOAD": str(files[0])} if files else {}, missing=why)


def _no_setarch() -> str:
    if not (program := shutil.which("setarch")):
        return "needs setarch (util-linux)"
    done = subprocess.run([program, "-R", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "this system does not let a process turn it off (personality)"


def schedule(names: Sequence[str], processes: int) -> Iterator[tuple[str, int]]:
    """(way, index): every way once in each round, in seeded random order."""
    for index in range(processes):
        for name in random.Random(SEED + index).sample(list(names), len(names)):
            yield name, index


def values_of(block: Block) -> dict[str, float]:
    """What a block says: log speed-ups of INT8, of the placebo and of a second INT8 against the first, and log seconds."""
    times = block.times
    return {
        "int8": block_value(times[REFERENCE], times[INT8]),
        "placebo": block_value(times[REFERENCE], times[PLACEBO]),
        "int8 copy": block_value(times[INT8], times[INT8_COPY]),
        "fp32 time": log_time(times[REFERENCE]),
        "int8 time": log_time(times[INT8]),
        "yardstick": math.log(sorted(block.yardstick)[len(block.yardstick) // 2]),
    }


def record(log: Path, subject: Subject, chosen: Sequence[Way], processes: int, progress: Progress) -> list[Entry]:
    """Measure until every way has so many blocks; goes on with what is in the log. A way whose worker fails is left out.

    Raises:
        VlmgateError: the log is of another model, machine, dataset or other settings, or cannot be read.
    """
    with locked(log.with_name(f".{log.name}.lock")):
        dataset = load_dataset(subject.dataset, subject.root, subject.cache, subject.settings.images)
        folders, checkpoint = prepare(subject, subject.settings, {name: VARIANTS[name] for name in (REFERENCE, INT8)})
        entries = open_log(log, KIND, head_of(subject, dataset.sha256, checkpoint))
        job = block_job(subject, subject.settings, folders, dataset)
        by_name = {way.name: way for way in chosen}
        done = {(entry.way, entry.index) for entry in entries if not entry.failed}
        left = [each for each in schedule(list(by_name), processes) if each not in done]
        return go_on(log, entries, left, lambda name, index: measure(by_name[name], index, job), progress)


def measure(way: Way, index: int, job: Mapping[str, Any]) -> Entry:
    """One block in a fresh worker under one way; blocks of one index take the same turns under every way."""
    told = {"environment": {**job["environment"], **way.environment}, "affinity": way.affinity, "under": list(way.under)}
    return blocklog.measure(way.name, index, {**job, **told}, values_of)
