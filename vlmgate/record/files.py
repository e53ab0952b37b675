"""Files of a run: atomic writing, a lock between processes, run folders, and run.json written and read."""

import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from vlmgate.record.codec import from_json, to_json
from vlmgate.record.document import SCHEMA_VERSION, check, layout, read_document
from vlmgate.spec import Run, VlmgateError
from vlmgate.spec.names import suggested

T = TypeVar("T")
RUN_FILE = "run.json"
STAMP = "%Y%m%dT%H%M%SZ"  # sorts by time and holds no colon, which Windows forbids
TEMPORARY = ".tmp"


def atomic_write(path: Path, content: str | bytes) -> Path:
    """Write a file so that a reader, a full disk or a kill never sees half of it: old content or new, nothing between.

    Makes the folder where needed. Raises VlmgateError naming the folder where it cannot be written.
    """
    return write_together({path: content})[0]


def write_together(contents: Mapping[Path, str | bytes]) -> list[Path]:
    """Write all files as temporaries first and only then replace, so that a full disk leaves every old file in place.

    A kill between two replacements leaves some files old and some new, each whole. Raises VlmgateError as ``atomic_write``.
    """
    staged: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in contents.items():
            temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
            staged[path] = temporary
            _write_synced(temporary, content.encode() if isinstance(content, str) else content)
        for path, temporary in staged.items():
            temporary.replace(path)
        for folder in {path.parent for path in staged}:
            _sync_folder(folder)
    except OSError as error:
        raise VlmgateError(
            f"cannot write {path.name} in {path.parent}: {error.strerror or error}; make room or give another folder"
        ) from error
    finally:
        for temporary in staged.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
    return list(contents)


def _write_synced(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the renames durable where the system lets a folder be synced (Windows does not)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(path: Path, patience: float = 10.0) -> Iterator[None]:
    """Hold the lock file ``path`` against other processes; wait ``patience`` seconds, then raise VlmgateError naming the holder.

    The lock belongs to the open file, so the system frees it when its holder is killed: a file left behind locks nothing.
    """
    descriptor = _acquire(path, patience)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        with suppress(OSError):  # removed while held; Windows cannot, and leaves it lying
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path, patience: float) -> int:
    give_up = time.monotonic() + patience
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            why = error.strerror or error
            raise VlmgateError(f"cannot write {path.name} in {path.parent}: {why}; give a folder that can be written") from error
        if _try_lock(descriptor) and _still_there(descriptor, path):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > give_up:
            raise VlmgateError(
                f"{path.parent} is being written by another vlmgate{_holder(path)}; wait for it to end and try again"
            )
        time.sleep(0.05)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _still_there(descriptor: int, path: Path) -> bool:
    """Whether the path still means the open file: its last holder may have removed it between our open and our lock."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError):
        return f" (process {int(path.read_text())})"
    return ""


def safe_name(name: str) -> str:
    """A file name for any name, different for different names: ``scenes:2000`` → ``scenes@2000``, other odd letters as %XX."""
    text = quote(name, safe="").replace("%3A", "@")
    return "%2E" + text[1:] if text.startswith(".") else text


def new_run_folder(results: Path, name: str) -> Path:
    """Make ``results/<UTC time>-<name>``, with -2, -3 … where that exists. Raises VlmgateError where it cannot be made."""
    base = f"{datetime.now(UTC).strftime(STAMP)}-{safe_name(name)}"
    try:
        results.mkdir(parents=True, exist_ok=True)
        for count in range(1, 10_000):
            folder = results / (base if count == 1 else f"{base}-{count}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise VlmgateError(
            f"cannot make a folder for the run in {results}: {error.strerror or error}; give a folder that can be written"
        ) from error
    raise VlmgateError(f"{results} holds 10,000 folders named {base}; remove some")


def write_run(run: Run, folder: Path) -> Path:
    """Write ``folder/run.json`` atomically, after holding it against the schema. Returns its path; raises VlmgateError."""
    path = folder / RUN_FILE
    data = {"schema": SCHEMA_VERSION, **to_json(run)}
    check(data, "run", path)
    return atomic_write(path, layout(data))


def read_run(path: Path) -> Run:
    """The run in a run.json, or in the folder that holds one. Raises VlmgateError naming the file and what is wrong with it."""
    path = path / RUN_FILE if path.is_dir() else path
    data = read_document(path)
    check(data, "run", path)
    return read_as(Run, data, path)


def _with_engines(data: dict[str, Any]) -> dict[str, Any]:
    """The document with each ``engine`` beside its recipe; in those from before 2026-11-28 it stands within."""
    cases = [*data.get("cases", ()), *(data.get("other") or {}).get("cases", ())]
    for made in (*cases, *(entry.get("made_with", {}) for entry in data.get("history", ()))):
        if "engine" in made.get("recipe", ()):
            made["engine"] = made["recipe"].pop("engine")
    return data


def read_as(cls: type[T], data: dict[str, Any], source: Path) -> T:
    """``from_json`` for a whole document: without its schema version, and with errors that name the file."""
    try:
        return from_json(cls, {key: value for key, value in _with_engines(data).items() if key != "schema"})
    except VlmgateError as error:
        raise VlmgateError(f"{source}: {error}; mend or restore the file") from None


def find_run(results: Path, which: str) -> Path:
    """The run.json that ``which`` means: "latest", the name of a folder under ``results``, or a path of a folder or file.

    Raises VlmgateError naming the nearest known runs.
    """
    if results.exists() and not results.is_dir():
        raise VlmgateError(f"{results} is no folder; give the folder that holds the runs (--results DIR)")
    known = _runs(results)
    if which == "latest" and known:
        return known[-1]
    for path in (results / which, Path(which)):
        if path.is_file():
            return path
        if (path / RUN_FILE).is_file():
            return path / RUN_FILE
    names = [path.parent.name for path in known]
    near = get_close_matches(which, names, n=3) or names[-3:]  # there may be hundreds
    have = suggested(which, near) if near else "there is none yet: make one with `pytest benchmarks/`"
    raise VlmgateError(f"no run {which!r} in {results}; {have}")


def _runs(results: Path) -> list[Path]:
    """All run.json files under ``results``, oldest first by the time in the folder's name, else by that of the file."""

    def age(path: Path) -> tuple[str, int]:
        modified = path.stat().st_mtime_ns
        stamp = re.match(r"\d{8}T\d{6}Z", path.parent.name)
        return (stamp[0] if stamp else datetime.fromtimestamp(modified / 1e9, UTC).strftime(STAMP)), modified

    return sorted(results.glob(f"*/{RUN_FILE}"), key=age)
