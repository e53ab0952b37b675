"""docs/node_times.py adds up what OpenVINO's profiler says, and the loop around it."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vlmgate.artefacts import build_artefact, cannot_run, load_artefact
from vlmgate.spec import Model, Variant

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("node_times", ROOT / "docs" / "node_times.py")
assert spec and spec.loader
node_times: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(node_times)
FP32 = Variant("fp32-openvino", backend="openvino")


def test_kinds_of_nodes_are_added_up_and_the_rest_is_the_loop() -> None:
    nodes = [("step", "FullyConnected", "brgemm_i8", 0.02)] * 2 + [("step", "Add", "jit", 0.0001), ("step", "Mul", "jit", 0.0002)]
    rows = node_times.shares([(0.1, nodes), (0.1, nodes)])
    assert rows == [
        ["both", node_times.REST, "", "", "59.7", "59.7"],
        ["step", "FullyConnected", "brgemm_i8", 2, "40.0", "40.0"],
        ["step", "other nodes", "", 2, "0.3", "0.3"],
    ]


@pytest.mark.skipif(bool(cannot_run(FP32)), reason=cannot_run(FP32))
def test_every_call_of_a_real_step_is_seen(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path, monkeypatch: Any) -> None:
    """The encoder once and the step once a token, each with its products."""
    build_artefact(tiny_model, FP32, tiny_checkpoint, tmp_path / "a")
    monkeypatch.setattr("vlmgate.api.prepare", lambda *_, **__: SimpleNamespace(captioner=load_artefact(tmp_path / "a")))
    seconds, rows = node_times.profiled("tiny", "fp32-openvino", calls=2, tokens=4, threads=1)
    products = {row[0]: row[3] for row in rows if row[1] == "FullyConnected"}
    assert products["encoder"] and products["step"] and products["step"] % 4 == 0
    assert sum(float(row[4]) for row in rows) == pytest.approx(1000 * seconds, rel=0.1)
