"""The other side of a run with --against: a commit unpacked into the cache, another Python, or both, asked what it declares."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from vlmgate import measure
from vlmgate.judge.beside import side_name
from vlmgate.measure import Answer, run_job
from vlmgate.models import MODELS
from vlmgate.protocol import VERSION
from vlmgate.running.cache import AGAINST
from vlmgate.spec import Case, Model, Question, Source, Step, Variant, VlmgateError
from vlmgate.suite import Suite

PACKAGE = Path(measure.__file__).resolve().parent.parent
UNTOLD = (Question.SIZE,)  # of a case that this side lacks, where the other's vlmgate tells no questions: one can carry a fail
INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Side:
    """Where the other side's code and libraries are."""

    label: str  # as the user named it
    python: str
    paths: tuple[str, ...]  # searched for modules before all others
    root: Path  # of the repository, fixtures and suite file on that side
    commit: str = ""
    tree: Path | None = None  # where the cache has the files of the commit
    own: bool = True  # whether its libraries are its own, and not those of this side

    @property
    def about(self) -> str:
        """Its name, with what it shares with this side."""
        return side_name(self.label, own_libraries=self.own)


@dataclass(frozen=True)
class Declared:
    """What the other side says of itself."""

    models: Mapping[str, Model]  # case id → model
    variants: Mapping[str, Variant]  # case id → variant
    plugins: tuple[str, ...]
    info: Mapping[str, Any]  # commit, python, versions
    questions: Mapping[str, tuple[Question, ...]] = field(default_factory=dict)  # case id → what is asked of it

    @property
    def key(self) -> str:
        """Names a folder for the artefacts of this side: those of other code or libraries are not ours."""
        return sha256(json.dumps(dict(self.info), sort_keys=True).encode()).hexdigest()[:16]


def open_side(which: str, root: Path, cache: Path, with_python: str | None = None) -> Side:
    """The side that ``which`` names: a Python executable, a virtual environment, or a revision of the repository at ``root``.

    A revision's files are unpacked under ``cache``; the repository itself is not touched. Its libraries are those of the Python
    or the environment ``with_python``, without one this side's. Raises VlmgateError.
    """
    # beside all else that is installed, our package would bring this side's libraries along
    ours = () if PACKAGE.name in INSTALLED else (str(PACKAGE),)
    if python := _python(Path(which)):
        if with_python:
            raise VlmgateError(
                f"--against-python goes with a commit; --against {which} is an environment itself: leave --against-python out"
            )
        return Side(which, str(python), ours, root)
    if with_python and not (python := _python(Path(with_python))):
        raise VlmgateError(
            f"--against-python {with_python}: neither a Python executable nor a virtual environment; make one with that commit's "
            "libraries (python3 -m venv), or leave the option out to use this side's"
        )
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{which}^{{commit}}").decode().strip()
    if not commit:
        raise VlmgateError(
            f"--against {which}: neither a Python executable, nor a virtual environment, nor a commit of {root}; "
            "in a shallow clone fetch the commit first"
        )
    top = Path(_git(root, "rev-parse", "--show-toplevel").decode().strip())
    tree = _unpacked(top, commit, cache.resolve() / AGAINST / "trees" / commit)
    there = tree / root.resolve().relative_to(top.resolve())
    if python:
        return Side(f"{which} with {with_python}", str(python), (str(there), *ours), there, commit, tree)
    return Side(which, sys.executable, (str(there), str(PACKAGE)), there, commit, tree, own=False)


def _python(path: Path) -> Path | None:
    """The executable, or that of a virtual environment; not resolved, as a link's own place is what makes it one."""
    for candidate in (path, path / "bin" / "python", path / "Scripts" / "python.exe"):
        if candidate.is_file() and ("python" in candidate.name.lower()):
            return candidate.absolute()
    return None


def _git(folder: Path, *words: str) -> bytes:
    """What git says; nothing where it fails."""
    try:
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


def _unpacked(top: Path, commit: str, folder: Path) -> Path:
    """The files of a commit, unpacked once and renamed into place when whole."""
    if folder.is_dir():
        return folder
    data = _git(top, "archive", "--format=tar", commit)
    if not data:
        raise VlmgateError(f"git cannot unpack commit {commit}; fetch it whole first")
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(partial, filter="data")
        partial.replace(folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise VlmgateError(f"cannot unpack commit {commit} to {folder}: {error.strerror or error}; make room") from error
    return folder


def ask(side: Side, suite: Suite, tier: str, root: Path) -> Declared:
    """What the suite file of the other side declares, read by its own code. Raises VlmgateError with what to do instead."""
    file = side.root / suite.path.resolve().relative_to(root.resolve()) if side.commit else suite.path
    job = {"threads": 1, "suite": str(file), "tier": tier, "moved": _moved(suite)}
    answer = run_job("declare", job, python=side.python, paths=side.paths)
    if answer.failure:
        raise VlmgateError(_refusal(side, answer))
    data = answer.result
    info = {"commit": side.commit, "python": data["python"], "versions": data["versions"], "own_libraries": side.own}
    models = {case["id"]: model_of(case["model"]) for case in data["cases"]}
    variants = {case["id"]: variant_of(case["variant"]) for case in data["cases"]}
    own = suite.tier(tier).questions
    questions = {case["id"]: tuple(map(Question, case.get("questions", own.get(case["id"], UNTOLD)))) for case in data["cases"]}
    return Declared(models, variants, tuple(data["plugins"]), info, questions)


def _moved(suite: Suite) -> dict[str, list[str | None]]:
    """Models whose weights an option took elsewhere: (source, path), for the other side to do the same."""
    found = {}
    for name, model in MODELS.items():
        now = suite.models.get(name, model)
        if now != model:
            found[name] = [str(now.source.value), now.location if now.source is Source.LOCAL else None]
    return found


def _refusal(side: Side, answer: Answer) -> str:
    failure = answer.failure
    assert failure
    instead = "measure against a later commit, or promote a baseline"
    said = failure.message if failure.kind == "ValueError" else ""
    if "protocol version" in said or (failure.kind, failure.message) == ("KeyError", "'declare'"):
        return f"--against {side.label}: its vlmgate cannot work with this one (protocol {VERSION}: {failure.message}); {instead}"
    if "No module named" in failure.log:
        last = failure.log.splitlines()[-1]
        return f"--against {side.label}: {side.python} cannot start a worker ({last}); install vlmgate and its libraries there"
    return f"--against {side.label}: {failure.message}"


def model_of(data: Mapping[str, Any]) -> Model:
    """A model from its JSON form."""
    parts = {part: tuple(names) for part, names in data["parts"].items()}
    return Model(**{**data, "parts": parts, "source": Source(data["source"])})


def variant_of(data: Mapping[str, Any]) -> Variant:
    """A variant from its JSON form."""
    return Variant(**{**data, "steps": tuple(Step(step["recipe"], step["parameters"]) for step in data["steps"])})


def there(case: Case, declared: Declared) -> Case | None:
    """The case as the other side declares it, run with the settings of this side; None where it has none."""
    if case.id not in declared.models:
        return None
    return Case(declared.models[case.id], declared.variants[case.id], case.dataset, case.settings, case.questions)
