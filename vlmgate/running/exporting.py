"""One artefact outside a run: prepared in the cache by a worker, and copied out whole with its card."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vlmgate.measure import answer_of, run_job
from vlmgate.running.cache import Hold
from vlmgate.running.options import cache_folder
from vlmgate.spec import Model, Variant, VlmgateError
from vlmgate.variants.artefact import CARD, README, digests


def prepare_one(model: Model, variant: Variant, root: Path, plugins: Sequence[str] = (), threads: int = 2) -> Path:
    """The folder in the cache that holds the variant of the model, made by a worker where it is not there yet.

    Raises:
        VlmgateError: the variant cannot run here, or whatever the worker met.
    """
    job = {"threads": threads, "plugins": list(plugins), "model": asdict(model), "variants": [asdict(variant)]}
    answer = answer_of(run_job("prepare", job | {"root": str(root), "cache": str(cache_folder())}))
    found = answer.arms[variant.name]
    if "skip" in found:
        raise VlmgateError(f"{variant.name} cannot run here: {found['skip']}")
    return Path(found["folder"])


def copy_out(folder: Path, target: Path, readme: str, *, force: bool = False) -> Path:
    """Copy an artefact to ``target`` with its card for readers, renamed into place when whole; returns ``target``.

    An artefact that is there is replaced. vlmgate.json of the copy holds the SHA-256 of every file that ships, so that damage is
    seen later.

    Raises:
        VlmgateError: ``target`` is something else than an artefact (and not ``force``), lies around or in ``folder``, or
            cannot be written.
    """
    target = target.absolute()
    _check_target(folder, target, force)
    partial, old = (target.with_name(f"{target.name}.{os.getpid()}.{kind}") for kind in ("partial", "old"))
    hold = Hold()
    hold.add([folder])
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, partial)
        (partial / README).write_text(readme, encoding="utf-8")
        card = {**read_json(partial / CARD), "files": digests(partial)}
        (partial / CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")
        if target.exists():
            target.replace(old)
        partial.replace(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.replace(target)
        raise VlmgateError(f"cannot write {target}: {_why(error)}; make room, or give a folder that can be written") from error
    finally:
        hold.release()
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return target


def _why(error: OSError) -> str:
    """The system's words. Copying a folder collects (source, target, words) of every file; the first says enough."""
    return str(error.args[0][0][2]).partition(": '")[0] if isinstance(error, shutil.Error) else error.strerror or str(error)


def _check_target(folder: Path, target: Path, force: bool) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise VlmgateError(f"{target} is no folder; give the folder that the artefact goes to")
    inner, outer = folder.resolve(), target.resolve()
    if inner == outer or inner in outer.parents or outer in inner.parents:
        raise VlmgateError(f"{target} and the artefact {folder} lie in each other; give another folder")
    occupied = target.is_dir() and any(target.iterdir()) and not (target / CARD).is_file()
    if occupied and not force:
        raise VlmgateError(
            f"{target} exists and is no artefact (it has no {CARD}); give another folder, or --force to replace it"
        )


def read_json(path: Path) -> Mapping[str, Any]:
    """The JSON object of a file; VlmgateError where there is none."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VlmgateError(f"{path} cannot be read ({error}); make the artefact again") from error
    if not isinstance(data, dict):
        raise VlmgateError(f"{path} holds {type(data).__name__} where a JSON object was expected; make the artefact again")
    return data
