"""The vocabulary: one frozen dataclass for each noun of the suite, standard library only; seconds, bytes and joules inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vlmgate.spec.verdicts import Estimate, Metric, StandardError, Threshold, Verdict, Waiver
from vlmgate.spec.words import Against, Better, Change, Outcome, Question, Source, VlmgateError

__all__ = [
    "COMPARED",
    "Against",
    "Baseline",
    "Better",
    "Block",
    "Case",
    "CaseRecord",
    "Change",
    "Dataset",
    "Environment",
    "Estimate",
    "Example",
    "Failure",
    "Metric",
    "Model",
    "Other",
    "Outcome",
    "Question",
    "Run",
    "Settings",
    "Source",
    "StandardError",
    "Step",
    "Threshold",
    "Variant",
    "Verdict",
    "VlmgateError",
    "Waiver",
    "reference_change",
    "setting_changes",
]


@dataclass(frozen=True)
class Model:
    """A checkpoint. ``parts`` maps vision, projector and text to prefixes of module names."""

    name: str
    family: str
    source: Source
    location: str
    parts: Mapping[str, tuple[str, ...]]
    revision: str = "main"
    about: str = ""


@dataclass(frozen=True)
class Step:
    """One transformation of a recipe: its registry name and its parameters."""

    recipe: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """One precision or compression of a model: steps carried out in order, then run on a device."""

    name: str
    steps: tuple[Step, ...] = ()
    backend: str = "torch"
    device: str = "cpu"
    dtype: str = "float32"
    about: str = ""


@dataclass(frozen=True)
class Example:
    """One image with its reference captions."""

    id: int
    image: str  # path of the file
    references: tuple[str, ...]
    prompt: str = ""


@dataclass(frozen=True)
class Dataset:
    """Examples in a fixed order; ``sha256`` covers images and captions."""

    name: str
    examples: tuple[Example, ...]
    sha256: str


# Of the settings: what a number depends on. More rounds or blocks measure the same more finely.
COMPARED = (
    *("batch", "new_tokens", "max_tokens", "threads", "images", "timed_images", "image_size"),
    *("beams", "top_k", "temperature", "seed", "environment", "affinity"),
)


@dataclass(frozen=True)
class Settings:
    """How a case is run. What is compared must be equal in all of these."""

    batch: int = 1
    new_tokens: int = 20  # exactly so many when timing: min = max
    max_tokens: int = 24  # at most so many when captioning
    threads: int = 2
    images: int = 100  # for quality
    timed_images: int = 8  # for latency, per round
    rounds: int = 5  # per block
    blocks: int = 24  # at most so many; the looks are at 6, 12 and 24
    processes: int = 1  # for memory, a fresh one each
    image_size: int | None = None  # None: the checkpoint's own
    batches: tuple[int, ...] = ()  # batch sizes of the throughput, images a call; none: not measured
    affinity: str = "inherit"  # "pin": a worker keeps to its first `threads` usable cores
    environment: Mapping[str, str] = field(
        default_factory=dict, hash=False
    )  # variables that a worker has before its Python starts
    beams: int = 1  # more: beam search
    top_k: int = 0  # more: sampling among so many of the likeliest tokens
    temperature: float = 1.0  # of sampling
    seed: int = 0  # of sampling; every call begins with it


def setting_changes(then: Settings, now: Settings, *, same_images: bool = True) -> list[str]:
    """What keeps two measurements of a case from being compared, as ``name (value then, value now)``."""
    pairs = ((name, getattr(then, name), getattr(now, name)) for name in COMPARED)
    found = [f"{name} ({before} then, {after} now)" for name, before, after in pairs if before != after]
    return found if same_images or then.images != now.images else [*found, "image files (sha256)"]


def reference_change(then: str | None, now: str) -> list[str]:
    """The same of the case that a speed is against (``""``: it is a reference itself); nothing where it was not kept."""
    return [] if then is None or then == now else [f"reference ({then or 'none'} then, {now or 'none'} now)"]


@dataclass(frozen=True)
class Case:
    """model × variant × dataset, the thing that gets verdicts."""

    model: Model
    variant: Variant
    dataset: str
    settings: Settings
    questions: tuple[Question, ...]

    @property
    def id(self) -> str:
        return f"{self.model.name}/{self.variant.name}/{self.dataset}"


@dataclass(frozen=True)
class Block:
    """What one fresh worker timed. ``times`` is [arm][image][round] in seconds a caption; warm-up is kept apart."""

    model: str  # model/dataset of the cases that took turns
    index: int
    seed: int
    images: tuple[int, ...]
    times: Mapping[str, tuple[tuple[float, ...], ...]]
    first_token: Mapping[str, tuple[float, ...]]  # [arm][image], seconds of a call for one new token
    warmup: Mapping[str, tuple[float, ...]]
    yardstick: tuple[float, ...]  # seconds of the fixed workload, one a round
    startup: float  # seconds from spawning the worker to the first warm-up call
    role: str = "look"  # "confirm": measured to confirm a fail; "retry", "reconfirm": instead of contaminated ones of these two
    throughput: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # [arm][batch size], seconds a call
    device_times: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)  # as times, by events of the GPU
    energy: Mapping[str, float] = field(default_factory=dict)  # [arm], joules a caption above the idle power
    idle_power: float | None = None  # watts, measured in this worker before it loaded anything; None: no meter
    threads: int | None = None  # with which torch computed, as the worker told; None: an older record
    waiting: Mapping[str, str] = field(
        default_factory=dict
    )  # variables that say how OpenMP's threads wait, as the worker had them
    affinity: tuple[int, ...] = ()  # the cores this worker could run on
    gpu: Mapping[str, Any] = field(default_factory=dict)  # clocks, memory and foreign processes of the GPU, empty without one


@dataclass(frozen=True)
class Failure:
    """A worker that crashed, hung, was killed or raised while it worked on an arm."""

    arm: str
    stage: str  # loading, warming, timing, captioning, saving …
    kind: str  # signal name, exception, "hang" or "garbage"
    message: str
    log: str = ""  # last lines


@dataclass(frozen=True)
class CaseRecord:
    """Everything measured for one case apart from the blocks."""

    id: str
    model: str
    variant: str
    dataset: str
    reference: str  # id of the reference case in this run, "" for the reference itself
    questions: tuple[Question, ...]
    settings: Settings
    recipe: Mapping[str, Any]
    checkpoint: str  # fingerprint of the weights the case started from
    skip: str = ""
    skips: Mapping[str, str] = field(default_factory=dict)  # question → why it alone cannot be answered
    failure: Failure | None = None
    exact: Mapping[str, float] = field(default_factory=dict)  # size, parameters, low_precision_share, sparsity …
    memory: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # bytes, one value a process
    captions: Mapping[str, str] = field(default_factory=dict)  # example id → caption
    quality: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # per-image sufficient statistics
    scores: Mapping[str, float] = field(default_factory=dict)  # corpus scores
    signature: str = ""  # of the scores
    engine: str = ""  # of torch, that packs and multiplies the INT8 of the variant; empty where no step has one

    @property
    def made_of(self) -> dict[str, Any]:
        """What may differ between two measurements of a case beside libraries and commit, as a baseline's history keeps it."""
        return {"recipe": dict(self.recipe), "engine": self.engine, "checkpoint": self.checkpoint, "scores": self.signature}


