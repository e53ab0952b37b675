"""Which meter a device has."""

from pathlib import Path

from fake_nvml import FakeNvml
from fake_powercap import write_powercap

from vlmgate.meters import find_meter
from vlmgate.meters.nvml import Gpu
from vlmgate.meters.rapl import Rapl


def test_a_processor_has_its_own_counter_and_a_gpu_its_own(tmp_path: Path) -> None:
    write_powercap(tmp_path)
    for device, kind in (("cpu", Rapl), ("cuda", Gpu), ("cuda:0", Gpu)):
        meter, why = find_meter(device, tmp_path, FakeNvml())
        assert isinstance(meter, kind) and why == ""


def test_a_meter_or_a_reason_never_both_nor_neither() -> None:
    for device in ("cpu", "cuda"):  # whatever this machine has
        meter, why = find_meter(device)
        assert (meter is None) == bool(why)
