"""Preparing one artefact and copying it out: whole or not at all, and never over something else."""

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from vlmgate.running import exporting
from vlmgate.running.exporting import copy_out, prepare_one, read_json
from vlmgate.spec import Model, VlmgateError
from vlmgate.variants import VARIANTS
from vlmgate.variants.artefact import CARD, digests


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_model: Model) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLMGATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return prepare_one(tiny_model, VARIANTS["int8-dynamic"], Path(), threads=1)


def test_a_copy_is_whole_and_knows_its_files(made: Path, tmp_path: Path) -> None:
    target = copy_out(made, tmp_path / "new" / "shipped", "what it is")
    assert digests(target) == digests(made) == read_json(target / CARD)["files"]
    assert (target / "README.md").read_text(encoding="utf-8") == "what it is"
    copy_out(made, target, "again")  # an artefact is replaced
    assert (target / "README.md").read_text(encoding="utf-8") == "again"
    assert [path.name for path in target.parent.iterdir()] == ["shipped"]


def test_only_force_replaces_something_else(made: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mother").write_text("dear", encoding="utf-8")
    with pytest.raises(VlmgateError, match=r"letters exists and is no artefact .* or --force"):
        copy_out(made, tmp_path / "letters", "")
    assert (tmp_path / "letters" / "mother").read_text(encoding="utf-8") == "dear"
    copy_out(made, tmp_path / "letters", "", force=True)
    assert digests(tmp_path / "letters") == digests(made)
    with pytest.raises(VlmgateError, match="is no folder"):
        copy_out(made, tmp_path / "letters" / CARD, "")
    for place in (made / "inside", made.parent, made):
        with pytest.raises(VlmgateError, match="lie in each other"):
            copy_out(made, place, "", force=True)
    assert digests(made)


def test_what_was_there_stays_when_the_disk_is_full(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = copy_out(made, tmp_path / "shipped", "first")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "digests", full)
    with pytest.raises(VlmgateError, match="No space left on device; make room, or give a folder that can be written"):
        copy_out(made, target, "second")
    assert (target / "README.md").read_text(encoding="utf-8") == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["shipped"]


def test_a_disk_that_is_full_while_files_are_copied_is_one_short_sentence(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """shutil.copytree collects what went wrong with every file."""

    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device", source, None, target)

    monkeypatch.setattr(shutil, "copytree", partial(shutil.copytree, copy_function=full))
    with pytest.raises(VlmgateError) as caught:
        copy_out(made, tmp_path / "shipped", "")
    words = "[Errno 28] No space left on device; make room, or give a folder that can be written"
    assert str(caught.value) == f"cannot write {tmp_path / 'shipped'}: {words}"
    assert not list(tmp_path.iterdir())


def test_a_variant_that_cannot_run_is_a_sentence(tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMGATE_CACHE", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(VlmgateError, match="fp16-cuda cannot run here: fp16-cuda needs an NVIDIA GPU"):
        prepare_one(tiny_model, VARIANTS["fp16-cuda"], Path(), threads=1)
    with pytest.raises(VlmgateError, match="no checkpoint folder"):
        prepare_one(replace(tiny_model, location=str(tmp_path / "none")), VARIANTS["fp32"], Path(), threads=1)


@pytest.mark.parametrize(("text", "sentence"), [("{", "cannot be read"), ("[]", "holds list where a JSON object was expected")])
def test_a_damaged_card_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / CARD).write_text(text, encoding="utf-8")
    with pytest.raises(VlmgateError, match=sentence):
        read_json(tmp_path / CARD)
    (tmp_path / CARD).write_text(json.dumps({"a": 1}), encoding="utf-8")
    assert read_json(tmp_path / CARD) == {"a": 1}
