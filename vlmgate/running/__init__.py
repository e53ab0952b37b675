"""The loop over everything that is measured; always ends in a Run."""

from vlmgate.running.group import most_threads
from vlmgate.running.options import Options, cache_folder
from vlmgate.running.session import Session

__all__ = ["Options", "Session", "cache_folder", "most_threads"]
