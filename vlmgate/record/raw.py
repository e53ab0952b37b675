"""All raw values of a run beside run.json, in one compressed CSV: one row a call, in the order in which they were made."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path

from vlmgate.record.files import atomic_write
from vlmgate.spec import VlmgateError

RAW_FILE = "raw.csv.gz"
NO_BLOCK = -1  # the worker of calls whose block was not finished, because the worker died: never judged
THERE = "there"
WARM_UP, TIMED, FIRST_TOKEN, YARDSTICK = "warm-up", "timed", "first token", "yardstick"


@dataclass(frozen=True)
class Call:
    """One call of one arm, or of the yardstick (``arm`` and ``image`` empty), in seconds."""

    model: str  # model/dataset of the cases that took turns
    block: int  # as Block.index
    role: str  # as Block.role
    worker: int  # place of the block in run.json's blocks, or NO_BLOCK
    turn: int  # number of the call in its worker, from 0: the order in which they were made
    kind: str  # warm-up, timed, first token, yardstick, batch N, …
    round: int | None
    image: int | None
    arm: str
    seconds: float  # of the whole call, which captions ``batch`` images
    side: str = ""  # THERE: of the other side of a run with --against, and ``worker`` is the place among its blocks


TITLES = tuple(field.name for field in fields(Call))


def write_raw(calls: Iterable[Call], folder: Path) -> Path:
    """Write ``folder/raw.csv.gz`` atomically; seconds keep every digit. Returns its path."""
    text = io.StringIO()
    rows, values = csv.writer(text, lineterminator="\n"), attrgetter(*TITLES)  # astuple would copy every value
    rows.writerow(TITLES)
    rows.writerows(["" if value is None else value for value in values(call)] for call in calls)
    return atomic_write(folder / RAW_FILE, gzip.compress(text.getvalue().encode(), mtime=0))


def read_raw(folder: Path) -> list[Call]:
    """The calls in ``folder/raw.csv.gz``. Raises VlmgateError naming the file and what is wrong with it."""
    path = folder / RAW_FILE
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except FileNotFoundError:
        raise VlmgateError(f"{path} does not exist; every run writes it beside run.json") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise VlmgateError(f"{path} is not a whole gzip file ({error}); restore it") from None
    titles, *rows = csv.reader(io.StringIO(text or "nothing"))
    if tuple(titles) not in (TITLES, TITLES[:-1]):  # older files know no other side
        raise VlmgateError(f"{path} has the columns {', '.join(titles)}; expected {', '.join(TITLES)}")
    return [_call(row, number, path) for number, row in enumerate(rows, 2)]


def _call(row: Sequence[str], line: int, path: Path) -> Call:
    try:
        model, block, role, worker, turn, kind, round_, image, arm, seconds, side = row if len(row) == len(TITLES) else [*row, ""]
        numbers = (int(round_) if round_ else None, int(image) if image else None)
        return Call(model, int(block), role, int(worker), int(turn), kind, *numbers, arm, float(seconds), side)
    except ValueError as error:
        raise VlmgateError(f"{path}: line {line} is not a call ({error}); restore the file") from None
