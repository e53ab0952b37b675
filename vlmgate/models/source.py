"""Where weights come from: fixture, hub, local folder or random, all as one checkpoint folder on disk."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from vlmgate.models import family
from vlmgate.spec import Model, Source, VlmgateError
from vlmgate.spec.names import unknown

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model")
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]
RANDOM_VERSION = 1  # raise when the way random checkpoints are made changes


def with_source(model: Model, source: str | None, path: str | None) -> Model:
    """The model with its weights from elsewhere (``--model-source``, ``--model-path``); fixtures stay as they are.

    Raises:
        VlmgateError: ``local`` for a model without a path (fixtures apart).
    """
    if source == Source.LOCAL and not path and model.source is Source.RANDOM:
        raise VlmgateError(f"--model-source local: {model.name} has no folder; add its folder with --model-path")
    if path:
        return replace(model, source=Source.LOCAL, location=str(Path(path).resolve()), revision="")
    if source == Source.HUB and model.source is Source.RANDOM:
        return replace(model, source=Source.HUB)
    return model


def own_folders(words: Iterable[str], models: Mapping[str, Model]) -> dict[str, str]:
    """Model → folder of its weights, from the words ``NAME=DIR`` of ``--model-path``.

    Raises:
        VlmgateError: a word has no ``=``, or its name is none of ``models``.
    """
    found = dict[str, str]()
    for word in words:
        name, sign, folder = word.partition("=")
        if not sign:
            raise VlmgateError(f"--model-path {word}: expected NAME=DIR with NAME one of {', '.join(models)}")
        if name not in models:
            raise VlmgateError(f"--model-path: {unknown('model', name, models)}")
        found[name] = folder
    return found


def checkpoint_folder(model: Model, root: Path, cache: Path) -> Path:
    """The folder with config, weights and processor of ``model``, fetched or built when it is not there yet.

    Raises:
        VlmgateError: a file is missing or damaged, the hub cannot be reached, or the disk is full.
    """
    match model.source:
        case Source.FIXTURE:
            folder = root / "fixtures" / "models" / model.location
        case Source.LOCAL:
            folder = Path(model.location)
        case Source.HUB:
            folder = _from_hub(model)
        case Source.RANDOM:
            folder = _random(model, cache)
    check_checkpoint(folder, model.name)
    return folder


def check_checkpoint(folder: Path, name: str) -> None:
    """Refuse a folder that lacks a file or holds a cut-off or pickled one, before any library tries to load it."""
    if not folder.is_dir():
        raise VlmgateError(
            f"{name}: no checkpoint folder {folder}; expected a folder in save_pretrained layout (config.json, *.safetensors)"
        )
    _read_json(folder / "config.json", name)
    for files in (PROCESSOR_FILES, TOKENIZER_FILES):  # without a vocabulary transformers would make up an empty one
        if not any((folder / file).exists() for file in files):
            raise VlmgateError(
                f"{name}: {folder} has no {' or '.join(files)}; save the processor there too (processor.save_pretrained)"
            )
    weights = weight_files(folder, name)
    for file in weights:
        _check_safetensors(file, name)


def weight_files(folder: Path, name: str) -> list[Path]:
    """The safetensors files of a checkpoint, all those of its index when it is sharded."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        parts = _read_json(index, name).get("weight_map")
        if not isinstance(parts, dict) or not all(isinstance(file, str) for file in parts.values()):
            raise VlmgateError(f"{name}: {index} has no weight_map from weight to file; save the checkpoint again")
        files = sorted({folder / file for file in parts.values()})
    else:
        files = [folder / "model.safetensors"]
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        pickled = list(folder.glob("*.bin"))
        hint = f"; {pickled[0].name} is a pickle, which is never loaded: convert it to safetensors" if pickled else ""
        raise VlmgateError(f"{name}: {folder} lacks {', '.join(missing) or 'weights'}{hint}")
    return files


def fingerprint(folder: Path, name: str) -> str:
    """SHA-256 over config and weights of a checkpoint, which tells whether two runs started from the same weights."""
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    for file in weight_files(folder, name):
        status = file.stat()
        digest.update(_digest(file, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()


@lru_cache
def _digest(file: Path, size: int, modified: int) -> bytes:
    """SHA-256 of a file, read once a process as long as its size and time stay: a run asks for it once a variant."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _from_hub(model: Model) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled, RepositoryNotFoundError

    where = f"{model.location} at revision {model.revision}"
    try:
        return Path(snapshot_download(model.location, revision=model.revision, allow_patterns=HUB_FILES))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise VlmgateError(
            f"{model.name}: no network and {where} is not in the hub cache; connect once, or pass --model-path {model.name}=DIR"
        ) from error
    except RepositoryNotFoundError as error:
        raise VlmgateError(f"{model.name}: the hub has no {where}, or it needs a login (hf auth login)") from error
    except Exception as error:  # broken transfers and odd names come out as whatever the client's own libraries raise
        why = " ".join(str(error).split())[:300]
        raise VlmgateError(
            f"{model.name}: could not fetch {where} ({type(error).__name__}: {why}); "
            f"try again, or pass --model-path {model.name}=DIR"
        ) from error


def _random(model: Model, cache: Path) -> Path:
    """Build once; a folder that is there is whole, because it is renamed into place at the end."""
    folder = cache / "random" / f"{model.name}-{RANDOM_VERSION}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
        try:
            partial.mkdir(parents=True, exist_ok=True)
            family(model.family).build_random(model.location, partial)
            partial.replace(folder)
        except (OSError, SafetensorError) as error:  # a full disk is either, depending on who was writing
            if not folder.exists():  # else another process was faster
                why = getattr(error, "strerror", None) or error
                raise VlmgateError(
                    f"{model.name}: cannot write {folder}: {why}; free some space or set VLMGATE_CACHE to another folder"
                ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VlmgateError(f"{name}: {path.parent} lacks {path.name}; expected a folder in save_pretrained layout") from None
    except (ValueError, OSError) as error:
        raise VlmgateError(f"{name}: {path} is not readable JSON ({error}); save the checkpoint again") from error
    if not isinstance(data, dict):
        raise VlmgateError(f"{name}: {path} holds {type(data).__name__} where a JSON object was expected")
    return data


def _check_safetensors(path: Path, name: str) -> None:
    """Compare the length the header promises with the length on disk (format: github.com/huggingface/safetensors)."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, 100_000_000):
            raise VlmgateError(f"{name}: {path} is not a safetensors file or is cut off ({size} bytes); copy it again")
        try:
            header = json.loads(file.read(length))
            end = max((int(entry["data_offsets"][1]) for key, entry in header.items() if key != "__metadata__"), default=0)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise VlmgateError(f"{name}: {path} has a damaged safetensors header ({error}); copy it again") from error
    if 8 + length + end != size:
        raise VlmgateError(
            f"{name}: {path} is truncated: {size} bytes on disk, {8 + length + end} promised by its header; copy it again"
        )
