"""Measures blocks for the bank with real workers, one after the other, each saved before the next begins."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vlmgate.datasets import load_dataset
from vlmgate.measure import Answer, run_job
from vlmgate.record import fingerprint
from vlmgate.record.environment import differences
from vlmgate.record.files import locked
from vlmgate.running.group import block_of, seed_of
from vlmgate.selftest.arms import COPIES, variants
from vlmgate.selftest.bank import FORMAT, Bank, Entry, Head, Sitting, read_bank, write_bank
from vlmgate.spec import Dataset, Environment, Model, Settings, Variant, VlmgateError

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """What is measured: a model on a dataset, and where to find both. A bank that exists goes on with its own settings."""

    model: Model
    dataset: str
    settings: Settings
    root: Path
    cache: Path
    plugins: tuple[str, ...] = ()


def record_blocks(path: Path, subject: Subject, *, until: int = 0, more: int = 0, progress: Progress = lambda line: None) -> Bank:
    """Add blocks to the bank at ``path`` (made where there is none) until it holds ``until``, or ``more`` of them.

    Whatever ends this, the blocks measured before are in the file. Raises VlmgateError where the bank was recorded in another
    environment, of other weights or images, and where a worker fails.
    """
    with locked(path.with_name(f".{path.name}.lock")):
        old = read_bank(path) if path.exists() else None
        goal = until or (len(old.entries) if old else 0) + more
        if old and len(old.entries) >= goal:
            return old
        settings = old.head.settings if old else subject.settings
        sitting = Sitting(_now(), fingerprint(settings.threads, subject.root).info)
        dataset = load_dataset(subject.dataset, subject.root, subject.cache, settings.images)
        progress(f"{subject.model.name}: preparing {len(variants())} artefacts")
        folders, checkpoint = prepare(subject, settings, variants())
        head = _head(subject, settings, dataset.sha256, checkpoint)
        if old:
            _same(path, old.head, head)
        bank = Bank(replace(old.head if old else head, sittings=(*(old.head.sittings if old else ()), sitting)), ())
        bank = replace(bank, entries=old.entries if old else ())
        job = block_job(subject, settings, folders, dataset)
        while len(bank.entries) < goal:
            entry = measure(f"{subject.model.name}/{subject.dataset}", len(bank.entries), job, len(bank.head.sittings) - 1)
            bank = replace(bank, entries=(*bank.entries, entry))
            write_bank(bank, path)
            progress(f"block {len(bank.entries)} of {goal}: {entry.seconds:.1f} s")
    return bank


def block_job(subject: Subject, settings: Settings, folders: Mapping[str, str], dataset: Dataset) -> dict[str, Any]:
    """What a worker is told, but for the seed; ``folders`` are the artefacts by arm."""
    return _common(subject, settings) | {
        "arms": [{"name": name, "folder": folder} for name, folder in folders.items()],
        "images": [example.image for example in dataset.examples[: settings.timed_images]],
        "rounds": settings.rounds,
    }


def measure(group: str, index: int, job: Mapping[str, Any], sitting: int) -> Entry:
    """One block in a fresh worker. Raises VlmgateError where it fails."""
    started = _now()
    answer, others = run_block(job, index)
    return Entry(block_of(group, index, _good(answer), job["batch"]), started, answer.seconds, others, sitting)


def run_block(job: Mapping[str, Any], index: int) -> tuple[Answer, float]:
    """One block in a fresh worker, and how many cores' worth of time other processes used meanwhile (-1: not told)."""
    busy, own = machine_seconds(), own_seconds()
    answer = run_job("block", {**job, "seed": seed_of(index)})
    used = machine_seconds() - busy - (own_seconds() - own)
    return answer, max(0.0, used / answer.seconds) if busy else -1.0


def machine_seconds() -> float:
    """CPU seconds that all processes of this machine have used since it started (user, nice, system); 0 where it is not told."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        return sum(map(int, fields[1:4])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return 0.0


def own_seconds() -> float:
    """CPU seconds of this process and of its workers that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def prepare(subject: Subject, settings: Settings, made: Mapping[str, Variant]) -> tuple[dict[str, str], str]:
    """Arm → artefact folder, copies included, and the fingerprint of the weights.

    Raises:
        VlmgateError: a variant cannot run here, or the worker fails.
    """
    extra = {"model": asdict(subject.model), "variants": [asdict(variant) for variant in made.values()]}
    where = {"root": str(subject.root), "cache": str(subject.cache)}
    answer = _good(run_job("prepare", _common(subject, settings) | extra | where))
    for name, data in answer.arms.items():
        if "skip" in data:
            raise VlmgateError(f"{name} cannot run here: {data['skip']}; leave it out")
    folders = {name: str(answer.arms[name]["folder"]) for name in made}
    checkpoints = {str(answer.arms[name]["checkpoint"]) for name in made}
    return folders | {copy: folders[of] for copy, of in COPIES.items() if of in folders}, checkpoints.pop()


def _common(subject: Subject, settings: Settings) -> dict[str, Any]:
    names = ("threads", "affinity", "environment", "batch", "new_tokens", "max_tokens", "image_size")
    return {name: getattr(settings, name) for name in names} | {"plugins": list(subject.plugins), "arms": []}


def _head(subject: Subject, settings: Settings, sha256: str, checkpoint: str) -> Head:
    recipes = {name: asdict(variant) for name, variant in variants().items()}
    recipes |= {copy: recipes[of] for copy, of in COPIES.items()}
    here = fingerprint(settings.threads, subject.root)
    here = Environment(here.key, {}, here.name)
    return Head(FORMAT, subject.model.name, subject.dataset, sha256, checkpoint, settings, recipes, here, ())


def _same(path: Path, then: Head, now: Head) -> None:
    """Blocks of one bank must be drawn like from like."""
    both = then.environment.key.keys() & now.environment.key.keys()  # a field that one of them did not know says nothing
    unlike = differences(*({name: head.environment.key[name] for name in sorted(both)} for head in (then, now)))
    for name in ("model", "dataset", "sha256", "checkpoint"):
        if getattr(then, name) != getattr(now, name):
            unlike.append(f"{name}: {getattr(then, name)} against {getattr(now, name)}")
    if unlike:
        raise VlmgateError(f"{path} was recorded elsewhere ({'; '.join(unlike)}); go on there, or record another file with --out")


def _good(answer: Answer) -> Answer:
    if failure := answer.failure:
        log = f"\n{failure.log}" if failure.log else ""
        raise VlmgateError(f"{failure.arm or 'worker'}, {failure.stage}: {failure.message}{log}")
    return answer


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
