"""Is it still as fast? Seconds a caption at a fixed number of new tokens, against the unmodified model in the same run."""

from typing import Any

import pytest

from vlmgate.plugin import Gate


@pytest.mark.vlmgate("latency")
def test_latency(gate: Gate, benchmark: Any) -> None:
    gate.replay(benchmark)
    gate.check()
