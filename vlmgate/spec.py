"""The vocabulary: one frozen dataclass for each noun of the suite (standard library only).

Seconds, bytes and joules inside; units appear in column heads and sentences only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class VlmgateError(Exception):
    """Something the user can mend: one sentence that names the thing, what was expected and what to do."""


class Question(StrEnum):
    """What a file under benchmarks/ asks of every case."""

    LATENCY = "latency"
    MEMORY = "memory"
    SIZE = "size"
    QUALITY = "quality"


class Better(StrEnum):
    """The good direction of a metric."""

    HIGHER = "higher"
    LOWER = "lower"


class Against(StrEnum):
    """What a threshold compares a case with."""

    REFERENCE = "reference"  # the unmodified model in the same run; the line is a floor on a ratio or share
    BASELINE = "baseline"  # the promoted earlier run; the line is a tolerance
    LIMIT = "limit"  # an absolute value


class Outcome(StrEnum):
    """The answer to one threshold."""

    PASS = "pass"
    FAIL = "fail"
    UNRESOLVED = "unresolved"
    SKIP = "skip"


class Change(StrEnum):
    """What happened since the baseline."""

    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    REGRESSED = "regressed"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where the weights of a model come from."""

    FIXTURE = "fixture"  # ships in the repository
    HUB = "hub"  # a model hub, by id and revision
    LOCAL = "local"  # a folder in save_pretrained layout
    RANDOM = "random"  # published shape, random weights: speed, size and memory only


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
class Metric:
    """What is measured. ``quantity`` names the comparison with the reference: speed-up, reduction or retention."""

    name: str
    unit: str
    better: Better
    question: Question
    quantity: str
    exact: bool


@dataclass(frozen=True)
class Threshold:
    """One thing that must hold for the cases whose id matches ``cases`` (shell pattern)."""

    cases: str
    metric: str
    against: Against
    line: float
    reason: str


@dataclass(frozen=True)
class Estimate:
    """A centre with an interval. ``signature`` says how it was made, so that nobody compares unlike with unlike."""

    centre: float
    low: float
    high: float
    n: int
    level: float  # coverage of the interval, two-sided; 1.0 for exact values
    signature: str


@dataclass(frozen=True)
class Verdict:
    """The answer to one threshold for one case, with its evidence."""

    case: str
    metric: str
    question: Question
    against: Against
    outcome: Outcome
    sentence: str
    line: float | None = None
    estimate: Estimate | None = None
    change: Change = Change.UNKNOWN
    reason: str = ""


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


@dataclass(frozen=True)
class Environment:
    """Fingerprint of what moves the numbers. All of ``key`` must match for a baseline to apply."""

    key: Mapping[str, Any]  # cpu, isa, cores, threads, gpu, os, image_backend, waiting
    info: Mapping[str, Any]  # library versions, commit …: may have changed, printed, never a reason not to judge
    name: str  # short folder name made from the key


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
    history: tuple[Mapping[str, Any], ...] = ()
