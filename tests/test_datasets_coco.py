"""Reading folders in the COCO captions format, and what is said about each way they can be wrong."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vlmgate.datasets.coco import load_coco, load_graphs
from vlmgate.spec import VlmgateError


def document() -> dict[str, Any]:
    return {
        "images": [{"id": number, "file_name": f"{number}.png", "width": 2, "height": 2} for number in (5, 2, 9)],
        "annotations": [
            {"id": 1, "image_id": 9, "caption": "nine"},
            {"id": 2, "image_id": 2, "caption": "two"},
            {"id": 3, "image_id": 5, "caption": "five"},
            {"id": 4, "image_id": 2, "caption": " also\ntwo "},
        ],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "cats"
    (root / "images").mkdir(parents=True)
    for number in (5, 2, 9):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(root / "images" / f"{number}.png")
    write(root, document())
    return root


def write(folder: Path, content: Any) -> None:
    (folder / "captions.json").write_text(json.dumps(content), encoding="utf-8")


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(VlmgateError) as caught:
        load_coco(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_examples_come_in_the_order_of_ids_with_all_captions(folder: Path) -> None:
    dataset = load_coco(folder)
    assert dataset.name == "cats"
    assert [example.id for example in dataset.examples] == [2, 5, 9]
    assert dataset.examples[0].references == ("two", "also two")
    assert dataset.examples[0].image == str(folder / "images" / "2.png")
    assert load_coco(folder, "dogs").name == "dogs"


def test_paths_are_absolute_whatever_the_current_folder_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    assert load_coco("cats") == load_coco(folder)


def test_sha256_covers_captions_and_image_bytes_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    before = load_coco(folder).sha256
    copy = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    assert load_coco(copy).sha256 == before
    changed = document()
    changed["annotations"][0]["caption"] = "ten"
    write(copy, changed)
    assert load_coco(copy).sha256 != before
    write(copy, document())
    assert load_coco(copy).sha256 == before
    Image.new("RGB", (2, 2), (99, 0, 0)).save(copy / "images" / "9.png")
    assert load_coco(copy).sha256 != before


def test_a_limit_takes_the_first_and_hashes_only_those(folder: Path) -> None:
    two = load_coco(folder, limit=2)
    assert [example.id for example in two.examples] == [2, 5]
    assert two.sha256 != load_coco(folder).sha256
    (folder / "images" / "9.png").unlink()
    assert load_coco(folder, limit=2) == two
    assert len(load_coco(folder, limit=2).examples) == 2
    assert "limit on images is 0" in refusal(folder, limit=0)


def test_a_limit_above_the_size_takes_all(folder: Path) -> None:
    assert load_coco(folder, limit=100) == load_coco(folder)


def test_missing_and_malformed_captions_file(folder: Path) -> None:
    path = folder / "captions.json"
    path.write_text('{"images": [\n1,\n}', encoding="utf-8")
    assert f"{path}, line 3: not JSON" in refusal(folder)
    path.write_bytes(b'{"images": "\xff"}')
    assert "not UTF-8" in refusal(folder)
    path.write_text("[" * 100_000, encoding="utf-8")
    assert str(path) in refusal(folder)
    path.write_text("[]", encoding="utf-8")
    assert "JSON list" in refusal(folder)
    path.unlink()
    assert f"{path} does not exist" in refusal(folder)


def _set(key: str, index: int, field: str, value: Any) -> dict[str, Any]:
    content = document()
    content[key][index][field] = value
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"annotations": []}, 'no list "images"'),
        ({"images": [], "annotations": []}, "lists no image"),
        (document() | {"annotations": None}, 'no list "annotations"'),
        (document() | {"images": ["a"]}, 'images[0] needs "id" (int)'),
        (_set("images", 1, "id", "2"), 'images[1] needs "id" (int)'),
        (_set("images", 1, "id", True), 'images[1] needs "id" (int)'),
        (_set("images", 1, "id", 5), "images[1] repeats the id 5"),
        (_set("annotations", 3, "id", 1), "annotations[3] repeats the id 1"),
        (_set("annotations", 0, "image_id", 77), "annotation 1 is for image id 77"),
        (_set("annotations", 0, "caption", None), 'annotations[0] needs "caption" (str)'),
        (_set("annotations", 0, "caption", " \n"), "annotation 1 has an empty caption"),
        (_set("annotations", 0, "image_id", 2), "1 of 3 images have no caption, first image id 9 (9.png)"),
        (_set("images", 0, "file_name", "../../secret.png"), "expected a path inside images/"),
        (_set("images", 0, "file_name", "a/../../b.png"), "expected a path inside images/"),
        (_set("images", 0, "file_name", "/etc/hosts"), "expected a path inside images/"),
        (_set("images", 0, "file_name", "..\\b.png"), "expected a path inside images/"),
        (_set("images", 0, "file_name", "C:\\b.png"), "expected a path inside images/"),
        (_set("images", 0, "file_name", ""), "expected a path inside images/"),
    ],
)
def test_what_is_wrong_in_the_captions_file_is_named(folder: Path, content: Any, says: str) -> None:
    write(folder, content)
    message = refusal(folder)
    assert says in message and str(folder / "captions.json") in message


def test_missing_images_are_counted_and_the_first_named(folder: Path) -> None:
    (folder / "images" / "5.png").unlink()
    (folder / "images" / "9.png").unlink()
    message = refusal(folder)
    assert "lists 3 images and 2 of them are missing" in message and str(folder / "images" / "5.png") in message


def add_manifest(folder: Path, command: str | None) -> None:
    files = [folder / "captions.json", *sorted((folder / "images").iterdir())]
    sums = {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    content = {"files": sums} | ({"command": command} if command else {})
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def test_a_manifest_that_holds_changes_nothing(folder: Path) -> None:
    plain = load_coco(folder)
    add_manifest(folder, None)
    assert load_coco(folder) == plain


@pytest.mark.parametrize("file", ["captions.json", "images/5.png"])
def test_a_manifest_mismatch_names_file_and_command(folder: Path, file: str) -> None:
    add_manifest(folder, "python -m make cats DIR --images 3")
    with (folder / file).open("ab") as damaged:
        damaged.write(b" ")
    message = refusal(folder)
    assert str(folder / file) in message and f"python -m make cats {folder} --force --images 3" in message


def test_manifest_covers_what_is_used_and_every_file_that_is_no_image(folder: Path) -> None:
    add_manifest(folder, None)
    (folder / "images" / "9.png").write_bytes(b"damaged")
    assert len(load_coco(folder, limit=2).examples) == 2
    assert "restore it" in refusal(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["scenes.json"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "scenes.json" in refusal(folder, limit=2)
    (folder / "manifest.json").write_text("{}")
    assert 'no "files"' in refusal(folder)


def test_graphs_by_image_id(tmp_path: Path) -> None:
    (tmp_path / "scenes.json").write_text('{"7": {"groups": []}}')
    assert load_graphs(tmp_path) == {7: {"groups": []}}
    with pytest.raises(VlmgateError, match=r"scenes\.json does not exist"):
        load_graphs(tmp_path / "none")
