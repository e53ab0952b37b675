"""The job that finds the peaks of memory of one arm."""

import contextlib
import gc
import sys
import tempfile
from pathlib import Path
from typing import Any

from vlmgate.protocol import Message
from vlmgate.worker.common import Emit, batches, load, register, set_threads
from vlmgate.worker.imports import import_libraries

CALLS = 3  # captions whose peak is taken
LARGEST = 15  # places in a list of the largest allocations


def memory(job: Message, emit: Emit) -> None:
    """Peaks of one arm in bytes: resident set while loading and while running, and memray's heap for both together."""
    import memray

    register(job)
    import_libraries(job)  # now, so that the peak of loading is not that of importing
    set_threads(job)
    (arm,) = job["arms"]
    emit({"event": "stage", "arm": arm["name"], "stage": "loading"})
    before = reset_peak()
    captioner = load(arm, job)
    data = {"resident_before": before, "load_peak": peak_resident()} | cuda_peaks(captioner.device, "cuda_load_peak")
    inputs = captioner.inputs(batches(job)[0])
    gc.collect()
    reset_peak()
    emit({"event": "stage", "arm": arm["name"], "stage": "captioning"})
    for _ in range(CALLS):
        captioner.tokens(inputs, least=job["new_tokens"], most=job["new_tokens"])
    data |= {"peak_memory": peak_resident()} | proportional_set() | cuda_peaks(captioner.device, "cuda_peak")
    del captioner, inputs
    gc.collect()
    emit({"event": "stage", "arm": arm["name"], "stage": "tracing the heap"})
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(job.get("trace") or Path(scratch) / "heap.bin")
        with memray.Tracker(trace):
            captioner = load(arm, job)
            captioner.tokens(captioner.inputs(batches(job)[0]), least=job["new_tokens"], most=job["new_tokens"])
        reader = memray.FileReader(trace)
        data["heap_peak"] = reader.metadata.peak_memory
        if "trace" in job:
            emit({"event": "result", "data": {"largest": largest(reader)}})
    emit({"event": "arm", "arm": arm["name"], "data": data})


def largest(reader: Any) -> list[list[Any]]:
    """The places that held most at the peak of the heap: [bytes, allocations, function, file, line], largest first.

    A place is the innermost Python frame; allocations without one (libraries' own threads) are together.
    """
    places: dict[tuple[str, str, int], list[int]] = {}
    for record in reader.get_high_watermark_allocation_records(merge_threads=True):
        frames = record.stack_trace(max_stacks=1)
        found = places.setdefault(tuple(frames[0]) if frames else ("without Python", "", 0), [0, 0])
        found[0] += record.size
        found[1] += record.n_allocations
    ordered = sorted(places.items(), key=lambda item: -item[1][0])[:LARGEST]
    return [[size, count, *place] for place, (size, count) in ordered]


def proportional_set() -> dict[str, int]:
    """Resident bytes now, pages shared with other processes counted in parts (Linux: smaps_rollup); empty elsewhere."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
        return {"proportional_set": next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))}
    except (OSError, StopIteration):
        return {}


def cuda_peaks(device: str, name: str, cuda: Any = None) -> dict[str, int]:
    """Peaks since the last such call of what tensors took on the GPU (``name``) and of what torch held for them (reserved)."""
    if not device.startswith("cuda"):
        return {}
    if cuda is None:
        import torch

        cuda = torch.cuda
    found = {name: cuda.max_memory_allocated(), f"{name}_reserved": cuda.max_memory_reserved()}
    cuda.reset_peak_memory_stats()
    return found


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
