"""Dynamic INT8 of an ONNX graph, on a graph of two products that share a matrix."""

import numpy as np
import pytest

from vlmgate.backends.onnx_int8 import quantize

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'vlmgate[onnx]'")


def test_the_integers_times_the_scales_are_the_matrix_to_half_a_step() -> None:
    matrix = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    helper = onnx.helper
    port = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [port("x", 1, [1, 6])],
        [port("y", 1, [1, 4])],
        [onnx.numpy_helper.from_array(matrix, "w")],
    )
    held = {each.name: onnx.numpy_helper.to_array(each) for each in quantize(helper.make_model(graph)).graph.initializer}
    assert set(held) == {"w.int8", "w.scale"}
    assert held["w.int8"].dtype == np.int8
    assert held["w.scale"].shape == (4,)
    assert np.all(np.abs(held["w.int8"] * held["w.scale"] - matrix) <= held["w.scale"] * 0.501)
