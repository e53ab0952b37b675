"""The words with a fixed set of values, and the error that users can mend (standard library only)."""

from enum import StrEnum


class VlmgateError(Exception):
    """Something the user can mend: one sentence that names the thing, what was expected and what to do."""


class Question(StrEnum):
    """What a file under benchmarks/ asks of every case."""

    LATENCY = "latency"
    MEMORY = "memory"
    SIZE = "size"
    QUALITY = "quality"
    ENERGY = "energy"


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
    WAIVED = "waived"  # a fail that a waiver accepts until its date
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
