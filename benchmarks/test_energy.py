"""What does a caption cost? Joules above the idle power, by the counter of the processor or GPU; skipped where there is none."""

import pytest

from vlmgate.plugin import Gate


@pytest.mark.vlmgate("energy")
def test_energy(gate: Gate) -> None:
    gate.check()
