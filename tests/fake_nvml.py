"""A stand-in for pynvml with one recorded GPU, whose energy counter moves on at each reading."""

from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """As the binding's own."""


class FakeNvml:
    """The functions that are used of pynvml. ``millijoules`` are the readings to come; ``lacks`` what this GPU does not tell."""

    NVMLError = NVMLError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, millijoules: list[int] | None = None, lacks: tuple[str, ...] = (), driver: bool = True) -> None:
        self.readings, self.lacks, self.driver = iter(millijoules or range(10**6)), lacks, driver

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.driver:
            raise NVMLError("Driver Not Loaded")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        if index:
            raise NVMLError("Invalid Argument")
        return "GPU-0"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> bytes:  # noqa: N802
        return b"Test GPU"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        return self._tell("energy", next(self.readings))

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:  # noqa: N802
        return self._tell("clocks", {1: 1980, 2: 2619}[kind])

    def nvmlDeviceGetTemperature(self, handle: str, kind: int) -> int:  # noqa: N802
        return self._tell("temperature", 41)

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:  # noqa: N802
        return self._tell("memory", SimpleNamespace(used=3_000_000_000, total=80_000_000_000))

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[Any]:  # noqa: N802
        return self._tell("processes", [SimpleNamespace(pid=7), SimpleNamespace(pid=4242)])

    def _tell(self, name: str, value: Any) -> Any:
        if name in self.lacks:
            raise NVMLError("Not Supported")
        return value
