"""Sequential timing, live: one process after the other, each timing one arm alone, as most benchmarks do."""

from collections.abc import Callable

from vlmgate.datasets import load_dataset
from vlmgate.selftest.arms import INT8, REFERENCE
from vlmgate.selftest.noise import pooled_median
from vlmgate.selftest.recording import Subject, block_job, measure, prepare
from vlmgate.variants import VARIANTS


def time_sequentially(
    subject: Subject, processes: int, progress: Callable[[str], None] = lambda line: None
) -> dict[str, list[float]]:
    """Arm → the median of each of ``processes`` processes, all of the reference first, then all of INT8; seconds a caption."""
    settings = subject.settings
    dataset = load_dataset(subject.dataset, subject.root, subject.cache, settings.images)
    folders, _ = prepare(subject, settings, {arm: VARIANTS[arm] for arm in (REFERENCE, INT8)})
    medians: dict[str, list[float]] = {}
    for arm in (REFERENCE, INT8):
        job = block_job(subject, settings, {arm: folders[arm]}, dataset)
        for index in range(processes):
            block = measure(f"{subject.model.name}/{subject.dataset}", index, job, 0).block
            medians.setdefault(arm, []).append(pooled_median([block], arm))
            progress(f"{arm}: process {index + 1} of {processes}: {medians[arm][-1] * 1000:.1f} ms")
    return medians
