"""Joules a caption of each arm, above the power that this machine draws anyway."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from vlmgate.meters import Meter, find_meter
from vlmgate.meters.nvml import first_gpu, own_pids, state

IDLE_SECONDS = 2.0  # of doing nothing, to see the idle power
ARM_SECONDS = 2.0  # of calls of one arm at least: counters move on in steps of 1 ms (RAPL) to 100 ms (NVML)


def idle_meter(
    device: str, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
) -> tuple[Meter, float] | None:
    """The meter of a device, and the watts that it draws while this process does nothing; None where it has no meter.

    For a worker to ask before it loads anything: a GPU that holds a model keeps its clocks up, and drew 118 W so where it drew
    77 W before, which is as much as captioning takes (H200). That is the model's share, and not the machine's.
    """
    meter, _ = find_meter(device)
    if meter is None:
        return None
    before, began = meter.joules(), clock()
    sleep(IDLE_SECONDS)
    return meter, (meter.joules() - before) / (clock() - began)


def power_of(
    meter: Meter,
    calls: Mapping[str, Callable[[], object]],
    seed: int,
    warm: Callable[[str], object],
    idle: float,
    *,
    seconds: float = ARM_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, float]:
    """Watts above ``idle`` that the device draws while each arm is called over and over.

    Arms come in seeded random order; each is warmed up (``warm``, not counted) and called for ``seconds``. What other programs
    use meanwhile is counted too: measure on a quiet machine.
    """
    found = {}
    for name in random.Random(seed).sample(sorted(calls), len(calls)):
        warm(name)
        before, began = meter.joules(), clock()
        while True:
            calls[name]()
            if clock() - began >= seconds:
                break
        found[name] = (meter.joules() - before) / (clock() - began) - idle
    return found


def energy_of(
    metered: tuple[Meter, float] | None,
    took: Mapping[str, float],
    calls: Mapping[str, Callable[[], object]],
    seed: int,
    warm: Callable[[str], object],
) -> dict[str, Any]:
    """``energy`` (joules a caption by arm above the idle power) and ``idle_power``, by what `idle_meter` gave; nothing without.

    Joules are the power while an arm is called × ``took``, its seconds a caption in the turns. Arms take no turns here, because
    counters move on too slowly for that; so seconds of these calls would bring back what turns take out. On an H200 the power of
    four arms in four blocks lay between 115 and 125 W, and the seconds of two copies of one model between 62 and 95 ms.
    """
    if metered is None:
        return {}
    meter, idle = metered
    power = power_of(meter, calls, seed, warm, idle)
    return {"energy": {name: watts * took[name] for name, watts in power.items()}, "idle_power": idle}


def gpu_state(device: str, module: Any = None) -> dict[str, Any]:
    """Clocks, memory and foreign processes of the GPU this process computes on; empty on a CPU or without nvidia-ml-py."""
    if not device.startswith("cuda"):
        return {}
    nvml, handle, _ = first_gpu(module)
    return state(nvml, handle, own_pids()) if handle is not None else {}
