"""Make the image folders: ``python -m vlmgate.datasets.build scenes DIR`` and ``… awkward DIR``."""

import argparse
import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from vlmgate.datasets import awkward, draw, scenes
from vlmgate.datasets.coco import CAPTIONS, GRAPHS, IMAGES, MANIFEST, load_coco
from vlmgate.spec import Dataset, VlmgateError

IMAGE_COUNT = 320
JPEG: dict[str, Any] = {"format": "JPEG", "quality": 92, "subsampling": 0, "optimize": True}
QUIET_SECONDS = 3.0  # progress is shown only after so long, and so often

README = """# {title}

{about}

`captions.json` is in the COCO captions format, `manifest.json` has the sha256 of each file. Made with Pillow {pillow}
and NumPy {numpy}; the same command with the same releases makes the same files again:

    {command}
"""


def build_scenes(folder: str | Path, images: int = IMAGE_COUNT, first_seed: int = 0, force: bool = False) -> None:
    """Render the scenes of ``images`` consecutive evaluation seeds into ``folder``; the image id is the seed.

    Raises:
        VlmgateError: The seeds leave the evaluation range, the folder exists already or cannot be written.
    """
    seeds = range(first_seed, first_seed + images)
    allowed = scenes.EVALUATION_SEEDS
    if images < 1 or seeds[0] not in allowed or seeds[-1] not in allowed:
        raise VlmgateError(
            f"{images} images from seed {first_seed} on are not in the evaluation seeds {allowed.start} … "
            f"{allowed.stop - 1}; choose from 1 to {len(allowed)} images within them."
        )
    with _new_folder(Path(folder), force) as new:
        rows, references, graphs = [], [], {}
        for seed in _with_progress(seeds):
            scene = scenes.sample_scene(seed)
            image, _ = draw.draw_scene(scene)
            row = {"id": seed, "file_name": f"{seed:06d}.jpg", "width": image.width, "height": image.height}
            image.save(new / IMAGES / f"{seed:06d}.jpg", **JPEG)
            rows.append(row)
            references.append(scenes.captions(scene))
            graphs[str(seed)] = scene.graph()
        _write(new / GRAPHS, _one_row_a_line(graphs))
        about = "Rendered scenes with five reference captions an image; `scenes.json` has the scene graph of each image id."
        command = f"python -m vlmgate.datasets.build scenes DIR --images {images} --first-seed {first_seed}"
        _describe(new, rows, references, "Scenes", about, command)


def build_awkward(folder: str | Path, force: bool = False) -> None:
    """Write the small set of unusual image files (see `awkward`) into ``folder``.

    Raises:
        VlmgateError: The folder exists already or cannot be written.
    """
    with _new_folder(Path(folder), force) as new:
        rows, references = [], []
        for number, item in enumerate(awkward.PICTURES):
            width, height = item.save(new / IMAGES / item.file_name)
            rows.append({"id": number, "file_name": item.file_name, "width": width, "height": height})
            references.append(list(item.captions))
        about = "The kinds of file that users' folders hold; captions and sizes are those of the correctly opened image."
        _describe(new, rows, references, "Awkward images", about, "python -m vlmgate.datasets.build awkward DIR")


def rendered_scenes(count: int, cache: Path, limit: int | None = None) -> Dataset:
    """The dataset ``scenes:count``: the first ``count`` evaluation seeds, rendered into ``cache`` when not there yet.

    The folder's name carries the releases of Pillow and NumPy and the drawing code, so that a change of these renders
    anew. A damaged folder is made again.

    Raises:
        VlmgateError: ``count`` is below 1 or above the number of evaluation seeds, or the cache cannot be written.
    """
    if not 1 <= count <= len(scenes.EVALUATION_SEEDS):
        raise VlmgateError(f"scenes:{count} is not possible; choose a number from 1 to {len(scenes.EVALUATION_SEEDS)}.")
    folder = cache / f"scenes-{count}-{_version_key()}"
    name = f"scenes:{count}"
    try:
        return load_coco(folder, name, limit)
    except VlmgateError:
        if limit is not None and limit < 1:
            raise
    try:
        build_scenes(folder, count, scenes.EVALUATION_SEEDS.start, force=folder.exists())
    except VlmgateError:
        if not folder.exists():  # else another process finished the same folder first
            raise
    return load_coco(folder, name, limit)


