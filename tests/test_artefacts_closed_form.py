"""Who has a closed form: torch's recipes and graphs do, what needs real weights or does not fit has none and is not gated."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig

from vlmgate.artefacts.closed_form import closed_form
from vlmgate.artefacts.expected import expected_bytes
from vlmgate.artefacts.expected_graphs import graph_bytes
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Step, Variant
from vlmgate.variants import VARIANTS


@pytest.fixture(scope="module")
def config(tiny_checkpoint: Path) -> Any:
    return AutoConfig.from_pretrained(tiny_checkpoint)


def test_torch_and_graphs_have_one(config: Any, tiny_model: Model) -> None:
    fp32, onnx = VARIANTS["fp32"], VARIANTS["onnx-fp32"]
    assert closed_form(config, fp32, tiny_model) == {"expected_bytes": expected_bytes(config, fp32, BLIP_PARTS)}
    assert closed_form(config, onnx, tiny_model) == {"expected_bytes": graph_bytes(config, "blip", onnx, BLIP_PARTS)}


def test_without_one_nothing_is_gated(config: Any, tiny_model: Model) -> None:
    huge = Variant("huge", (Step("heads", {"amount": 0.01, "grouped": "auto"}),))
    compressed = Variant("c", (Step("graph", {"encoder": "static-int8", "step": "int8"}),), backend="openvino")
    assert closed_form(config, huge, tiny_model) == {} == closed_form(config, compressed, tiny_model)
