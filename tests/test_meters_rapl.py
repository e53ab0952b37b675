"""The processor's counter, from a recorded tree of Linux' powercap."""

from pathlib import Path

import pytest
from fake_powercap import SPAN, set_counter, write_powercap

from vlmgate.meters import rapl


def test_package_and_memory_are_added_and_what_lies_within_is_not(tmp_path: Path) -> None:
    write_powercap(tmp_path)
    meter, why = rapl.find(tmp_path)
    assert meter is not None and (meter.name, why) == ("RAPL package-0 + dram", "")
    for folder, microjoules in {"intel-rapl:0": 3_000_000, "intel-rapl:0:0": 2_000_000, "intel-rapl:1": 9_000_000}.items():
        set_counter(tmp_path, folder, microjoules)
    set_counter(tmp_path, "intel-rapl:0:1", 500_000)
    assert meter.joules() == 3.5


def test_a_counter_that_begins_again_loses_nothing(tmp_path: Path) -> None:
    write_powercap(tmp_path, {"intel-rapl:0": "package-0"})
    set_counter(tmp_path, "intel-rapl:0", SPAN - 1_000_000)
    meter, _ = rapl.find(tmp_path)
    assert meter is not None
    set_counter(tmp_path, "intel-rapl:0", 2_000_000)  # it went over the top
    assert meter.joules() == 3.0
    set_counter(tmp_path, "intel-rapl:0", 2_500_000)
    assert meter.joules() == 3.5
    set_counter(tmp_path, "intel-rapl:0", 0)  # and again
    assert meter.joules() == pytest.approx(3.5 + (SPAN - 2_500_000) / 1e6)


def test_packages_of_all_sockets_count(tmp_path: Path) -> None:
    write_powercap(tmp_path, {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1"})
    meter, _ = rapl.find(tmp_path)
    assert meter is not None
    for folder in ("intel-rapl:0", "intel-rapl:1"):
        set_counter(tmp_path, folder, 1_000_000)
    assert meter.joules() == 2.0


def test_without_a_counter_there_is_a_reason(tmp_path: Path) -> None:
    meter, why = rapl.find(tmp_path / "nowhere")
    assert meter is None and "shows no energy counter of its processor" in why and "leave the question out" in why
    (tmp_path / "intel-rapl:0").mkdir()  # a domain without a name
    assert rapl.find(tmp_path)[0] is None


def test_a_counter_that_is_not_readable_or_no_number_is_a_reason(tmp_path: Path) -> None:
    write_powercap(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()  # root may read everything, so a mode would prove nothing
    meter, why = rapl.find(tmp_path)
    assert meter is None and "may not be read here" in why and "sudo chmod a+r" in why
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("many")
    assert "is not a number" in rapl.find(tmp_path)[1]
