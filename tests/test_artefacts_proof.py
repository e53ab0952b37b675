"""What a reloaded artefact must show: kernels that really ran, seconds of compilation."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from vlmgate.artefacts import build_artefact, load_artefact
from vlmgate.artefacts.proof import low_precision_kernels
from vlmgate.spec import Model
from vlmgate.variants import VARIANTS, int8_dynamic
from vlmgate.variants.packed import PackedLinear


def test_kernels_are_counted_not_believed(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    exact = build_artefact(tiny_model, VARIANTS["int8-dynamic"], tiny_checkpoint, tmp_path / "a")
    assert exact["low_precision_kernels"] == 1.0
    captioner = load_artefact(tmp_path / "a")
    packed = {name: module for name, module in captioner.model.named_modules() if isinstance(module, PackedLinear)}
    for done, (name, module) in enumerate(packed.items(), start=1):
        parent, _, child = name.rpartition(".")
        plain = nn.Linear(module.in_features, module.out_features, bias=module.bias() is not None)
        setattr(captioner.model.get_submodule(parent), child, plain)
        if done == len(packed) // 2:
            assert 0.0 < low_precision_kernels(captioner) < 1.0
    assert low_precision_kernels(captioner) == 0.0


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
