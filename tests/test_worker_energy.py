"""Energy of the arms by a recorded counter: a machine that draws 10 W when idle, and more when an arm is called."""

from collections import Counter
from functools import partial
from itertools import groupby

import pytest
from fake_nvml import FakeNvml

from vlmgate.meters import find_meter
from vlmgate.worker.energy import energy_of, gpu_state, idle_meter, power_of

IDLE = 10.0  # watts


class Machine:
    """A clock and a counter of energy that only move when something is done."""

    name = "recorded"

    def __init__(self) -> None:
        self.now, self.energy = 100.0, 5000.0
        self.called: Counter[str] = Counter()
        self.did: list[str] = []

    def joules(self) -> float:
        return self.energy

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.energy += IDLE * seconds

    def call(self, name: str, seconds: float, watts: float) -> None:
        self.called[name] += 1
        self.did.append(name)
        self.now += seconds
        self.energy += (IDLE + watts) * seconds

    def warm(self, name: str) -> None:
        """Slower and thirstier than a counted call, so that counting it would show."""
        self.did.append(f"warm {name}")
        self.now += 3.0
        self.energy += 500.0


def measured(machine: Machine, seed: int = 1) -> dict[str, float]:
    calls = {"fp32": lambda: machine.call("fp32", 0.5, 40.0), "int8": lambda: machine.call("int8", 0.25, 60.0)}
    return power_of(machine, calls, seed, machine.warm, IDLE, clock=lambda: machine.now)


def test_the_idle_power_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    monkeypatch.setattr("vlmgate.worker.energy.find_meter", lambda device: (machine if device == "cuda" else None, "none"))
    assert idle_meter("cuda", clock=lambda: machine.now, sleep=machine.sleep) == (machine, pytest.approx(IDLE))
    assert idle_meter("cpu", clock=lambda: machine.now, sleep=pytest.fail) is None


def test_the_idle_power_is_subtracted() -> None:
    assert measured(Machine()) == {"fp32": pytest.approx(40.0), "int8": pytest.approx(60.0)}


def test_joules_are_power_times_the_seconds_of_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow phase of the machine that meets the calls of one arm alone must not look like its energy."""
    machine = Machine()
    monkeypatch.setattr("vlmgate.worker.energy.power_of", partial(power_of, clock=lambda: machine.now))
    calls = {"fp32": lambda: machine.call("fp32", 0.1, 40.0), "placebo": lambda: machine.call("placebo", 0.15, 40.0)}
    found = energy_of((machine, IDLE), {"fp32": 0.1, "placebo": 0.1}, calls, 1, machine.warm)
    assert found == {"energy": {"fp32": pytest.approx(4.0), "placebo": pytest.approx(4.0)}, "idle_power": IDLE}


def test_each_arm_is_called_for_as_long_as_the_counter_needs() -> None:
    machine = Machine()
    measured(machine)
    assert machine.called == {"fp32": 4, "int8": 8}  # two seconds each


def test_each_arm_is_warmed_up_right_before_it_is_counted() -> None:
    machine = Machine()
    first, second = measured(machine)
    turns = [f"warm {first}", first, f"warm {second}", second]
    assert [name for name, _ in groupby(machine.did)] == turns


def test_the_order_of_arms_is_drawn() -> None:
    orders = {tuple(measured(Machine(), seed)) for seed in range(20)}
    assert orders == {("fp32", "int8"), ("int8", "fp32")}


@pytest.mark.skipif(find_meter("cpu")[0] is not None, reason="this machine has a counter")
def test_without_a_meter_nothing_is_called() -> None:
    assert energy_of(idle_meter("cpu"), {"fp32": 1.0}, {"fp32": lambda: pytest.fail("called in vain")}, 1, pytest.fail) == {}


def test_the_state_of_a_gpu_is_told_and_a_cpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpu_state("cpu", FakeNvml()) == {}
    assert gpu_state("cuda", FakeNvml())["others"] == 1  # two processes are listed, neither by a number of this one
    monkeypatch.setattr("vlmgate.worker.energy.own_pids", lambda: [7, 31])
    assert gpu_state("cuda", FakeNvml())["foreign"] == [4242]
    assert gpu_state("cuda", FakeNvml(driver=False)) == {}
