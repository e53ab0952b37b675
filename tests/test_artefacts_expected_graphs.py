"""The closed form of graphs, by hand and held against the constants of real exports."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import PATCH, WIDTH
from transformers import AutoConfig, AutoModelForImageTextToText

from vlmgate.artefacts import cannot_run
from vlmgate.artefacts.expected import skeleton, weigh
from vlmgate.artefacts.expected_graphs import graph_bytes
from vlmgate.backends import backend
from vlmgate.backends.onnx_int8 import quantize
from vlmgate.backends.weights import weigh as weigh_constants
from vlmgate.judge.always import SIZE_ERROR
from vlmgate.models import BLIP_PARTS, family
from vlmgate.variants import VARIANTS


def test_every_weight_counts_once(tiny_checkpoint: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_checkpoint)
    whole = weigh(skeleton(config))
    for name in ("onnx-fp32", "openvino-fp32", "openvino-bf16"):  # bfloat16 is only how it computes
        assert graph_bytes(config, "blip", VARIANTS[name], BLIP_PARTS) == whole


def test_int8_by_hand(tiny_checkpoint: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_checkpoint)
    layers, wide, words = 2, 64, config.text_config.vocab_size
    outs = layers * (3 * WIDTH + WIDTH + wide + WIDTH) + layers * (3 * WIDTH + WIDTH + 4 * WIDTH + wide + WIDTH) + WIDTH + words
    matrices = layers * (4 * WIDTH**2 + 2 * WIDTH * wide) + layers * (8 * WIDTH**2 + 2 * WIDTH * wide) + WIDTH**2 + words * WIDTH
    onnx = weigh(skeleton(config)) - 3 * matrices + 4 * outs
    assert graph_bytes(config, "blip", VARIANTS["onnx-int8"], BLIP_PARTS) == onnx
    patches, positions = 3 * PATCH**2 * WIDTH, config.text_config.max_position_embeddings
    tables = 3 * (patches + positions * WIDTH) - 4 * (WIDTH + positions)
    smoothed = layers * (3 * WIDTH + wide) + WIDTH + layers * (5 * WIDTH + wide) + WIDTH  # keys and values of the image share one
    openvino = onnx - tables + 4 * smoothed
    assert graph_bytes(config, "blip", VARIANTS["openvino-int8"], BLIP_PARTS) == openvino
    vision = layers * (4 * WIDTH**2 + 2 * WIDTH * wide) + layers * 2 * WIDTH**2  # with keys and values of the image
    outs = layers * (3 * WIDTH + WIDTH + wide + WIDTH) + layers * 2 * WIDTH
    step = matrices - vision - words * WIDTH  # in INT4; embeddings and head in INT8 with scales of two bytes
    int4 = weigh(skeleton(config)) - 3 * (vision + patches) + 4 * (outs + WIDTH) - step * (4 - 0.5 - 2 / 64)
    int4 -= 3 * (words + positions) * WIDTH - 2 * (words + positions)
    assert graph_bytes(config, "blip", VARIANTS["openvino-int4"], BLIP_PARTS) == int4


@pytest.fixture(scope="module")
def uneven(tiny_checkpoint: Path) -> Any:
    """The tiny model without two equal tensors, which exporters would store once: zeros as biases, ones as norms."""
    model: Any = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint, dtype=torch.float32)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.01 * torch.randn(value.shape, generator=noise)
    return model.eval()


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-int8", "openvino-fp32"])
def test_exports_hold_these_bytes_and_next_to_nothing_else(uneven: Any, name: str) -> None:
    variant = VARIANTS[name]
    if why := cannot_run(variant):
        pytest.skip(why)
    module, graphs = backend(variant.backend), family("blip").graphs(uneven)
    models = module.export(graphs) if variant.backend == "onnx" else module.convert(graphs)
    models = [quantize(each) for each in models] if name == "onnx-int8" else models
    stored = weigh_constants(module.constants(models))["weight_bytes"]
    expected = graph_bytes(uneven.config, "blip", variant, BLIP_PARTS)
    folded = (
        4 * uneven.config.text_config.vocab_size * WIDTH if name == "onnx-fp32" else 0
    )  # so small a head is stored turned, too
    assert expected is not None and 0 <= stored - expected - folded <= 4096  # shapes and single numbers


def test_a_graph_that_was_not_quantized_is_far_off(uneven: Any) -> None:
    whole, small = (graph_bytes(uneven.config, "blip", VARIANTS[name], BLIP_PARTS) for name in ("onnx-fp32", "onnx-int8"))
    assert whole and small and whole > (1 + SIZE_ERROR) * small
