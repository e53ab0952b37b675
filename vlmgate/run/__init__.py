"""The loop over everything that is measured; always ends in a Run."""

from vlmgate.run.group import most_threads
from vlmgate.run.options import Options, cache_folder
from vlmgate.run.session import Session

__all__ = ["Options", "Session", "cache_folder", "most_threads"]
