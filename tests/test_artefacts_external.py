"""Artefacts that are there already, gated by a real run: whole ones, and every way in which one can be broken."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from exported import briefly_calibrated
from project import ROOT, Project
from safetensors.torch import load_file, save_file
from tiny import save_tiny_blip

import vlmgate
from vlmgate import spec
from vlmgate.artefacts import build_artefact, cannot_run, figures, flaw
from vlmgate.backends import onnx, openvino
from vlmgate.judge.always import always
from vlmgate.running.exporting import copy_out, prepare_one
from vlmgate.spec import Model, Outcome, Question, Variant, VlmgateError
from vlmgate.variants import VARIANTS, artefact
from vlmgate.variants.artefact import CARD, fingerprint, named

Run = Callable[..., tuple[int, str, str]]
NAMES = "shipped, plain, changed, gone"
HEAD = f"""\
schema: 1
plugins: [tiny.py]
settings: {{images: 4, timed_images: 2, rounds: 2, blocks: 6, threads: 1, new_tokens: 4, max_tokens: 8}}
variants:
  shipped: {{artefact: ../shipped}}
  plain: {{artefact: ../plain}}
  changed: {{artefact: ../changed}}
  gone: {{artefact: gone}}
tiers:
  default:
    cases:
      - {{models: [tiny], variants: [fp32, {NAMES}], datasets: [scenes]}}
thresholds:
  - {{cases: "*", metric: agreement, against: limit, at_least: 0.25, reason: the same captions}}
  - {{cases: "*/shipped/*", metric: size, against: reference, floor: 0.05, reason: smaller}}
  - {{cases: "*/plain/*", metric: size, against: reference, floor: 0.05, reason: an unmodified model is not smaller}}
"""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, tiny_model: Model) -> Path:
    """An export of the tiny model in INT8."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLMGATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = prepare_one(tiny_model, VARIANTS["int8-dynamic"], Path(), threads=1)
        return copy_out(made, tmp_path_factory.mktemp("export") / "shipped", "a card")


@pytest.fixture
def copied(shipped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped, tmp_path / "copy"))


def variant(folder: Path) -> Variant:
    return named("mine", folder, "mine")


