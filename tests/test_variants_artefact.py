"""What of an artefact's folder counts: every file that ships, and none of our cards."""

import json
from pathlib import Path

import pytest

from vlmgate.spec import Step, Variant, VlmgateError
from vlmgate.variants import artefact, torchao
from vlmgate.variants.artefact import CARD, README, apply, digests, fingerprint, folder_of, missing, named, size_of


def test_every_file_counts_but_the_cards(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("weights", "inner/words", CARD, README):
        (tmp_path / name).write_text("a", encoding="utf-8")
    first = fingerprint(tmp_path)
    assert list(digests(tmp_path)) == ["inner/words", "weights"]
    (tmp_path / README).write_text("b", encoding="utf-8")
    assert fingerprint(tmp_path) == first
    (tmp_path / "inner" / "words").write_text("b", encoding="utf-8")
    assert fingerprint(tmp_path) != first


def test_a_folder_without_files_has_no_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(tmp_path) == "" == fingerprint(tmp_path / "none")
    (tmp_path / "weights").write_bytes(b"12345")
    (tmp_path / CARD).write_bytes(b"123")
    assert size_of(tmp_path) == 5.0


def test_it_runs_where_its_card_says(tmp_path: Path) -> None:
    assert named("mine", tmp_path, "../mine") == Variant(
        "mine", (Step("artefact", {"folder": str(tmp_path)}),), about="the artefact in ../mine, as it is"
    )
    card = {"variant": {"name": "x", "backend": "openvino", "device": "cpu", "dtype": "float32", "steps": []}}
    (tmp_path / CARD).write_text(json.dumps(card), encoding="utf-8")
    assert named("mine", tmp_path, "../mine").backend == "openvino"
    (tmp_path / CARD).write_text("[", encoding="utf-8")
    assert named("mine", tmp_path, "../mine").backend == "torch"
    assert folder_of(named("mine", tmp_path, "")) == tmp_path and folder_of(Variant("fp32")) is None


def test_the_library_of_a_quantized_folder_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(artefact.LIBRARIES, "torchao", ("json", "no_such_library"))
    assert missing({"folder": str(tmp_path)}) == ""
    config = {"quantization_config": {"quant_method": "torchao"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "quant_method torchao, which needs no_such_library: pip install" in missing({"folder": str(tmp_path)})
    monkeypatch.setitem(artefact.LIBRARIES, "torchao", ("json",))
    assert missing({"folder": str(tmp_path)}) == ""


def test_what_our_own_export_needs_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        {"recipe": "l1_prune", "parameters": {"amount": 0.1}},
        {"recipe": "torchao", "parameters": {"scheme": "int8-weights"}},
    ]
    (tmp_path / CARD).write_text(json.dumps({"variant": {"steps": steps}}), encoding="utf-8")
    monkeypatch.setattr(torchao, "find_spec", lambda name: True)
    assert missing({"folder": str(tmp_path)}) == ""
    monkeypatch.setattr(torchao, "find_spec", lambda name: None)
    assert missing({"folder": str(tmp_path)}) == "needs torchao: pip install 'vlmgate[torchao]'"
    (tmp_path / CARD).write_text(json.dumps({"variant": {"steps": [1, {"recipe": "unknown"}]}}), encoding="utf-8")
    assert missing({"folder": str(tmp_path)}) == ""


def test_it_is_never_built(tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match="is never built"):
        apply(None, (), {"folder": str(tmp_path)})
