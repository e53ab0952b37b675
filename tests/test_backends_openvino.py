"""OpenVINO: FP32 graphs caption as transformers does, and artefacts come back the same."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from exported import (
    briefly_calibrated,
    differences,
    pictures,
    same_as_transformers,
    same_on_the_evaluation_images,
    searches_as_transformers,
)

from vlmgate.artefacts import CARD, Captioner, build_artefact, cannot_run, load_artefact, load_processor, load_reference
from vlmgate.artefacts.expected_graphs import graph_bytes
from vlmgate.backends import openvino as openvino_backend
from vlmgate.backends import openvino_runner
from vlmgate.backends.openvino import FILES, WEIGHTED, bf16_kernels, compress, executed, load, missing
from vlmgate.backends.openvino_runner import core
from vlmgate.judge.always import SIZE_ERROR
from vlmgate.models import BLIP_PARTS, family
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS

FP32 = Variant("fp32-openvino", backend="openvino")
pytestmark = pytest.mark.skipif(bool(cannot_run(FP32)), reason=cannot_run(FP32))


def test_fp32_graphs_caption_as_transformers_does(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    exact = build_artefact(tiny_model, FP32, tiny_checkpoint, tmp_path / "a")
    assert exact["reloads"] == 1.0
    assert exact["low_precision_share"] == 0.0
    assert exact["bits_per_weight"] == pytest.approx(32, abs=0.3)
    assert exact["size"] == sum(file.stat().st_size for file in (tmp_path / "a").iterdir() if file.name != CARD)
    same_as_transformers(load_artefact(tmp_path / "a"), tiny_checkpoint, tiny_model)
    searches_as_transformers(tmp_path / "a", tiny_checkpoint, tiny_model)


@pytest.mark.slow
def test_fp32_captions_of_the_evaluation_images_are_those_of_transformers(tmp_path: Path) -> None:
    same_on_the_evaluation_images(VARIANTS["openvino-fp32"], tmp_path / "a")


INT8, BF16, MIXED = (VARIANTS[name] for name in ("openvino-int8", "openvino-bf16", "openvino-int8-bf16"))


def in_int8(ran: list[tuple[str, str, str, str]], graph: str) -> Counter[bool]:
    """How many products with a weight matrix of one graph ran in INT8 (True) and in floats (False)."""
    return Counter(kernel.lower().endswith("i8") for where, kind, kernel, _ in ran if where == graph and kind in WEIGHTED)


def kernels(folder: Path) -> list[tuple[str, str, str, str]]:
    captioner = load_artefact(folder)
    captioner.caption(pictures(1))
    return executed(captioner.model)


def tables(folder: Path, vocabulary: int) -> list[tuple[str, str]]:
    """Type and shape of every constant of the step with a row a word: embedding and output layer."""
    layers = ElementTree.parse(folder / "step.xml").iter("data")
    found = [(each.get("element_type", ""), each.get("shape", "")) for each in layers if each.get("offset")]
    return [(kind, shape) for kind, shape in found if shape.startswith(f"{vocabulary}, ") and not shape.endswith(", 1")]


def test_int8_really_runs_and_the_head_shares_its_matrix_with_the_embedding(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    if why := cannot_run(INT8):
        pytest.skip(why)
    exact = build_artefact(tiny_model, briefly_calibrated(INT8), tiny_checkpoint, tmp_path / "a")
    assert exact["reloads"] == 1.0
    assert exact["low_precision_share"] > 0.8
    assert {file.suffix for file in (tmp_path / "a").iterdir()} == {".json", ".xml", ".bin"}
    ran = kernels(tmp_path / "a")
    # products of two layers (query, key and value apart) and the patches; keys and values; two layers and head
    vision, image, text = 2 * 6 + 1, 2 * 2, 2 * 6 + 2
    assert in_int8(ran, "encoder") == {True: vision + image}, ran
    assert in_int8(ran, "step") == {True: text}, ran
    assert exact["low_precision_kernels"] == 1.0
    vocabulary = load_reference(tiny_checkpoint, tiny_model).config.text_config.vocab_size
    assert [kind for kind, _ in tables(tmp_path / "a", vocabulary)] == ["i8"]
    if not cannot_run(MIXED):  # the same files: attention of the encoder in bfloat16, the step as it was
        mixed = load(tmp_path / "a", load_artefact(tmp_path / "a").model.graphs, MIXED)
        mixed.look(np.zeros((1, 3, mixed.graphs["side"], mixed.graphs["side"]), np.float32))
        mixed.step(np.array([mixed.graphs["start"]]), 0)
        assert [in_int8(executed(mixed), graph) for graph in FILES] == [in_int8(ran, graph) for graph in FILES]
        assert [any("bf16" in kernel for where, _, kernel, _ in executed(mixed) if where == graph) for graph in FILES] == [
            True,
            False,
        ]
    assert not any("bf16" in kernel for _, _, kernel, _ in ran)


INT4 = VARIANTS["openvino-int4"]
TINY_INT4 = briefly_calibrated(INT4, group_size=16)  # the rows of the tiny model are no multiple of 64
without_int4 = pytest.mark.skipif(bool(cannot_run(INT4)), reason=cannot_run(INT4))


@without_int4
def test_a_step_in_int4(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    exact = build_artefact(tiny_model, TINY_INT4, tiny_checkpoint, tmp_path / "a")
    kinds = Counter(node.get("element_type") for node in ElementTree.parse(tmp_path / "a" / "step.xml").iter("data"))
    assert exact["reloads"] == 1.0
    assert kinds["i4"] == 2 * 6 + 1  # two layers, and the layer before the output layer
    vocabulary = load_reference(tiny_checkpoint, tiny_model).config.text_config.vocab_size
    assert [kind for kind, _ in tables(tmp_path / "a", vocabulary)] == ["i8"]
    read = Counter(type_ for graph, kind, _, type_ in kernels(tmp_path / "a") if graph == "step" and kind in WEIGHTED)
    assert read == {"i4": 2 * 6 + 1, "i8": 1}
    assert exact["low_precision_kernels"] == 1.0


@without_int4
@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx512_vnni"), reason="needs INT8 instructions (AVX-512 with VNNI)")
def test_a_step_in_int4_multiplies_what_it_quantizes_at_run_time(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    """OpenVINO's executed graph does not show it: without groups of activations the same files say other logits."""
    build_artefact(tiny_model, TINY_INT4, tiny_checkpoint, tmp_path / "a")
    models, graphs = (
        [core().read_model(tmp_path / "a" / f"{name}.xml") for name in FILES],
        load_artefact(tmp_path / "a").model.graphs,
    )
    said = []
    for size in (16, 16, 0):
        runner = openvino_runner.Runner(models, graphs, {"group_size": size})
        runner.look(np.zeros((1, 3, graphs["side"], graphs["side"]), np.float32))
        said.append(runner.step(np.array([graphs["start"]]), 0))
    assert (said[0] == said[1]).all()
    assert np.abs(said[0] - said[2]).max() > 1e-4 * np.abs(said[2]).max()