@pytest.fixture(scope="module")
def run(project: Project, shipped: Path, tiny_checkpoint: Path) -> spec.Run:
    """A run over an export, a save_pretrained folder, an export that was changed, and a folder that is not there."""
    shutil.copytree(shipped, project.root / "shipped")
    shutil.copytree(tiny_checkpoint, project.root / "plain")
    changed = shutil.copytree(shipped, project.root / "changed")
    (changed / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    suite = project.suite("artefacts.yaml", HEAD)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in project.environment().items():
            patch.setenv(name, value)
        questions = ["size", "quality"]
        return vlmgate.run(suite=suite, questions=questions, results=project.root / "elsewhere", progress=lambda line: None)


def test_artefacts_are_gated_as_they_are(run: spec.Run, shipped: Path, tiny_checkpoint: Path) -> None:
    found = {(v.case.split("/")[1], v.metric): v.outcome for v in run.verdicts if not v.case.startswith("tiny/fp32")}
    assert found["shipped", "agreement"] == found["shipped", "size"] == found["plain", "agreement"] == Outcome.PASS
    assert found["plain", "size"] == Outcome.FAIL
    records = {record.variant: record for record in run.cases}
    assert records["shipped"].recipe["sha256"] == fingerprint(shipped)
    assert records["shipped"].exact["low_precision_kernels"] > 0 and "reloads" not in records["shipped"].exact
    assert records["plain"].captions == records["fp32"].captions
    reference, plain = records["fp32"].exact, records["plain"].exact
    assert plain["parameters"] == reference["parameters"] and plain["low_precision_share"] == 0.0
    weights = load_file(tiny_checkpoint / "model.safetensors")
    assert plain["weight_bytes"] == sum(value.numel() * value.element_size() for value in weights.values())


def test_a_changed_or_missing_artefact_fails_in_words(run: spec.Run) -> None:
    records = {record.variant: record for record in run.cases}
    assert records["changed"].failure and records["gone"].failure
    assert "changed/tokenizer_config.json is not the one that was exported; export it again" in records["changed"].failure.message
    assert "there is no folder" in records["gone"].failure.message and records["gone"].recipe["sha256"] == ""
    failed = {v.case for v in run.verdicts if v.outcome is Outcome.FAIL}
    assert failed >= {"tiny/changed/scenes", "tiny/gone/scenes"}


def test_list_says_what_fails_here(run: spec.Run, vlmgate: Run) -> None:
    status, out, _ = vlmgate("list", "--suite", "benchmarks/artefacts.yaml")
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert status == 0 and rows["shipped"].split()[-2:] == ["runs", "here"]
    assert "fails here: there is no folder" in rows["gone"] and "gone (fails here)" in out


def test_a_whole_artefact_has_no_flaw(copied: Path) -> None:
    assert flaw(variant(copied)) == "" == flaw(VARIANTS["fp32"])
    (copied / "model.safetensors").write_bytes((copied / "model.safetensors").read_bytes()[:-1])
    assert "is truncated" in flaw(variant(copied))
    with pytest.raises(VlmgateError, match="is truncated"):
        figures(variant(copied), "blip")
    (copied / CARD).write_text("[]", encoding="utf-8")
    assert "has artefact version None" in flaw(variant(copied))
    (copied / CARD).unlink()
    (copied / "config.json").unlink()
    assert "is no artefact: it has neither vlmgate.json" in flaw(variant(copied))


def test_one_bit_of_a_weight_is_seen(copied: Path) -> None:
    content = bytearray((copied / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copied / "model.safetensors").write_bytes(content)
    with pytest.raises(VlmgateError, match=r"model.safetensors is not the one that was exported"):
        figures(variant(copied), "blip")
    (copied / "vocab.txt").unlink(missing_ok=True)
    card = json.loads((copied / CARD).read_text(encoding="utf-8"))
    (copied / CARD).write_text(json.dumps({**card, "files": {**card["files"], "lost": ""}}), encoding="utf-8")
    with pytest.raises(VlmgateError, match=r"lost is missing"):
        figures(variant(copied), "blip")


def test_another_family_is_refused(copied: Path) -> None:
    with pytest.raises(VlmgateError, match="holds a blip model where llava was expected"):
        figures(variant(copied), "llava")
    with pytest.raises(VlmgateError, match="names no artefact"):
        figures(VARIANTS["fp32"], "blip")


def test_a_half_precision_folder_is_measured_as_stored(tmp_path: Path) -> None:
    folder = save_tiny_blip(tmp_path / "half")
    weights = {name: value.to(torch.bfloat16) for name, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}), encoding="utf-8")
    found = figures(variant(folder), "blip")
    assert 16.0 <= found["bits_per_weight"] < 17.0
    assert len(vlmgate.load(folder).caption([ROOT / "fixtures" / "scenes" / "images" / "000000.jpg"], max_tokens=4)) == 1


def test_a_torchao_folder_is_measured_as_stored(tiny_checkpoint: Path, tmp_path: Path) -> None:
    quantization = pytest.importorskip("torchao.quantization")
    from transformers import AutoModelForImageTextToText, AutoProcessor, TorchAoConfig

    folder = tmp_path / "weights-only"
    config = TorchAoConfig(quantization.Int8WeightOnlyConfig())
    model = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint, dtype=torch.float32, quantization_config=config)
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(tiny_checkpoint, backend="pil").save_pretrained(folder)
    found, plain = figures(variant(folder), "blip"), figures(variant(tiny_checkpoint), "blip")
    assert found["low_precision_share"] > 0.3 and found["weight_bytes"] < 0.8 * plain["weight_bytes"]
    assert found["parameters"] == plain["parameters"]


