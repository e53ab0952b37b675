"""Dynamic INT8 of an ONNX graph: constant matrices in INT8, one scale a column; the embedding reads the head's matrix.

x · W becomes DynamicQuantizeLinear(x) → MatMulInteger → · (scale of x × scales of W), which ONNX Runtime fuses and runs with VNNI
where there is one. Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from typing import Any

import numpy as np

from vlmgate.spec import VlmgateError

EDGE = 127  # symmetric: −127 … 127


def quantize(model: Any) -> Any:
    """Quantize ``model`` (an ONNX ModelProto) in place and return it; a matrix used twice is stored once.

    Raises:
        VlmgateError: the graph has no MatMul with a constant matrix.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    matrices = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    done: dict[str, tuple[str, str]] = {}  # matrix → names of its INT8 values and of its scales
    nodes: list[Any] = []
    added: list[Any] = []

    def packed(name: str, matrix: np.ndarray) -> tuple[str, str]:
        """Store a matrix (rows × columns) in INT8 with one scale a column, once."""
        if name not in done:
            scale = np.maximum(np.abs(matrix).max(0) / EDGE, np.finfo(np.float32).tiny).astype(np.float32)
            values = np.clip(np.rint(matrix / scale), -EDGE, EDGE).astype(np.int8)
            done[name] = (f"{name}.int8", f"{name}.scale")
            added.extend(numpy_helper.from_array(*pair) for pair in zip((values, scale), done[name], strict=True))
        return done[name]

    turned = _turned(graph, matrices)
    for node in graph.node:
        source = turned.get(node.input[1], node.input[1]) if len(node.input) > 1 else ""
        if node.op_type == "MatMul" and source in matrices and matrices[source].ndim == 2:
            matrix = matrices[source] if source == node.input[1] else matrices[source].T
            values, scale = packed(source, matrix)
            nodes += _product(helper, node, values, scale)
        elif node.op_type == "Gemm" and source in matrices:
            raise VlmgateError(f"the exported graph has a Gemm node ({node.name}), which onnx-int8 does not quantize")
        else:
            nodes.append(node)
    if not done:
        raise VlmgateError("onnx-int8: the exported graph has no MatMul with a constant matrix, so nothing would be quantized")
    nodes = [each for node in nodes for each in _looked_up(helper, node, done, matrices, turned)]
    used = {name for node in nodes for name in node.input}
    nodes = [node for node in nodes if not (node.output[0] in turned and node.output[0] not in used)]
    used = {name for node in nodes for name in node.input}
    kept = [each for each in (*graph.initializer, *added) if each.name in used]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]
    return model


def _turned(graph: Any, matrices: dict[str, Any]) -> dict[str, str]:
    """Output of a Transpose of a constant → the constant."""
    return {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Transpose" and node.input[0] in matrices}


def _product(helper: Any, node: Any, values: str, scale: str) -> list[Any]:
    """The nodes that take the place of a MatMul."""
    name, given = node.output[0], node.input[0]
    return [
        helper.make_node("DynamicQuantizeLinear", [given], [f"{name}.x", f"{name}.xs", f"{name}.xz"]),
        helper.make_node("MatMulInteger", [f"{name}.x", values, f"{name}.xz"], [f"{name}.i"]),
        helper.make_node("Cast", [f"{name}.i"], [f"{name}.f"], to=1),
        helper.make_node("Mul", [f"{name}.xs", scale], [f"{name}.s"]),
        helper.make_node("Mul", [f"{name}.f", f"{name}.s"], [name]),
    ]


def _looked_up(
    helper: Any, node: Any, done: dict[str, tuple[str, str]], matrices: dict[str, Any], turned: dict[str, str]
) -> list[Any]:
    """A Gather of rows of a matrix that the head multiplies with takes columns of the head's INT8 matrix; others stay."""
    if node.op_type != "Gather" or node.input[0] not in matrices:
        return [node]
    table = matrices[node.input[0]]
    same = [
        each
        for each in done
        if each == node.input[0] or (matrices[each].shape == table.shape[::-1] and np.array_equal(matrices[each].T, table))
    ]
    if not same:
        return [node]
    values, scale = done[same[0]]
    name, ids = node.output[0], node.input[1]
    return [
        helper.make_node("Gather", [values, ids], [f"{name}.c"], axis=1),  # width × ids' shape
        helper.make_node("Cast", [f"{name}.c"], [f"{name}.f"], to=1),
        helper.make_node("Gather", [scale, ids], [f"{name}.s"]),
        helper.make_node("Mul", [f"{name}.f", f"{name}.s"], [f"{name}.w"]),
        helper.make_node("Transpose", [f"{name}.w"], [name], perm=[1, 2, 0]),
    ]
