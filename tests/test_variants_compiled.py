"""torch.compile as a control: the parts are compiled, the answer stays, and the time it takes is reported apart."""

from pathlib import Path

import pytest
import torch
from torch._dynamo.exc import FailOnRecompileLimitHit
from torch._dynamo.utils import counters

from vlmgate.artefacts import build_artefact, cannot_run, load_artefact
from vlmgate.artefacts.proof import fixed_pixels
from vlmgate.judge.always import always
from vlmgate.spec import CaseRecord, Model, Outcome, Question, Settings, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS, compiled


def variant(backend: str) -> Variant:
    return Variant("x", (Step("compiled", {"backend": backend, "dynamic": True}),))


def test_a_loaded_artefact_is_compiled(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    torch._dynamo.reset()
    counters.clear()
    exact = build_artefact(tiny_model, variant("eager"), tiny_checkpoint, tmp_path / "a")
    assert counters["stats"]["unique_graphs"] > 0, "the compiler saw the model"
    assert exact["reloads"] == 1.0
    assert exact["compile_seconds"] > 0.0 and exact["compiled_graphs"] > 0
    model = load_artefact(tmp_path / "a").model
    assert all(child._compiled_call_impl is not None for child in model.children())


def test_a_compiler_that_is_switched_off_is_found_out(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    torch._dynamo.reset()
    with torch.compiler.set_stance("force_eager"):
        exact = build_artefact(tiny_model, variant("eager"), tiny_checkpoint, tmp_path / "a")
    record = CaseRecord("m/v/d", "m", "v", "d", "", (Question.SIZE,), Settings(), {}, "", exact=exact)
    assert [(v.metric, v.outcome) for v in always(record)] == [("compiled_graphs", Outcome.FAIL)]


def test_a_compiled_twin_in_the_same_process_is_compiled_too(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    """Models of the same shape share what was compiled, so each is measured with a compiler that has seen none."""
    for name in ("a", "b"):
        exact = build_artefact(tiny_model, variant("eager"), tiny_checkpoint, tmp_path / name)
        assert exact["compiled_graphs"] > 0 and exact["compile_seconds"] > 0.0


def test_reaching_the_limit_of_recompilations_is_an_error_and_no_eager_model(
    tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = Step("neurons", {"parts": ("vision", "text"), "amount": 0.5, "multiple": 8})
    for name, steps in {"a": (), "b": (fewer,)}.items():
        build_artefact(tiny_model, Variant("x", (*steps, *variant("eager").steps)), tiny_checkpoint, tmp_path / name)
    torch._dynamo.reset()
    one, two = (load_artefact(tmp_path / name) for name in ("a", "b"))
    one.tokens(fixed_pixels(one), least=3, most=3)
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 1)
    with pytest.raises(FailOnRecompileLimitHit):
        two.tokens(fixed_pixels(two), least=3, most=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in VARIANTS if name.endswith("-compile")])
def test_the_default_compiler_gives_the_same_tokens(name: str, tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    if why := cannot_run(VARIANTS[name]):
        pytest.skip(why)
    torch._dynamo.reset()
    exact = build_artefact(tiny_model, VARIANTS[name], tiny_checkpoint, tmp_path / "a")
    assert exact["reloads"] == 1.0
    assert exact["compile_seconds"] > 0.1 and exact["compiled_graphs"] > 0


def test_without_a_compiler_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert cannot_run(VARIANTS["fp32-compile"]).startswith("torch.compile needs a C++ compiler (g++, clang++, c++), and none is")
    assert compiled.missing({"backend": "eager"}) == "", "which writes no C++"


def test_an_unknown_backend_is_an_error() -> None:
    with pytest.raises(VlmgateError, match=r"^compiled: unknown backend 'gcc'; known: .*inductor"):
        compiled.apply(torch.nn.Linear(1, 1), [], {"backend": "gcc", "dynamic": True})