def _version_key() -> str:
    """12 hexadecimal digits that change with anything that could change a pixel or a caption."""
    parts = [PIL.__version__, np.__version__, json.dumps(JPEG)]
    sources = [Path(module.__file__ or "").read_bytes() for module in (scenes, draw)]
    return hashlib.sha256(b"\0".join([*(part.encode() for part in parts), *sources])).hexdigest()[:12]


@contextmanager
def _new_folder(target: Path, force: bool) -> Iterator[Path]:
    """A temporary folder beside ``target`` that takes its place only when everything in it is written."""
    target = target.resolve()
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    old = new.with_name(new.name + ".old")
    try:
        _check_replaceable(target, force)
        (new / IMAGES).mkdir(parents=True)
        yield new
        _check_replaceable(target, force)  # again: another process may have finished it in the meantime
        if target.exists():
            target.rename(old)
        new.rename(target)
    except OSError as error:
        raise VlmgateError(f"{target} cannot be written ({error.strerror}); choose a folder that can be.") from error
    finally:  # also on Ctrl-C
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _check_replaceable(target: Path, force: bool) -> None:
    if not target.exists():
        return
    if not force:
        raise VlmgateError(f"{target} exists already; give another folder, or --force to replace it.")
    if not target.is_dir() or (any(target.iterdir()) and not (target / CAPTIONS).is_file()):
        raise VlmgateError(f"{target} is no image folder ({CAPTIONS} is not in it), so --force does not replace it.")


def _describe(new: Path, rows: list[dict[str, Any]], references: list[list[str]], title: str, about: str, command: str) -> None:
    """Write captions.json, README.md and, last, the manifest."""
    pairs = [(row["id"], text) for row, texts in zip(rows, references, strict=True) for text in texts]
    document = {
        "info": {"description": f"vlmgate: {title.lower()}", "version": "1"},
        "licenses": [{"id": 1, "name": "MIT License", "url": "https://opensource.org/license/mit"}],
        "images": [row | {"license": 1} for row in rows],
        "annotations": [{"id": i, "image_id": number, "caption": text} for i, (number, text) in enumerate(pairs)],
    }
    _write(new / CAPTIONS, _one_row_a_line(document))
    versions = {"pillow": PIL.__version__, "numpy": np.__version__}
    files = sorted(file for file in new.rglob("*") if file.is_file())
    sums = {file.relative_to(new).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    _write(new / MANIFEST, json.dumps({"command": command, "versions": versions, "files": sums}, indent=1) + "\n")
    _write(new / "README.md", README.format(title=title, about=about, command=command, **versions))


def _one_row_a_line(document: Mapping[str, Any]) -> str:
    """Compact JSON whose differences can still be read: every key, and every row of a list, on its own line."""
    parts = []
    for key, value in document.items():
        if isinstance(value, list):
            text = "[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in value) + "\n]"
        else:
            text = json.dumps(value, separators=(",", ":"))
        parts.append(f"{json.dumps(key)}:{text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _with_progress(seeds: range) -> Iterator[int]:
    shown = time.monotonic()
    for done, seed in enumerate(seeds):
        if time.monotonic() - shown > QUIET_SECONDS:
            shown = time.monotonic()
            print(f"rendered {done} of {len(seeds)} scenes", file=sys.stderr, flush=True)
        yield seed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vlmgate.datasets.build", description="Make a folder of images with captions."
    )
    sets = parser.add_subparsers(dest="set", required=True, metavar="scenes|awkward")
    rendered = sets.add_parser("scenes", help="scenes rendered from evaluation seeds, with scene graphs")
    rendered.add_argument("--images", type=int, default=IMAGE_COUNT, help="how many (default %(default)s)")
    rendered.add_argument("--first-seed", type=int, default=0, help="seed of the first image (default %(default)s)")
    unusual = sets.add_parser("awkward", help="unusual image files: rotated, palette, CMYK, 16-bit, …")
    for one in (rendered, unusual):
        one.add_argument("folder", metavar="DIR", type=Path, help="folder to make; it appears when all is written")
        one.add_argument("--force", action="store_true", help="replace DIR when it is an image folder already")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = _parser().parse_args(arguments)
    try:
        if given.set == "scenes":
            build_scenes(given.folder, given.images, given.first_seed, given.force)
        else:
            build_awkward(given.folder, given.force)
    except VlmgateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped; {given.folder} was left as it was", file=sys.stderr)
        return 130
    print(f"made {os.fspath(given.folder)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