@dataclass(frozen=True)
class Environment:
    """Fingerprint of what moves the numbers. All of ``key`` must match for a baseline to apply."""

    key: Mapping[str, Any]  # cpu, isa, cores, threads, gpu, os, image_backend, waiting
    info: Mapping[str, Any]  # library versions, commit …: may have changed, printed, never a reason not to judge
    name: str  # short folder name made from the key


@dataclass(frozen=True)
class Other:
    """The other side of a run with --against: an earlier commit or another Python, measured in the same blocks.

    A block of the run and the one here with the same model, role and index (of several workers, the one with the same variants)
    were measured one right after the other.
    """

    label: str  # as the user named it
    info: Mapping[str, Any]  # commit, python, versions of that side
    cases: tuple[CaseRecord, ...] = ()
    blocks: tuple[Block, ...] = ()
    declared: Mapping[str, tuple[Question, ...]] = field(default_factory=dict)  # every case of the tier there, with its questions


@dataclass(frozen=True)
class Run:
    """One run, as it stands in run.json."""

    name: str
    tier: str
    started: str  # ISO 8601, UTC
    seconds: float
    status: str  # complete, interrupted
    environment: Environment
    suite: str  # sha256 of suite.yaml
    datasets: Mapping[str, str]  # name → sha256
    cases: tuple[CaseRecord, ...]
    blocks: tuple[Block, ...]
    failures: tuple[Failure, ...]
    verdicts: tuple[Verdict, ...]
    phases: Mapping[str, float]  # where the time went, seconds
    notes: tuple[str, ...] = ()
    whole: bool = False  # every question of the tier was asked, nothing deselected
    absent: Mapping[str, tuple[Question, ...]] = field(default_factory=dict)  # asked, and not declared here any more
    parent_cpu: float | None = None  # share of one core that the parent used while workers measured
    command: str = ""  # the command line that made it; "" where it was not made by one
    other: Other | None = None  # with --against


@dataclass(frozen=True)
class Baseline:
    """The promoted values of one case in one environment."""

    case: str
    environment: str
    run: str
    commit: str
    promoted: str  # ISO 8601, UTC
    reason: str
    forced: bool
    settings: Settings
    dataset: str  # sha256
    blocks: Mapping[str, tuple[float, ...]]  # metric → block values (natural logarithms)
    exact: Mapping[str, float]
    memory: Mapping[str, tuple[float, ...]]
    scores: Mapping[str, float]
    captions: Mapping[str, str]
    history: tuple[Mapping[str, Any], ...] = ()  # all promotions, oldest first: commit, reason, levels, forced
    tier: str = ""
    between_sd: float | None = None  # spread of the log ratio from run to run, net of the blocks'; None: not measured
    between_runs: int = 0  # runs behind between_sd: its degrees of freedom are one less
    occasions: tuple[Mapping[str, Any], ...] = ()  # runs of the unchanged thing, for the spread between runs
    reference: str | None = None  # id of the case that its speed is against, "" for a reference itself; None: an older file
    questions: tuple[Question, ...] = ()  # that the case was asked: what else it holds was measured for others; (): an older file
