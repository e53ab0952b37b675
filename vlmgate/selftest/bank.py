"""A bank of real blocks on disk: JSON lines under gzip, the head first, then one line a block. No torch, no pickle."""

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlmgate.record.codec import from_json, to_json
from vlmgate.record.files import atomic_write
from vlmgate.spec import Block, Environment, Settings, VlmgateError

FORMAT = 1
DIGITS = 7  # of a second: a tenth of a microsecond, far below what a clock of the system can tell


@dataclass(frozen=True)
class Sitting:
    """One go of the command that recorded; ``info`` as in `Environment`."""

    started: str  # ISO 8601, UTC
    info: Mapping[str, Any]


@dataclass(frozen=True)
class Head:
    """What all blocks share."""

    bank: int  # version of this format
    model: str
    dataset: str
    sha256: str  # of the dataset
    checkpoint: str  # fingerprint of the weights
    settings: Settings
    recipes: Mapping[str, Any]  # arm → its variant; a copy stands with the arm it is a copy of
    environment: Environment
    sittings: tuple[Sitting, ...]


@dataclass(frozen=True)
class Entry:
    """One block, when it was measured and what it cost."""

    block: Block
    started: str  # ISO 8601, UTC
    seconds: float  # from spawning the worker to its end
    others: float  # cores' worth of time that other processes of the machine used meanwhile; -1 where it is not told
    sitting: int  # index into the head's


@dataclass(frozen=True)
class Bank:
    """All of a bank file."""

    head: Head
    entries: tuple[Entry, ...]

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(entry.block for entry in self.entries)


def write_bank(bank: Bank, path: Path) -> Path:
    """Write the whole bank atomically, so that a kill leaves the old file or the new one; times to a tenth of a microsecond."""
    rows = [to_json(bank.head), *(_rounded(to_json(entry)) for entry in bank.entries)]
    text = "".join(json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n" for row in rows)
    return atomic_write(path, gzip.compress(text.encode(), 9, mtime=0))


def read_bank(path: Path) -> Bank:
    """The bank in a file. Raises VlmgateError naming the file and what is wrong with it."""
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        head, *rows = (json.loads(line) for line in lines)
    except FileNotFoundError:
        raise VlmgateError(f"no bank of blocks at {path}; record one with `vlmgate bank`, or name another one") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise VlmgateError(f"{path} is no bank of blocks ({error}); restore it or record a new one") from error
    version = head.get("bank") if isinstance(head, dict) else None
    if version != FORMAT:
        raise VlmgateError(f"{path} has bank format {version!r}; this vlmgate reads {FORMAT}: upgrade, or record a new one")
    try:
        return Bank(from_json(Head, head), tuple(from_json(Entry, row) for row in rows))
    except VlmgateError as error:
        raise VlmgateError(f"{path}: {error}; restore the file") from None


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
