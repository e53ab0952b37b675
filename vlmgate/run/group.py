"""Cases that take turns: those of one model and dataset, how they share workers, and what their blocks become."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vlmgate.measure import Answer
from vlmgate.spec import Block, Case, Dataset
from vlmgate.suite import Suite

SEED = 20_260
RESERVE = 0.6  # share of the free memory that the arms of one worker may fill with weights


@dataclass
class Group:
    """The cases of one model and dataset, the reference first; ``arms`` are artefact folders by variant."""

    cases: list[Case]
    reference: Case
    dataset: Dataset
    arms: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.reference.model.name}/{self.reference.dataset}"


def most_threads(suite: Suite) -> int:
    """The most threads a case of any tier uses: one number for all tiers, so that they share an environment's baselines."""
    return max((case.settings.threads for tier in suite.tiers.values() for case in tier.cases), default=1)


def seed_of(index: int) -> int:
    """The seed of a block's turns."""
    return SEED + index


def share_out(cases: list[Case], reference: Case, size: Mapping[str, float], free: float | None = None) -> list[list[Case]]:
    """Cases by worker: all together when their weights (``size``, bytes by case id) fit into the ``free`` bytes, else several
    workers with the reference in each. The placebo counts as a second reference."""
    room = RESERVE * (free_memory() if free is None else free) - 2 * size[reference.id]
    parts: list[list[Case]] = [[]]
    filled = 0.0
    for case in (case for case in cases if case is not reference):
        if parts[-1] and filled + size[case.id] > room:
            parts.append([])
            filled = 0.0
        parts[-1].append(case)
        filled += size[case.id]
    return [[reference, *part] for part in parts]


def block_of(name: str, index: int, answer: Answer, batch: int) -> Block:
    """The worker's answer as a Block, times a caption (a call captions ``batch`` images)."""
    data = answer.result
    times = {arm: tuple(tuple(t / batch for t in rounds) for rounds in images) for arm, images in data["times"].items()}
    return Block(
        model=name,
        index=index,
        seed=seed_of(index),
        images=tuple(range(len(next(iter(times.values()))))),
        times=times,
        first_token={arm: tuple(images) for arm, images in data["first_token"].items()},
        warmup={arm: tuple(t / batch for t in calls) for arm, calls in data["warmup"].items()},
        yardstick=tuple(data["yardstick"]),
        startup=answer.startup,
    )


def free_memory() -> float:
    """Bytes that can be used without swapping; a cautious 4 GB where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024.0 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4e9
