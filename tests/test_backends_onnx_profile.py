"""Operators that ran, from a profile: INT8 products, float products with weights, and products of two activations."""

import json
from pathlib import Path

import pytest

from vlmgate.backends.onnx_profile import low_share, ran


class Session:
    """Ends its profile as a session of ONNX Runtime does."""

    def __init__(self, path: Path, *nodes: tuple[str, int]) -> None:
        self.path = path
        events = [{"cat": "Node", "args": {"op_name": name, "parameter_size": str(held)}} for name, held in nodes]
        others = [{"cat": "Session", "name": "model_run"}, {"cat": "Node", "name": "fence", "args": {}}]
        path.write_text(json.dumps([*others, *events]))

    def end_profiling(self) -> str:
        return str(self.path)


@pytest.mark.parametrize(
    ("nodes", "share"),
    [
        ([("MatMulInteger", 4), ("MatMulIntegerToFloat", 4), ("Conv", 4), ("MatMul", 0), ("Softmax", 0)], 2 / 3),
        ([("MatMul", 64), ("FusedMatMul", 0)], 0.0),
        ([("DynamicQuantizeMatMul", 64)], 1.0),
        ([("Softmax", 0)], 0.0),
    ],
)
def test_share_by_hand(tmp_path: Path, nodes: list[tuple[str, int]], share: float) -> None:
    assert low_share([Session(tmp_path / "a", *nodes)]) == share
    assert low_share([Session(tmp_path / "a", *nodes), Session(tmp_path / "b")]) == share


def test_only_nodes_that_ran_are_read(tmp_path: Path) -> None:
    assert list(ran(Session(tmp_path / "a", ("MatMul", 64)))) == [("MatMul", 64)]


def test_a_profile_of_the_real_thing_tells_weights_from_activations(tmp_path: Path) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    import numpy as np

    from vlmgate.backends.onnx_profile import watch

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ports = [helper.make_tensor_value_info(name, kind, [2, 2]) for name in ("x", "z")]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("MatMul", ["y", "x"], ["z"])]
    weight = onnx.numpy_helper.from_array(np.full((2, 2), 3, np.float32), "w")
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = watch(onnxruntime.SessionOptions(), tmp_path / "profile")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": np.ones((2, 2), np.float32)})
    assert sorted(ran(session)) == [("MatMul", 0), ("MatMul", 16)]
