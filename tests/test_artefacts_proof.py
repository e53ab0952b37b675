"""What a reloaded artefact must show: kernels that really ran, seconds of compilation."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from vlmgate.artefacts import build_artefact, cannot_run, load_artefact
from vlmgate.artefacts.proof import LOW_ON_CUDA, low_precision_kernels, low_share
from vlmgate.spec import Model, Step, Variant
from vlmgate.variants import VARIANTS, int8_dynamic
from vlmgate.variants.packed import PackedLinear, put


def test_kernels_are_counted_not_believed(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    exact = build_artefact(tiny_model, VARIANTS["int8-dynamic"], tiny_checkpoint, tmp_path / "a")
    assert exact["low_precision_kernels"] == 1.0
    captioner = load_artefact(tmp_path / "a")
    packed = {name: module for name, module in captioner.model.named_modules() if isinstance(module, PackedLinear)}
    for done, (name, module) in enumerate(packed.items(), start=1):
        put(captioner.model, name, nn.Linear(module.in_features, module.out_features, bias=module.bias() is not None))
        if done == len(packed) // 2:
            assert 0.0 < low_precision_kernels(captioner) < 1.0
    assert low_precision_kernels(captioner) == 0.0


@pytest.mark.parametrize(
    ("counts", "share"),
    [
        ({}, 0.0),
        ({"quantized::linear_dynamic": 3, "quantized::linear_prepack": 9, "aten::linear": 1, "aten::addmm": 1}, 0.75),
        ({"aten::_int_mm": 3, "aten::linear": 1, "aten::addmm": 4}, 0.75),  # three of them outliers of LLM.int8
        ({"Torch-Compiled Region: 0/0": 1, "aten::_int_mm": 3, "aten::addmm": 1}, 0.75),
        ({"Torch-Compiled Region: 0/0": 1, "aten::_int_mm": 2, "aten::linear": 1, "aten::addmm": 1, "aten::mm": 1}, 0.5),
        ({"Torch-Compiled Region: 0/0": 1, "aten::_int_mm": 3}, 1.0),
    ],
)
def test_a_float_product_counts_once_compiled_or_not(counts: dict[str, int], share: float) -> None:
    assert low_share(counts) == share


def test_a_product_of_bitsandbytes_counts_on_a_gpu_only() -> None:
    counts = {"bitsandbytes::int8_linear_matmul": 1, "aten::linear": 1}
    assert (low_share(counts), low_share(counts, LOW_ON_CUDA)) == (0.0, 0.5)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_layer_left_in_floats_is_seen_in_compiled_code(
    backend: str, tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path
) -> None:
    steps = (VARIANTS["torchao-int8-dynamic"].steps[0], Step("compiled", {"backend": backend, "dynamic": True}))
    if why := cannot_run(Variant("x", steps)):
        pytest.skip(why)
    exact = build_artefact(tiny_model, Variant("x", steps), tiny_checkpoint, tmp_path / "a")
    assert exact["low_precision_kernels"] == 1.0
    torch._dynamo.reset()
    captioner = load_artefact(tmp_path / "a")
    name = next(name for name, module in captioner.model.named_modules() if name.endswith("mlp.fc1"))
    layer = captioner.model.get_submodule(name)
    put(captioner.model, name, nn.Linear(layer.in_features, layer.out_features))
    assert 0.5 < low_precision_kernels(captioner) < 1.0


def test_a_recipe_that_promises_int8_and_does_nothing_is_found_out(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def idle(model: Any, prefixes: Any, parameters: Any) -> None: ...

    monkeypatch.setattr(int8_dynamic, "apply", idle)
    monkeypatch.setattr(int8_dynamic, "KEEPS_WEIGHTS", True, raising=False)  # else preparing finds it out
    exact = build_artefact(tiny_model, VARIANTS["int8-dynamic"], tiny_checkpoint, tmp_path / "a")
    assert exact["low_precision_kernels"] == 0.0


def test_who_promises_nothing_is_not_profiled(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    exact = build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, tmp_path / "a")
    assert not {"low_precision_kernels", "compile_seconds", "compiled_graphs"} & set(exact)
