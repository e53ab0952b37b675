"""NVIDIA's counter, with a recorded GPU in its place: no GPU is needed here, and none was there."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_nvml import FakeNvml

from vlmgate.meters import nvml


def test_energy_is_counted_from_when_the_meter_was_made() -> None:
    meter, why = nvml.find(FakeNvml([5_000_000, 5_000_250, 5_003_000]))
    assert meter is not None and why == ""
    assert meter.name == "NVML total energy of Test GPU"
    assert [meter.joules(), meter.joules()] == [0.25, 3.0]


def test_the_state_tells_clocks_memory_and_who_else_is_there() -> None:
    meter, _ = nvml.find(FakeNvml())
    assert meter is not None
    told = {"sm_clock": 1_980_000_000, "memory_clock": 2_619_000_000, "temperature": 41, "memory_used": 3_000_000_000}
    assert meter.state(own=[7]) == {**told, "foreign": [4242]}


def test_where_this_process_is_not_among_those_listed_only_their_number_is_told() -> None:
    """In a container the driver may count as the host does; two are listed, and one of them is this process."""
    told = nvml.state(FakeNvml(), "GPU-0", own=[31])
    assert told["others"] == 1 and "foreign" not in told


def test_where_no_process_is_listed_nothing_is_told_of_them() -> None:
    class Blind(FakeNvml):
        def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[Any]:  # noqa: N802
            return []

    assert not {"foreign", "others"} & nvml.state(Blind(), "GPU-0", own=[31]).keys()


def test_a_process_knows_its_numbers_in_all_namespaces_that_proc_shows(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nNStgid:\t4242\t12\t7\nNSpid:\t4242\t12\t7\n", encoding="ascii")
    own = nvml.own_pids(status)
    assert own == sorted({4242, 12, 7, os.getpid()})
    assert nvml.state(FakeNvml(), "GPU-0", own)["foreign"] == [], "both that are listed are this process under its numbers"
    assert nvml.own_pids(tmp_path / "none") == [os.getpid()]


def test_what_a_gpu_does_not_tell_is_left_out() -> None:
    fake = FakeNvml(lacks=("clocks", "processes"))
    assert nvml.state(fake, "GPU-0") == {"temperature": 41, "memory_used": 3_000_000_000}


@pytest.mark.parametrize(
    ("fake", "visible", "why"),
    [
        (FakeNvml(driver=False), None, r"NVML finds no GPU \(Driver Not Loaded\): run on a machine with an NVIDIA driver"),
        (FakeNvml(), "3", r"NVML finds no GPU \(Invalid Argument\)"),
        (FakeNvml(), "", "CUDA_VISIBLE_DEVICES='' hides every GPU"),
        (FakeNvml(), "MIG-1/2/3", "a MIG slice has no energy counter of its own"),
    ],
)
def test_without_a_gpu_there_is_a_reason(fake: FakeNvml, visible: str | None, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    meter, said = nvml.find(fake)
    assert meter is None
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(said)


def test_the_gpu_that_cuda_would_use_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for visible, handle in (("0,1", "GPU-0"), ("GPU-abc,0", "GPU-abc")):
        assert nvml.first_gpu(FakeNvml(), visible)[1] == handle


def test_an_old_gpu_has_no_counter() -> None:
    meter, why = nvml.find(FakeNvml(lacks=("energy",)))
    assert meter is None and why.startswith("this GPU has no energy counter (Not Supported; Volta and newer have one)")


def test_a_missing_binding_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it raises ImportError
    assert nvml.find() == (None, nvml.NEEDED)
