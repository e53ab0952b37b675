"""Which operators ONNX Runtime really ran, from its own profiler: a graph in INT8 whose nodes fall back to floats is found out.

Source: https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LOW = (  # operators that multiply 8 bits, what the optimizer fuses them into included
    *("MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QLinearMatMul", "QGemm", "QAttention"),
    *("ConvInteger", "QLinearConv"),
)
FULL = ("MatMul", "FusedMatMul", "Gemm", "FusedGemm", "Conv", "FusedConv")  # the same in floats


def watch(options: Any, prefix: Path) -> Any:
    """Let a session with these options write a profile to ``prefix``…; weights stay unpacked, so that it can tell their bytes."""
    options.enable_profiling = True
    options.profile_file_prefix = str(prefix)
    options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def ran(session: Any) -> Iterator[tuple[str, int]]:
    """(operator, bytes of its constants) of every node that a watched session has run; ends its profile."""
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    for event in events:
        if event.get("cat") == "Node" and "op_name" in event.get("args", {}):
            yield str(event["args"]["op_name"]), int(event["args"].get("parameter_size", 0))


def low_share(sessions: Sequence[Any]) -> float:
    """Share of the products with weights that ran in INT8, by their number. Products of two activations have no constants."""
    nodes = [node for session in sessions for node in ran(session)]
    low = sum(name in LOW for name, _ in nodes)
    full = sum(name in FULL and held > 0 for name, held in nodes)
    return low / (low + full) if low + full else 0.0