@pytest.mark.parametrize("name", ["onnx-int8", "openvino-int8"])
def test_a_graph_is_gated_as_it_is_and_floats_under_the_name_of_int8_are_found_out(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, name: str
) -> None:
    """An export in INT8, and beside it one whose graphs were put in its place in float32 by somebody."""
    whole = VARIANTS[name] if name.startswith("onnx") else briefly_calibrated(VARIANTS[name])
    if why := cannot_run(whole):
        pytest.skip(why)
    build_artefact(tiny_model, whole, tiny_checkpoint, tmp_path / "made")
    folder = copy_out(tmp_path / "made", tmp_path / "shipped", "a card")
    assert variant(folder).backend == whole.backend and flaw(variant(folder)) == ""
    found = figures(variant(folder), "blip")
    assert found["low_precision_kernels"] > 0.9 and "reloads" not in found
    assert found["size"] == sum(file.stat().st_size for file in folder.iterdir() if file.name not in (CARD, artefact.README))
    picture = ROOT / "fixtures" / "scenes" / "images" / "000000.jpg"
    assert vlmgate.load(folder).caption([picture], max_tokens=6) == vlmgate.load(tmp_path / "made").caption(
        [picture], max_tokens=6
    )
    build_artefact(tiny_model, replace(whole, steps=()), tiny_checkpoint, tmp_path / "floats")
    for file in (file for file in (tmp_path / "floats").iterdir() if file.name != CARD):
        shutil.copy(file, folder)
    with pytest.raises(VlmgateError, match="is not the one that was exported"):
        figures(variant(folder), "blip")
    shutil.copy(tmp_path / "made" / CARD, folder)  # without the digests of an export
    found = figures(variant(folder), "blip")
    assert found["low_precision_kernels"] == 0.0 == found["low_precision_share"]
    record = spec.CaseRecord("m/v/d", "m", "v", "d", "", (Question.SIZE,), spec.Settings(), {}, "", exact=found)
    assert [verdict.metric for verdict in always(record)] == ["low_precision_kernels", "expected_bytes"]
    assert found["size"] == found["weight_bytes"] + found["container_bytes"] + found["tokenizer_bytes"]


