"""The cache: artefacts, built checkpoints, rendered scenes, unpacked commits; listed, held while in use, cleared, kept to a size.

The time of a folder's last use is its own modification time, which `hold` sets; its age is that of its oldest file. A folder
in use is locked (flock, shared) by the process that uses it, so that the lock goes with the process, however it ends.
"""

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vlmgate.spec import VlmgateError

DEFAULT_SIZE = 20e9  # bytes
UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
AGAINST = "against"  # folder of what runs with --against keep: commits, and a folder for each other side
PATTERNS = (
    *(("artefact", "artefacts/*/*"), ("checkpoint", "random/*"), ("images", "scenes-*")),
    *(("commit", f"{AGAINST}/trees/*"), ("artefact", f"{AGAINST}/*/artefacts/*/*"), ("checkpoint", f"{AGAINST}/*/random/*")),
)
KEY = re.compile(r"-[0-9a-f]{16}$")  # at the end of an artefact's folder
PARTIAL = re.compile(r"\.(\d+)\.partial$")


@dataclass(frozen=True)
class Entry:
    """One folder of the cache. Times are seconds since the epoch."""

    kind: str  # artefact, checkpoint, images or commit
    name: str  # of the model, the image set or the commit; what the other side of a run with --against made is against/NAME
    variant: str  # of an artefact, else empty
    folder: Path
    size: int  # bytes
    made: float
    used: float

    @property
    def id(self) -> str:
        """What ``--clear PATTERN`` is held against: ``blip-base/int8-dynamic``, ``blip-base-1``, ``against/blip-base-1``."""
        return f"{self.name}/{self.variant}" if self.variant else self.name


def entries(cache: Path) -> list[Entry]:
    """Everything whole in the cache, the least recently used first."""
    found = []
    for kind, pattern in PATTERNS:
        for folder in cache.glob(pattern):
            if folder.is_dir() and not PARTIAL.search(folder.name):
                with suppress(FileNotFoundError):  # another process has just cleared it
                    found.append(_entry(kind, folder, f"{AGAINST}/" if pattern.startswith(AGAINST) else ""))
    return sorted(found, key=lambda entry: (entry.used, entry.id))


def _entry(kind: str, folder: Path, side: str) -> Entry:
    used = folder.stat().st_mtime
    files = [file.stat() for file in folder.rglob("*") if file.is_file()]
    name, variant = (folder.parent.name, KEY.sub("", folder.name)) if kind == "artefact" else (folder.name, "")
    made = min((file.st_mtime for file in files), default=used)
    return Entry(kind, side + name, variant, folder, sum(file.st_size for file in files), made, used)


class Hold:
    """Folders that are in use by this process until `release` or its end; what is held is cleared by nobody."""

    def __init__(self) -> None:
        self._open: dict[Path, int] = {}

    def add(self, folders: Iterable[Path]) -> None:
        """Hold these folders too, and note that they were used now."""
        for folder in folders:
            if folder not in self._open and folder.is_dir():
                self._open[folder] = _lock(folder, shared=True)
            with suppress(OSError):
                os.utime(folder)

    def release(self) -> None:
        """Let them go."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()


def clear(cache: Path, pattern: str = "*") -> tuple[list[Entry], list[Entry]]:
    """Remove what matches the shell pattern (on `Entry.id`): what was removed, and what is in use and was therefore kept."""
    chosen = [entry for entry in entries(cache) if fnmatchcase(entry.id, pattern)]
    removed = [entry for entry in chosen if _remove(entry)]
    return removed, [entry for entry in chosen if entry not in removed]


def keep_to_size(cache: Path, limit: float) -> list[Entry]:
    """Remove the least recently used until at most ``limit`` bytes are left, and what killed processes had half written.

    Nothing in use is removed, by whichever process. Returns what was removed.
    """
    _sweep(cache)
    found, removed = entries(cache), []
    total = sum(entry.size for entry in found)
    for entry in found:
        if total <= limit:
            break
        if _remove(entry):
            removed.append(entry)
            total -= entry.size
    return removed


def size_limit() -> float:
    """Bytes that the cache may take: $VLMGATE_CACHE_SIZE (``20G``, ``500 MB``, bytes), by default 20 GB."""
    text = os.environ.get("VLMGATE_CACHE_SIZE", "")
    if not text.strip():
        return DEFAULT_SIZE
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)b?\s*", text, re.IGNORECASE)
    if not found:
        raise VlmgateError(f"VLMGATE_CACHE_SIZE: expected a size such as 20G, 500MB or a number of bytes, got {text!r}")
    return float(found[1]) * UNITS[found[2].lower()]


def in_use(entry: Entry) -> bool:
    """Whether some process holds the entry."""
    try:
        os.close(_lock(entry.folder, shared=False))
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _remove(entry: Entry) -> bool:
    """Remove an entry unless it is in use; first renamed, so that nobody finds half of it."""
    try:
        descriptor = _lock(entry.folder, shared=False)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    try:
        going = entry.folder.with_name(f"{entry.folder.name}.{os.getpid()}.partial")
        entry.folder.replace(going)
        shutil.rmtree(going)
    except OSError as error:
        raise VlmgateError(f"cannot clear {entry.folder}: {error.strerror or error}; remove it by hand") from error
    finally:
        os.close(descriptor)
    return True


def _lock(folder: Path, *, shared: bool) -> int:
    """An open, locked descriptor of the folder; raises BlockingIOError where another process holds it otherwise."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(cache: Path) -> None:
    """Remove half-written folders (NAME.PID.partial) of processes that are gone."""
    for folder in _partial(cache):
        if (found := PARTIAL.search(folder.name)) and not _alive(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _partial(cache: Path) -> Iterator[Path]:
    for _, pattern in PATTERNS:
        yield from (folder for folder in cache.glob(pattern) if PARTIAL.search(folder.name))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def ago(then: float, now: float | None = None) -> str:
    """``3 days`` since a time, in one unit."""
    seconds = max(0.0, (time.time() if now is None else now) - then)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{int(seconds)} s"
