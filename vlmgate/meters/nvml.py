"""The NVIDIA GPU that a process computes on, by NVIDIA's binding (nvidia-ml-py): energy, clocks, memory, who else is there."""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

NEEDED = "needs nvidia-ml-py, which reads the GPU's energy counter: pip install 'vlmgate[gpu]'"


class Gpu:
    """One GPU. ``nvml`` is the module pynvml, already begun; ``handle`` its device."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.nvml, self.handle = nvml, handle
        self.name = f"NVML total energy of {_text(nvml.nvmlDeviceGetName(handle))}"
        self.began = self._millijoules()

    def _millijoules(self) -> int:
        return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle))  # since the driver was loaded; Volta and newer

    def joules(self) -> float:
        """Energy of the whole board since this object was made; what other processes use is in it."""
        return (self._millijoules() - self.began) / 1000

    def state(self, own: Collection[int] = ()) -> dict[str, Any]:
        """Clocks in hertz, temperature in °C, bytes used on the GPU by all, and who is on it beside ``own``."""
        return state(self.nvml, self.handle, own)


def find(module: Any = None) -> tuple[Gpu | None, str]:
    """The first GPU this process may use, as a meter of energy; or None and why there is none."""
    nvml, handle, why = first_gpu(module)
    if handle is None:
        return None, why
    try:
        return Gpu(nvml, handle), ""
    except nvml.NVMLError as error:
        return None, f"this GPU has no energy counter ({error}; Volta and newer have one): leave the question out"


def first_gpu(module: Any = None, visible: str | None = None) -> tuple[Any, Any, str]:
    """pynvml, the handle of the first GPU that CUDA would use, and why there is none (then both are None).

    Workers count GPUs as NVML does (CUDA_DEVICE_ORDER=PCI_BUS_ID). ``visible`` stands in for CUDA_VISIBLE_DEVICES.
    """
    try:
        nvml: Any = module or _import()
    except ImportError:
        return None, None, NEEDED
    first = (os.environ.get("CUDA_VISIBLE_DEVICES", "0") if visible is None else visible).split(",")[0].strip()
    try:
        nvml.nvmlInit()
        if first.isdigit():
            return nvml, nvml.nvmlDeviceGetHandleByIndex(int(first)), ""
        if first.startswith("GPU-"):
            return nvml, nvml.nvmlDeviceGetHandleByUUID(first), ""
    except nvml.NVMLError as error:
        return None, None, f"NVML finds no GPU ({error}): run on a machine with an NVIDIA driver"
    if first.startswith("MIG"):
        return None, None, "a MIG slice has no energy counter of its own: use the whole GPU, or leave the question out"
    return None, None, f"CUDA_VISIBLE_DEVICES={first!r} hides every GPU: name one"


def state(nvml: Any, handle: Any, own: Collection[int] = ()) -> dict[str, Any]:
    """What a GPU does now; what it does not tell is left out."""
    reads: dict[str, Callable[[], Any]] = {
        "sm_clock": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1_000_000,
        "memory_clock": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM) * 1_000_000,
        "temperature": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "memory_used": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
    }
    found: dict[str, Any] = {}
    for name, read in reads.items():
        try:
            found[name] = read()
        except nvml.NVMLError:
            continue
    return found | _beside(nvml, handle, set(own))


def _beside(nvml: Any, handle: Any, own: set[int]) -> dict[str, Any]:
    """``foreign``, the processes on the GPU that are not ``own``; or ``others``, how many, where their numbers say nothing.

    In a container NVML may list the host's numbers of processes, by which a process does not know itself. So where none of the
    listed is one of ``own``, one of them is taken to be this process; a list that is empty then says that NVML sees none.
    """
    try:
        listed = {process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)}
    except nvml.NVMLError:
        return {}
    if listed & own or not own:
        return {"foreign": sorted(listed - own)}
    return {"others": len(listed) - 1} if listed else {}


def own_pids(status: Path = Path("/proc/self/status")) -> list[int]:
    """The numbers of this process in its PID namespace and those around it, as far as /proc shows them (``NSpid``, Linux)."""
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    nested = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return sorted({os.getpid(), *map(int, nested)})


def _import() -> Any:
    import pynvml

    return pynvml


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