def test_an_onnx_export_is_gated_where_nothing_could_export_it(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that serves there is ONNX Runtime alone; without the package onnx the constants cannot be weighed."""
    whole = VARIANTS["onnx-int8"]
    if why := cannot_run(whole):
        pytest.skip(why)
    build_artefact(tiny_model, whole, tiny_checkpoint, tmp_path / "made")
    monkeypatch.setattr(onnx, "find_spec", lambda name: True if name == "onnxruntime" else None)
    assert cannot_run(whole) == "needs onnx: pip install 'vlmgate[onnx]'"
    assert cannot_run(variant(tmp_path / "made")) == ""
    found = figures(variant(tmp_path / "made"), "blip")
    assert found["low_precision_kernels"] > 0.9 and found["size"] > 0 and "weight_bytes" not in found
    monkeypatch.setattr(onnx, "find_spec", lambda name: None)
    assert cannot_run(variant(tmp_path / "made")) == "needs onnxruntime: pip install 'vlmgate[onnx]'"


def test_int8_packed_for_another_processor_is_skipped_with_the_reason(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An x86 export on ARM, whose torch has QNNPACK alone (torch's own code 2)."""
    card = json.loads((copied / CARD).read_text(encoding="utf-8"))
    (copied / CARD).write_text(json.dumps({**card, "engine": "x86"}), encoding="utf-8")
    monkeypatch.setattr(torch._C, "_supported_qengines", lambda: [2])
    assert cannot_run(variant(copied)) == "torch has no INT8 engine 'x86' on this machine; it has qnnpack"


@pytest.mark.parametrize("name", ["bnb-int8", "torchao-int8-dynamic"])
def test_what_torch_does_not_pack_needs_no_engine(name: str, tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    if why := cannot_run(VARIANTS[name]):
        pytest.skip(why)
    build_artefact(tiny_model, VARIANTS[name], tiny_checkpoint, tmp_path / "made")
    card = json.loads((tmp_path / "made" / CARD).read_text(encoding="utf-8"))
    (tmp_path / "made" / CARD).write_text(json.dumps({**card, "engine": "of another processor"}), encoding="utf-8")
    assert cannot_run(variant(tmp_path / "made")) == ""
    assert figures(variant(tmp_path / "made"), "blip")["low_precision_kernels"] > 0.9


def test_bfloat16_of_an_export_is_asked_of_this_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card says that its graphs compute in it; what only compressing needs is not asked for."""
    pytest.importorskip("openvino")
    monkeypatch.setattr(openvino, "find_spec", lambda name: None if name == "nncf" else True)
    monkeypatch.setattr(openvino, "_without_bf16", lambda device: "no bfloat16 here")
    for name, why in {"openvino-bf16": "no bfloat16 here", "openvino-int8-bf16": "no bfloat16 here", "openvino-int8": ""}.items():
        card = {"version": 3, "family": "blip", "variant": asdict(VARIANTS[name])}
        (tmp_path / CARD).write_text(json.dumps(card), encoding="utf-8")
        assert cannot_run(variant(tmp_path)) == why


FAKE = """\
import json, torch


class my_runtime:
    def load(file):
        loaded = my_runtime()
        loaded.said = json.load(open(file))
        return loaded

    def run(self, pixels, least, most):
        return torch.tensor([self.said[:most]] * len(pixels))
"""


def test_an_engine_that_vlmgate_does_not_know_runs_for_its_variant_alone(project: Project, tmp_path: Path) -> None:
    """The plugin of docs/suite.md, with a file of token ids as the engine; its size is that of the weights beside it."""
    guide = (ROOT / "docs" / "suite.md").read_text(encoding="utf-8").partition("## An engine of your own")[2]
    plugin = guide.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "captions.engine").write_text("[5, 6, 7, 8, 9, 10, 11, 12]", encoding="utf-8")
    for old, new in {"/srv": str(tmp_path), ', device="cuda"': "", '"tensorrt"': '"json"'}.items():
        assert old in plugin
        plugin = plugin.replace(old, new)
    (project.root / "benchmarks" / "engine.py").write_text(FAKE + plugin, encoding="utf-8")
    head = HEAD.partition("thresholds:")[0].replace("[tiny.py]", "[tiny.py, engine.py]").replace(NAMES, "engine")
    suite = project.suite("engine.yaml", re.sub(r"(?s)variants:.*?tiers:", "tiers:", head, count=1))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in project.environment().items():
            patch.setenv(name, value)
        questions = ["latency", "size", "quality"]
        run = vlmgate.run(suite=suite, questions=questions, results=tmp_path, progress=lambda line: None, blocks=1)
    records = {record.variant: record for record in run.cases}
    said = {name: set(record.captions.values()) for name, record in records.items()}
    assert len(said["engine"]) == 1 and len(said["engine"] & said["fp32"]) == 0
    assert records["engine"].exact["reloads"] == 1.0 and records["engine"].exact["agreement"] == 0.0
    assert all(block.times["engine"] for block in run.blocks)
    assert records["engine"].exact["weight_bytes"] == records["fp32"].exact["weight_bytes"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of width 64: bitsandbytes' 4-bit products on a CPU take whole blocks of 64 only."""
    return save_tiny_blip(tmp_path_factory.mktemp("wide") / "checkpoint", width=64)


@pytest.mark.parametrize(
    ("options", "bits"),
    [
        ({"load_in_8bit": True}, 8),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}, 4),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}, 4),
    ],
)
def test_a_bitsandbytes_folder_is_measured_as_stored(wide: Path, tmp_path: Path, options: dict[str, object], bits: int) -> None:
    for library in ("bitsandbytes", "accelerate"):
        pytest.importorskip(library)
    from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

    folder, config = tmp_path / "shipped", BitsAndBytesConfig(**options)
    model = AutoModelForImageTextToText.from_pretrained(wide, dtype=torch.float32, quantization_config=config, device_map="cpu")
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(wide, backend="pil").save_pretrained(folder)
    assert flaw(variant(folder)) == "" == cannot_run(variant(folder))
    found, plain = figures(variant(folder), "blip"), figures(variant(wide), "blip")
    assert found["parameters"] == plain["parameters"]
    low = round(found["low_precision_share"] * found["parameters"])
    linear = sum(v.numel() for n, v in load_file(wide / "model.safetensors").items() if v.ndim == 2 and "embedding" not in n)
    assert 0 <= linear - low < 0.2 * linear, "all but the output layer"
    saved = plain["weight_bytes"] - found["weight_bytes"]
    assert saved == pytest.approx(low * (32 - bits) / 8, rel=0.2), "less scales and codes"
    picture = ROOT / "fixtures" / "scenes" / "images" / "000000.jpg"
    assert len(vlmgate.load(folder).caption([picture], max_tokens=4)) == 1


def test_a_bitsandbytes_folder_says_what_it_needs(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "shipped"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setattr(artefact, "find_spec", lambda name: None if name == "accelerate" else True)
    why = "its config.json says quant_method bitsandbytes, which needs accelerate: pip install accelerate"
    assert cannot_run(variant(folder)) == why