@without_int4
def test_a_step_that_stays_in_floats_is_too_large_and_runs_other_kernels(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = graph_bytes(load_reference(tiny_checkpoint, tiny_model).config, "blip", TINY_INT4, BLIP_PARTS)
    whole = build_artefact(tiny_model, TINY_INT4, tiny_checkpoint, tmp_path / "a")["weight_bytes"]
    monkeypatch.setattr("nncf.compress_weights", lambda step, **how: step)
    floats = build_artefact(tiny_model, TINY_INT4, tiny_checkpoint, tmp_path / "b")
    assert expected is not None and floats["weight_bytes"] > (1 + SIZE_ERROR) * whole
    assert abs(whole - expected) < floats["weight_bytes"] - expected
    vision, text = 2 * 6 + 1 + 2 * 2, 2 * 6 + 2
    assert floats["low_precision_kernels"] == vision / (vision + text)


@without_int4
def test_a_group_that_does_not_divide_the_rows_is_refused(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match=r"(?s)group_size is 64, of which the rows of a matrix are no multiple.*size: 32"):
        build_artefact(tiny_model, briefly_calibrated(INT4), tiny_checkpoint, tmp_path / "a")


@without_int4
def test_activations_are_smoothed_unless_told_otherwise(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    smoothed = {}
    for smooth in (True, False):
        folder = tmp_path / str(smooth)
        build_artefact(tiny_model, briefly_calibrated(INT4, group_size=16, smooth_quant=smooth), tiny_checkpoint, folder)
        smoothed[smooth] = "nncf_smooth_quant" in (folder / "encoder.xml").read_text()
    assert smoothed == {True: True, False: False}


def test_float_graphs_run_no_product_in_int8(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    exact = build_artefact(tiny_model, FP32, tiny_checkpoint, tmp_path / "a")
    assert "low_precision_kernels" not in exact  # nothing was promised
    ran = kernels(tmp_path / "a")
    assert set(in_int8(ran, "encoder")) == set(in_int8(ran, "step")) == {False}, ran


def test_int8_that_silently_runs_in_floats_is_found_out(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlmgate.backends.openvino.compress", lambda models, card, parameters, pixels: models)
    exact = build_artefact(tiny_model, INT8, tiny_checkpoint, tmp_path / "a")
    assert exact["low_precision_kernels"] == 0.0


def test_bfloat16_really_runs(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    if why := cannot_run(BF16):
        pytest.skip(why)
    exact = build_artefact(tiny_model, BF16, tiny_checkpoint, tmp_path / "a")
    assert any("BF16" in kernel.upper() for _, kind, kernel, _ in kernels(tmp_path / "a") if kind in WEIGHTED)
    assert exact["bf16_kernels"] > 0.5


def test_bfloat16_that_silently_runs_in_float32_is_found_out(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variant promises bfloat16, and OpenVINO is asked for float32: nodes of both graphs are counted, and none ran so."""
    properties, compile_model = pytest.importorskip("openvino").properties, type(core()).compile_model

    def plainly(self: Any, model: Any, device: str, settings: dict[Any, Any]) -> Any:
        return compile_model(self, model, device, {**settings, properties.hint.inference_precision(): "f32"})

    monkeypatch.setattr(type(core()), "compile_model", plainly)
    exact = build_artefact(tiny_model, BF16, tiny_checkpoint, tmp_path / "a")
    assert exact["bf16_kernels"] == 0.0


def test_only_nodes_that_compute_in_floats_count_and_only_of_graphs_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = [("encoder", "FullyConnected", "brgemm_avx512_bf16"), ("encoder", "Softmax", "jit_avx512_f32")]
    ran += [("encoder", "FullyConnected", "brgemm_avx512_i8"), ("step", "FullyConnected", "brgemm_avx512_f32")]
    ran += [("encoder", "Const", "unknown_f32"), ("encoder", "Input", "unknown_f32"), ("encoder", "Output", "unknown_f32")]
    monkeypatch.setattr(openvino_backend, "executed", lambda runner: [(*node, "") for node in ran])
    runner: Any = SimpleNamespace(floats={"encoder": "bf16", "step": "f32"})
    assert bf16_kernels(runner) == 0.5
    runner.floats["step"] = "bf16"
    assert bf16_kernels(runner) == 1 / 3


def test_bfloat16_is_asked_of_the_device_that_a_graph_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor with AMX the step may be kept to instructions that have none."""
    able = {"CPU": ["FP32", "BF16"], "CPU_AVX512_CORE": ["FP32"]}
    monkeypatch.setattr(openvino_backend, "core", lambda: SimpleNamespace(get_property=lambda device, _: able[device]))
    monkeypatch.setattr(openvino_runner, "kept_to", lambda isa: f"CPU_{isa}")
    kept = {"step_isa": "AVX512_CORE", "precision": "bf16"}
    why = "OpenVINO sees none in CPU_AVX512_CORE, to which step_isa keeps the step"
    assert missing(Variant("x", (Step("graph", kept),))).endswith(why)
    assert missing(Variant("x", (Step("graph", {**kept, "step_precision": "f32"}),))) == ""
    able["CPU"] = ["FP32"]
    assert missing(BF16) == missing(MIXED, build=False) == "needs a CPU with bfloat16 (avx512_bf16 or AMX); OpenVINO sees none"


def test_unknown_parameters_are_refused() -> None:
    nothing: Any = SimpleNamespace()
    for odd, why in (
        ({"encoder": "int4"}, "known are static-int8 with static-int8, int8, int4, or neither of the two"),
        ({"encoder": "static-int8", "step": "int2"}, "known are static-int8 with static-int8, int8, int4"),
        ({"encoder": "static-int8", "step": "int4", "smooth_quant": "no"}, "smooth_quant is 'no'; it is true or false"),
        ({"encoder": "float", "step": "int4"}, "known are static-int8 with static-int8, int8, int4"),
        ({"encoder": "static-int8", "step": "int4", "group_size": 0}, "group_size is 0; it is a number, and a multiple of 16"),
        ({"encoder": "static-int8", "step": "int4", "group_size": 40}, "group_size is 40; it is a number, and a multiple of 16"),
        ({"group_size": "x"}, "group_size is 'x'; it is a number"),
        ({"encoder": "static-int8", "step": "int4", "precision": "bf16"}, "add step_precision: f32"),
        ({"mlp": "int4"}, "openvino: unknown parameter 'mlp'; known: encoder, group_size, images, precision, smooth_quant, step"),
        ({"smoothquant": False}, "openvino: unknown parameter 'smoothquant'; did you mean smooth_quant"),
    ):
        with pytest.raises(VlmgateError, match=why):
            compress([None, None], nothing, odd, lambda number: iter([]))


def test_other_weights_are_seen_as_captions_that_differ(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    """So that the comparison on the evaluation images can fail."""
    build_artefact(tiny_model, FP32, tiny_checkpoint, tmp_path / "a")
    loaded = load_reference(tiny_checkpoint, tiny_model)
    kind, processor = family(tiny_model.family), load_processor(tiny_checkpoint)
    theirs = Captioner(loaded, processor, kind, "cpu", torch.float32)
    assert differences(load_artefact(tmp_path / "a"), theirs, pictures(2)) == []
    with torch.no_grad():
        loaded.text_decoder.cls.predictions.bias[7] += 100.0
    found = differences(load_artefact(tmp_path / "a"), theirs, pictures(2))
    assert [(number, position) for number, position, _ in found] == [(0, 0), (1, 0)]
    assert all(gap > 0 for _, _, gap in found)
