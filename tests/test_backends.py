"""The registry of backends: every backend has what artefacts ask of it, and says what it lacks."""

import sys

import pytest

from vlmgate.artefacts import cannot_run
from vlmgate.backends import BACKENDS, backend, graph_parameters, promises_bf16, promises_int8
from vlmgate.spec import Step, Variant
from vlmgate.variants import VARIANTS


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_has_what_artefacts_ask_of_it(name: str) -> None:
    module = backend(name)
    assert isinstance(module.VERSION, int)
    assert all(callable(getattr(module, each)) for each in ("missing", "versions", "build", "load", "weighed"))


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_runtime_is_a_reason_to_skip_and_says_what_to_install(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"vlmgate.backends.{name}.find_spec", lambda _: None)
    assert cannot_run(Variant("x", backend=name)) == f"needs {package}: pip install 'vlmgate[{name}]'"
    monkeypatch.setattr(f"vlmgate.backends.{name}.find_spec", lambda name: sys)
    assert cannot_run(Variant("x", backend=name)) == ""


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnxscript"), ("openvino", "nncf")])
def test_what_only_building_needs_does_not_keep_an_artefact_from_running(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"vlmgate.backends.{name}.find_spec", lambda each: None if each == package else sys)
    variant = VARIANTS[f"{name}-int8"]
    assert backend(name).missing(variant) == f"needs {package}: pip install 'vlmgate[{name}]'"
    assert backend(name).missing(variant, build=False) == ""


def test_the_parameters_are_those_of_the_graph_step() -> None:
    assert graph_parameters(Variant("x", (Step("cast", {"dtype": "y"}), Step("graph", {"precision": "bf16"})))) == {
        "precision": "bf16"
    }
    assert graph_parameters(Variant("x")) == {}


def test_int8_is_promised_by_a_parameter_that_asks_for_it() -> None:
    assert promises_int8(Variant("x", (Step("graph", {"precision": "f32", "step": "int8"}),)))
    assert promises_int8(Variant("x", (Step("graph", {"encoder": "static-int8"}),)))
    assert not promises_int8(Variant("x", (Step("graph", {"precision": "f32"}),)))
    assert not promises_int8(Variant("x"))


def test_bfloat16_is_promised_by_a_parameter_that_asks_for_it() -> None:
    promising = [name for name, variant in VARIANTS.items() if promises_bf16(variant)]
    assert promising == ["openvino-bf16", "openvino-int8-bf16"]
    assert promises_bf16(Variant("x", (Step("graph", {"precision": "f32", "step_precision": "bf16"}),)))
