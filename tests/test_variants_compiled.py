"""torch.compile as a control: the parts are compiled, the answer stays, and the time it takes is reported apart."""

from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from vlmgate.artefacts import build_artefact, cannot_run, load_artefact
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS, compiled


def variant(backend: str) -> Variant:
    return Variant("x", (Step("compiled", {"backend": backend, "dynamic": True}),))


def test_a_loaded_artefact_is_compiled(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    torch._dynamo.reset()
    counters.clear()
    exact = build_artefact(tiny_model, variant("eager"), tiny_checkpoint, tmp_path / "a")
    assert counters["stats"]["unique_graphs"] > 0, "the compiler saw the model"
    assert exact["reloads"] == 1.0
    assert exact["compile_seconds"] > 0.0
    model = load_artefact(tmp_path / "a").model
    assert all(child._compiled_call_impl is not None for child in model.children())


@pytest.mark.slow
def test_the_default_compiler_gives_the_same_tokens(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    if why := cannot_run(VARIANTS["fp32-compile"]):
        pytest.skip(why)
    torch._dynamo.reset()
    exact = build_artefact(tiny_model, VARIANTS["fp32-compile"], tiny_checkpoint, tmp_path / "a")
    assert exact["reloads"] == 1.0
    assert exact["compile_seconds"] > 0.1


def test_without_a_compiler_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert cannot_run(VARIANTS["fp32-compile"]).startswith("torch.compile needs a C++ compiler (g++, clang++, c++), and none is")
    assert compiled.missing({"backend": "eager"}) == "", "which writes no C++"


def test_an_unknown_backend_is_an_error() -> None:
    with pytest.raises(VlmgateError, match=r"^compiled: unknown backend 'gcc'; known: .*inductor"):
        compiled.apply(torch.nn.Linear(1, 1), [], {"backend": "gcc", "dynamic": True})
