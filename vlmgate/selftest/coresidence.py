"""Does sharing a worker with other variants move a speed-up? Blocks in pairs: a variant alone, and together with neighbours.

Alone, a worker holds the reference, the variant and the placebo; together, it holds the neighbours too. The two blocks of a pair
run one after the other, in seeded random order; `docs/coresidence.py` is the command.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlmgate.datasets import load_dataset
from vlmgate.judge.evidence import PLACEBO
from vlmgate.record.files import locked
from vlmgate.running.group import most_of, runtime_of
from vlmgate.selftest.arms import REFERENCE
from vlmgate.selftest.blocklog import Entry, Progress, go_on, head_of, measure, open_log
from vlmgate.selftest.recording import Subject, block_job, prepare
from vlmgate.spec import Block, Dataset, Variant, VlmgateError
from vlmgate.stats import block_value, log_time

KIND = "coresidence"
SEED = 20_262
ALONE, TOGETHER = SIDES = ("alone", "together")
SPEED_UP, TIME = "speed-up", "time of the reference"  # what a block says, beside PLACEBO


def way_of(variant: str, side: str) -> str:
    """The name of a variant's blocks of one side in the log."""
    return f"{variant} {side}"


def neighbours(variant: str, beside: Sequence[str], most: int) -> list[str]:
    """Whom a variant shares its worker with: the first ``most`` of ``beside`` other than itself.

    Raises:
        VlmgateError: there is none, so that both blocks of a pair would be the same.
    """
    found = [name for name in beside if name not in (variant, REFERENCE)][:most]
    if variant == REFERENCE or not found:
        why = "it is the reference" if variant == REFERENCE else "nothing is left beside it"
        raise VlmgateError(f"{variant} cannot be paired: {why}; name other --variants, or more in --beside")
    return found


def schedule(variants: Sequence[str], pairs: int) -> Iterator[tuple[str, str, int]]:
    """(variant, side, pair): every variant once in each round, its two blocks next to each other, all in seeded random order."""
    for index in range(pairs):
        drawn = random.Random(SEED + index)
        for variant in drawn.sample(list(variants), len(variants)):
            for side in drawn.sample(SIDES, len(SIDES)):
                yield variant, side, index


def values_of(block: Block, variant: str) -> dict[str, float]:
    """What a block says: log speed-ups of the variant and of the placebo, and the log seconds of the reference."""
    times = block.times
    return {
        SPEED_UP: block_value(times[REFERENCE], times[variant]),
        PLACEBO: block_value(times[REFERENCE], times[PLACEBO]),
        TIME: log_time(times[REFERENCE]),
    }


def pairs_of(entries: Sequence[Entry], variant: str) -> list[tuple[Entry, Entry]]:
    """The whole pairs of a variant, (alone, together) each; where a block was measured again, the last one counts."""
    good = {(entry.way, entry.index): entry for entry in entries if not entry.failed}
    alone, together = ({index: entry for (way, index), entry in good.items() if way == way_of(variant, side)} for side in SIDES)
    return [(alone[index], together[index]) for index in sorted(alone.keys() & together.keys())]


def record(
    log: Path,
    subject: Subject,
    variants: Mapping[str, Variant],
    crowds: Mapping[str, Sequence[str]],
    pairs: int,
    progress: Progress,
) -> list[Entry]:
    """Measure until every variant of ``crowds`` has so many pairs beside its neighbours there; goes on with what is in the log,
    where a pair that was cut in two is measured again. ``variants``: all of them by name.

    Raises:
        VlmgateError: a worker fails, a variant cannot run here, or the log is of another model, machine, dataset, other settings
            or neighbours, or cannot be read.
    """
    with locked(log.with_name(f".{log.name}.lock")):
        dataset = load_dataset(subject.dataset, subject.root, subject.cache, subject.settings.images)
        names = dict.fromkeys([REFERENCE, *crowds, *(name for beside in crowds.values() for name in beside)])
        folders, checkpoint = prepare(subject, subject.settings, {name: variants[name] for name in names})
        entries = open_log(log, KIND, head_of(subject, dataset.sha256, checkpoint))
        _same_company(log, entries, crowds)
        jobs = _jobs(subject, folders, dataset, crowds)

        def measured(way: str, index: int) -> Entry:
            variant, job = jobs[way]
            entry = measure(way, index, job, lambda block: values_of(block, variant))
            if entry.failed:
                raise VlmgateError(f"{way}: {entry.failed}")
            return entry

        done = {variant: {alone.index for alone, _ in pairs_of(entries, variant)} for variant in crowds}
        left = [(way_of(variant, side), at) for variant, side, at in schedule(list(crowds), pairs) if at not in done[variant]]
        return go_on(log, entries, left, measured, progress)


def _jobs(
    subject: Subject, folders: Mapping[str, str], dataset: Dataset, crowds: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Way → its variant, and what its workers are told."""
    found = {}
    for variant, beside in crowds.items():
        arms = [REFERENCE, variant, PLACEBO]
        for side, held in ((ALONE, arms), (TOGETHER, [*arms, *beside])):
            job = block_job(subject, subject.settings, {name: folders[name] for name in held}, dataset)
            found[way_of(variant, side)] = (variant, job)
    return found


def _same_company(log: Path, entries: Sequence[Entry], crowds: Mapping[str, Sequence[str]]) -> None:
    """Pairs of one variant must all be beside the same neighbours."""
    for variant, beside in crowds.items():
        for _, together in pairs_of(entries, variant):
            if unlike := set(together.arms) ^ {REFERENCE, variant, PLACEBO, *beside}:
                raise VlmgateError(
                    f"{log} was recorded with other neighbours of {variant} ({', '.join(sorted(unlike))}); "
                    "go on as it was begun, or name another --log"
                )


def unplanned(variants: Mapping[str, Variant], crowds: Mapping[str, Sequence[str]], threads: int) -> list[str]:
    """Company that the planner of a run would not allow, as sentences: too many variants, or several runtimes."""
    found = []
    for variant, beside in crowds.items():
        held = [variant, *beside]
        runtimes = sorted({runtime_of(variants[name]) for name in held})
        most = min(most_of(runtime, threads) for runtime in runtimes)
        if len(runtimes) > 1:
            found.append(f"A run would not put {' and '.join(runtimes)} into one worker, as here with {variant}.")
        elif len(held) > most:
            found.append(f"A run would not put {len(held)} variants into the worker of {variant}, but {most} at most.")
    return found
