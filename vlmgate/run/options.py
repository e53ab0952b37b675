"""What a run needs to know beside the suite."""

import os
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
    patience: float = PATIENCE
