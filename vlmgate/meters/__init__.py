"""Meters of the machine: which counter of energy there is for a device, or why there is none. Imports nothing heavy."""

from pathlib import Path
from typing import Any, Protocol

from vlmgate.meters import nvml, rapl


class Meter(Protocol):
    """A counter of energy."""

    name: str  # what it counts, for readers

    def joules(self) -> float:
        """Energy since the meter was made; never falls."""


def find_meter(device: str, powercap: Path = rapl.POWERCAP, module: Any = None) -> tuple[Meter | None, str]:
    """The meter for a device (``cpu``, ``cuda`` …), or None and why there is none, as a reason to skip.

    ``module`` stands in for pynvml (NVIDIA's binding, in the extra ``gpu``).
    """
    return nvml.find(module) if device.startswith("cuda") else rapl.find(powercap)
