"""Cases that take turns: those of one model and dataset, how they share workers, and what their blocks become."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlmgate.backends import TORCH
from vlmgate.measure import Answer
from vlmgate.record.raw import FIRST_TOKEN, NO_BLOCK, TIMED, WARM_UP, Call
from vlmgate.spec import Block, Case, Dataset, Settings, Variant
from vlmgate.suite import Suite

SEED = 20_260
LOOK, CONFIRM, RETRY, RECONFIRM = ROLES = ("look", "confirm", "retry", "reconfirm")  # of blocks
RESERVE = 0.6  # share of the free memory that the arms of one worker may fill with weights
MOST = 6  # variants of one worker: beside 12 of BLIP-base the placebo was 1.2 times as fast (docs/variance.md)
KINDS = {"warming": WARM_UP, "timing": TIMED, "timing the first token": FIRST_TOKEN}  # a worker's stage → the kind of its calls


@dataclass
class Group:
    """The cases of one model and dataset, the reference first; ``arms`` are artefact folders by variant."""

    cases: list[Case]
    reference: Case
    dataset: Dataset
    arms: dict[str, str] = field(default_factory=dict)
    gpu_free: float | None = None  # bytes of the GPU, before anything was loaded; None: no arm runs on one

    @property
    def name(self) -> str:
        return f"{self.reference.model.name}/{self.reference.dataset}"


def most_threads(suite: Suite) -> int:
    """The most threads a case of any tier uses: one number for all tiers, so that they share an environment's baselines."""
    return max((case.settings.threads for tier in suite.tiers.values() for case in tier.cases), default=1)


def how_to_run(settings: Settings) -> dict[str, Any]:
    """What a worker needs to know of a case's settings, as fields of its job."""
    names = ("threads", "affinity", "batch", "batches", "new_tokens", "max_tokens", "image_size")
    more = {"decoding": decoding_of(settings), "environment": dict(settings.environment)}
    return {name: getattr(settings, name) for name in names} | more


def decoding_of(settings: Settings) -> dict[str, Any]:
    """What departs from greedy decoding, as `vlmgate.models.decoding` takes it; empty where nothing does."""
    if settings.top_k:
        return {"top_k": settings.top_k, "temperature": settings.temperature, "seed": settings.seed}
    return {"beams": settings.beams} if settings.beams > 1 else {}


def seed_of(index: int, role: str = LOOK) -> int:
    """The seed of a block's turns; blocks of another role take other turns."""
    return SEED + 1000 * ROLES.index(role) + index


def runtime_of(variant: Variant) -> str:
    """The runtime that computes a variant. Each keeps threads of its own spinning, so those of two do not share a worker."""
    return variant.backend.partition("-")[0]


def most_of(runtime: str, threads: int) -> int:
    """So many variants of a runtime share a worker: one where each brings a pool of threads of its own (docs/variance.md)."""
    return MOST if runtime == TORCH or threads == 1 else 1


def share_out(
    cases: list[Case], reference: Case, size: Mapping[str, float], free: float | None = None, gpu_free: float | None = None
) -> list[list[Case]]:
    """Cases by worker, with the reference in each; planned beforehand from the weights (``size``, bytes by case id).

    Cases of one runtime are together when their weights fit into the ``free`` bytes, those on a GPU into its ``gpu_free`` bytes;
    the reference and the placebo, a second reference, take their part. What does not fit, what would be more than `most_of` its
    runtime, and what brings another runtime, goes into further workers.
    """

    def place(case: Case) -> str:
        return "gpu" if gpu_free is not None and case.variant.device.startswith("cuda") else "host"

    room = {"host": RESERVE * (free_memory() if free is None else free), "gpu": RESERVE * (gpu_free or 0.0)}
    room[place(reference)] -= 2 * size[reference.id]
    others = [case for case in cases if case is not reference]
    parts = []
    for runtime in dict.fromkeys(runtime_of(case.variant) for case in others):
        mine = [case for case in others if runtime_of(case.variant) == runtime]
        parts += _filled(mine, size, room, place, most_of(runtime, reference.settings.threads))
    return [[reference, *part] for part in parts or [[]]]


def _filled(
    cases: list[Case], size: Mapping[str, float], room: Mapping[str, float], place: Callable[[Case], str], most: int
) -> list[list[Case]]:
    """Cases in their order, a new part when the next one would not fit or be more than ``most``; one that fits nowhere is tried
    alone."""
    parts: list[list[Case]] = [[]]
    for case in cases:
        beside = sum(size[other.id] for other in parts[-1] if place(other) == place(case))
        full = len(parts[-1]) == most or beside + size[case.id] > room[place(case)]
        if parts[-1] and full:
            parts.append([])
        parts[-1].append(case)
    return parts


def in_turn(parts: list[list[Case]], index: int) -> list[list[Case]]:
    """The workers of one block index in the order in which they run: each of them first in its turn."""
    first = index % len(parts)
    return parts[first:] + parts[:first]


def block_of(name: str, index: int, answer: Answer, batch: int, role: str = LOOK) -> Block:
    """The worker's answer as a Block, times a caption (a call captions ``batch`` images)."""
    data = answer.result
    times = _a_caption(data["times"], batch)
    return Block(
        model=name,
        index=index,
        seed=seed_of(index, role),
        role=role,
        images=tuple(range(len(next(iter(times.values()))))),
        times=times,
        first_token={arm: tuple(images) for arm, images in data["first_token"].items()},
        warmup={arm: tuple(t / batch for t in calls) for arm, calls in data["warmup"].items()},
        yardstick=tuple(data["yardstick"]),
        startup=answer.startup,
        throughput=data.get("throughput", {}),
        device_times=_a_caption(data.get("device_times", {}), batch),
        threads=data.get("threads"),
        waiting=data.get("waiting", {}),
        affinity=tuple(data.get("affinity", ())),
        energy=data.get("energy", {}),
        idle_power=data.get("idle_power"),
        gpu=data.get("gpu", {}),
    )


def calls_of(block: Block, worker: int, answer: Answer, side: str = "") -> list[Call]:
    """Every call of a block in the order in which they were made, seconds as measured; ``worker`` is its place in the run, or on
    the other ``side``."""
    return _calls((block.model, block.index, block.role, worker), answer.result.get("calls", ()), side)


def lost_calls(name: str, index: int, role: str, answer: Answer, side: str = "") -> list[Call]:
    """The calls that a worker made before it ended its block early, marked as of no block."""
    return _calls((name, index, role, NO_BLOCK), answer.calls, side)


def _calls(of: tuple[str, int, str, int], said: Iterable[Sequence[Any]], side: str) -> list[Call]:
    return [
        Call(*of, turn, KINDS.get(stage, stage), round_, image, arm, seconds, side)
        for turn, (stage, arm, round_, image, seconds) in enumerate(said)
    ]


def _a_caption(calls: Mapping[str, Any], batch: int) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Seconds a caption from seconds a call, [arm][image][round]."""
    return {arm: tuple(tuple(t / batch for t in rounds) for rounds in images) for arm, images in calls.items()}


def free_memory() -> float:
    """Bytes that can be used without swapping; a cautious 4 GB where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024.0 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4e9
