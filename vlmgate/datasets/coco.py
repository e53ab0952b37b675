"""Read a folder of images with captions in the COCO captions format: captions.json beside images/."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from vlmgate.spec import Dataset, Example, VlmgateError

CAPTIONS = "captions.json"
GRAPHS = "scenes.json"
IMAGES = "images"
MANIFEST = "manifest.json"


def load_coco(folder: str | Path, name: str | None = None, limit: int | None = None) -> Dataset:
    """Load the images of ``folder`` and their reference captions, in the order of the image ids.

    ``captions.json`` is as published by COCO (https://cocodataset.org/#format-data, caption annotations): ``images``
    with ``id`` and ``file_name`` (below ``images/``), ``annotations`` with ``id``, ``image_id`` and ``caption``. Where
    a ``manifest.json`` lies beside it, every file that is used must have the sha256 written there.

    Args:
        folder: Where captions.json is.
        name: Name of the dataset; the folder's own by default.
        limit: Take the first so many images only; files of the others need not exist.

    Returns:
        The dataset. Its ``sha256`` covers ids, captions and image bytes of the examples taken, not file names.

    Raises:
        VlmgateError: Something about the folder is wrong; the sentence says what and where.
    """
    if limit is not None and limit < 1:
        raise VlmgateError(f"The limit on images is {limit}; expected 1 or more, or none.")
    root = Path(folder).absolute()
    document = _read_json(root / CAPTIONS, "a captions file in COCO format")
    files = _image_files(root / CAPTIONS, document)
    references = _references(root / CAPTIONS, document, files)
    taken = {number: f"{IMAGES}/{files[number]}" for number in sorted(files)[:limit]}
    _check_present(root, taken)
    digests = {file: _sha256(root / file) for file in taken.values()}
    _check_manifest(root, digests)
    total = hashlib.sha256()
    for number, file in taken.items():
        total.update(json.dumps([number, references[number], digests[file]]).encode() + b"\n")
    examples = tuple(Example(number, str(root / file), tuple(references[number])) for number, file in taken.items())
    return Dataset(name or root.name, examples, total.hexdigest())


def load_graphs(folder: str | Path) -> dict[int, dict[str, Any]]:
    """Scene graphs (``scenes.json``) of rendered scenes: image id → graph, as `scenes.objects_right` takes it.

    Raises:
        VlmgateError: The folder has none, or it is not JSON.
    """
    graphs = _read_json(Path(folder) / GRAPHS, "the scene graphs of rendered scenes")
    return {int(number): graph for number, graph in graphs.items()}


def _read_json(path: Path, what: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise VlmgateError(f"{path} does not exist; expected {what} there: check the folder.") from error
    except json.JSONDecodeError as error:
        raise VlmgateError(f"{path}, line {error.lineno}: not JSON ({error.msg}); mend that line.") from error
    except UnicodeDecodeError as error:
        raise VlmgateError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except RecursionError as error:
        raise VlmgateError(f"{path} is nested too deeply; expected {what}.") from error
    except OSError as error:
        raise VlmgateError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if not isinstance(document, dict):
        raise VlmgateError(f"{path} holds a JSON {type(document).__name__}; expected an object, as {what} has.")
    return document


def _rows(path: Path, document: Mapping[str, Any], key: str, fields: Mapping[str, type]) -> list[dict[str, Any]]:
    """The list under ``key``, each row with the ``fields`` of the right types and an id of its own."""
    rows = document.get(key)
    if not isinstance(rows, list):
        raise VlmgateError(f'{path} has no list "{key}"; expected the COCO captions format.')
    seen: set[int] = set()
    for index, row in enumerate(rows):
        for field, kind in fields.items():
            value = row.get(field) if isinstance(row, dict) else None
            if not isinstance(value, kind) or isinstance(value, bool):
                raise VlmgateError(f'{path}: {key}[{index}] needs "{field}" ({kind.__name__}); it has {value!r:.60}.')
        if row["id"] in seen:
            raise VlmgateError(f"{path}: {key}[{index}] repeats the id {row['id']}; give each of the {key} its own id.")
        seen.add(row["id"])
    return rows


def _image_files(path: Path, document: Mapping[str, Any]) -> dict[int, str]:
    """Image id → file name below images/."""
    rows = _rows(path, document, "images", {"id": int, "file_name": str})
    if not rows:
        raise VlmgateError(f'{path} lists no image; expected one or more under "images".')
    for row in rows:
        name = row["file_name"]
        steps = PurePosixPath(name).parts + PureWindowsPath(name).parts
        # Links are the owner's own doing and allowed; a name that climbs out is not.
        if ".." in steps or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or not steps:
            raise VlmgateError(f"{path}: image {row['id']} has the file name {name!r}; expected a path inside {IMAGES}/.")
    return {row["id"]: row["file_name"] for row in rows}


def _references(path: Path, document: Mapping[str, Any], files: Mapping[int, str]) -> dict[int, list[str]]:
    """Image id → its captions, in the order of the file, white space made single blanks."""
    found: dict[int, list[str]] = {number: [] for number in files}
    for row in _rows(path, document, "annotations", {"id": int, "image_id": int, "caption": str}):
        if row["image_id"] not in found:
            raise VlmgateError(
                f"{path}: annotation {row['id']} is for image id {row['image_id']}, which is not listed under "
                '"images"; add the image or remove the annotation.'
            )
        caption = " ".join(row["caption"].split())
        if not caption:
            raise VlmgateError(f"{path}: annotation {row['id']} has an empty caption; write one or remove it.")
        found[row["image_id"]].append(caption)
    bare = [number for number in files if not found[number]]
    if bare:
        raise VlmgateError(
            f"{path}: {len(bare)} of {len(files)} images have no caption, first image id {bare[0]} "
            f"({files[bare[0]]}); add a caption or remove the image."
        )
    return found


def _check_present(root: Path, taken: Mapping[int, str]) -> None:
    missing = [file for file in taken.values() if not (root / file).is_file()]
    if missing:
        raise VlmgateError(
            f"{root / CAPTIONS} lists {len(taken)} images and {len(missing)} of them are missing, first "
            f"{root / missing[0]}; copy them there or remove them from the list."
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VlmgateError(f"{path} cannot be read ({error.strerror}); copy it there again.") from error


def _check_manifest(root: Path, digests: Mapping[str, str]) -> None:
    """Compare the images taken, and all other files listed, with manifest.json where there is one."""
    path = root / MANIFEST
    if not path.exists():
        return
    manifest = _read_json(path, "the sha256 of each file")
    listed = manifest.get("files")
    if not isinstance(listed, dict):
        raise VlmgateError(f'{path} has no "files" (file → sha256); remove it, or make the folder again.')
    others = {file for file in listed if not file.startswith(f"{IMAGES}/")} | {CAPTIONS}
    actual = dict(digests) | {file: _sha256(root / file) for file in sorted(others)}
    wrong = [file for file, digest in actual.items() if listed.get(file) != digest]
    if wrong:
        command = str(manifest.get("command", "")).replace(" DIR", f" {shlex.quote(str(root))} --force", 1)
        remedy = f"make the folder again with: {command}" if command else f"restore it, or remove {MANIFEST}"
        raise VlmgateError(
            f"{root / wrong[0]} is not the file {path} describes (sha256 differs or is not listed; "
            f"{len(wrong)} of {len(actual)} files); {remedy}"
        )
