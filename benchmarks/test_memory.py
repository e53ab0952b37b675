"""Does it still fit? Peak resident set and memray's heap peak, each case in fresh processes of its own."""

import pytest

from vlmgate.plugin import Gate


@pytest.mark.vlmgate("memory")
def test_memory(gate: Gate) -> None:
    gate.check()
