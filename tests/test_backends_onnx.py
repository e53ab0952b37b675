"""ONNX Runtime: FP32 graphs caption as transformers does, and artefacts come back the same."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from exported import same_as_transformers, same_on_the_evaluation_images, searches_as_transformers

from vlmgate.artefacts import CARD, build_artefact, cannot_run, load_artefact
from vlmgate.backends import onnx as onnx_backend
from vlmgate.backends.onnx_int8 import quantize
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS

FP32 = Variant("fp32-onnx", backend="onnx")
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
    same_on_the_evaluation_images(VARIANTS["onnx-fp32"], tmp_path / "a")


INT8 = VARIANTS["onnx-int8"]


def nodes(folder: Path) -> Counter[str]:
    import onnx

    return Counter(node.op_type for name in ("encoder", "step") for node in onnx.load(folder / f"{name}.onnx").graph.node)


def test_int8_is_in_the_graph_and_the_head_shares_its_matrix_with_the_embedding(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    import onnx

    exact = build_artefact(tiny_model, INT8, tiny_checkpoint, tmp_path / "a")
    assert exact["reloads"] == 1.0
    found = nodes(tmp_path / "a")
    assert exact["low_precision_kernels"] == found["MatMulInteger"] / (found["MatMulInteger"] + 1)  # all but the patches ran so
    layers = 2 * 4 + 2 * 2 + 2 * 6 + 2  # vision, image's keys and values, text, head
    assert found["MatMulInteger"] == found["DynamicQuantizeLinear"] == layers
    assert {file.suffix for file in (tmp_path / "a").iterdir()} == {".json", ".onnx"}
    step = onnx.load(tmp_path / "a" / "step.onnx").graph
    vocabulary = next(each.type.tensor_type.shape.dim[1].dim_value for each in step.output if each.name == "logits")
    tables = [each for each in step.initializer if len(each.dims) == 2 and vocabulary in each.dims]
    assert [(each.data_type, list(each.dims)) for each in tables] == [(onnx.TensorProto.INT8, [32, vocabulary])]
    assert 0.5 < exact["low_precision_share"] < 1  # the tiny model is half norms, biases and positions


def test_int8_logits_are_near_those_of_fp32(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    """Near, so that the scales are right, and not equal, so that they were used."""
    logits = []
    for variant in (FP32, INT8):
        build_artefact(tiny_model, variant, tiny_checkpoint, tmp_path / variant.name)
        runner = load_artefact(tmp_path / variant.name).model
        runner.look(np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32))
        logits.append(runner.step(np.array([runner.graphs["start"]]), 0))
    off = float(np.abs(logits[0] - logits[1]).max() / np.abs(logits[0]).max())
    assert 1e-6 < off < 0.05


def test_a_graph_without_matrices_is_refused() -> None:
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    empty = helper.make_model(helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", ports[:1], ports[1:]))
    with pytest.raises(VlmgateError, match="nothing would be quantized"):
        quantize(empty)


def test_int8_graphs_that_hold_floats_are_found_out(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variant promises INT8, its graphs are left in float32: every product is counted, and none ran in INT8."""
    monkeypatch.setattr(onnx_backend, "quantize", lambda proto: proto)
    exact = build_artefact(tiny_model, INT8, tiny_checkpoint, tmp_path / "a")
    assert exact["low_precision_kernels"] == 0.0


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"weights": "INT8"}, "onnx: weights are 'INT8'; known is int8, or leave it out for float32"),
        ({"wieghts": "int8"}, "onnx: unknown parameter 'wieghts'; did you mean weights?"),
    ],
)
def test_unknown_parameters_are_refused(
    parameters: dict[str, str], words: str, tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    """A graph in float32 under the name of INT8 would come of them."""
    variant = Variant("x", (Step("graph", parameters),), backend="onnx")
    with pytest.raises(VlmgateError, match=words):
        build_artefact(tiny_model, variant, tiny_checkpoint, tmp_path / "a")
    with pytest.raises(VlmgateError, match=words):
        onnx_backend.precisions(variant)
