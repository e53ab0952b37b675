"""What a run needs to know beside the suite."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from vlmgate.measure import PATIENCE


def cache_folder() -> Path:
    """Where built checkpoints, artefacts and rendered scenes are kept: $VLMGATE_CACHE, else the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("VLMGATE_CACHE") or home / "vlmgate")


@dataclass(frozen=True)
class Options:
    """Folders, and what overrides the suite's own settings."""

    root: Path  # of the repository that holds fixtures/
    cache: Path
    timing: bool = True
    blocks: int | None = None  # exactly so many, instead of the looks
    rounds: int | None = None
    time_budget: float | None = None  # seconds for timing
    within: float | None = None  # seconds for the whole run: timing gets what the rest of it leaves
    folder: Path | None = None  # where the run is written as it grows; None: nowhere
    resume: Path | None = None  # run.json of the run that is gone on from
    patience: float = PATIENCE
    memory_limit: int | None = None  # bytes of private memory that a worker may use
    command: str = ""  # that this run is made by, as it is written down
    against: str | None = None  # the other side that is measured in the same blocks: a commit, a Python or its environment
    against_python: str | None = None  # of a commit: the Python with its libraries, or its environment
    python: str = sys.executable  # that workers run in
    paths: tuple[str, ...] | None = None  # where workers look for modules first; None: where this vlmgate is

    def timing_left(self, spent: float) -> float | None:
        """Seconds for timing in a run that has taken so many already; None: as many as it needs."""
        rest = None if self.within is None else max(0.0, round(self.within - spent))
        return min((seconds for seconds in (self.time_budget, rest) if seconds is not None), default=None)
