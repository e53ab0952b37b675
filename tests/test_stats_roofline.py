"""Floors by hand: each phase is bound by arithmetic or by reading, and phases add up."""

import pytest

from vlmgate.stats import floor_seconds

CEILINGS = {"fp32": 100.0, "int8": 400.0, "bandwidth": 10.0}


def phase(times: int, read: float, **operations: float) -> dict[str, object]:
    return {"name": "x", "times": times, "operations": operations, "bytes": read}


def test_arithmetic_binds() -> None:
    assert floor_seconds([phase(1, 5, fp32=100, int8=400)], CEILINGS) == pytest.approx(2)


def test_reading_binds() -> None:
    assert floor_seconds([phase(1, 50, fp32=100)], CEILINGS) == pytest.approx(5)


def test_phases_add_up_as_often_as_they_run() -> None:
    assert floor_seconds([phase(1, 5, fp32=100), phase(20, 1, int8=4)], CEILINGS) == pytest.approx(1 + 20 * 0.1)


@pytest.mark.parametrize("ceilings", [{}, {"fp32": 100.0}, {"bandwidth": 10.0}, {**CEILINGS, "fp32": 0.0}])
def test_an_unknown_ceiling_gives_no_floor(ceilings: dict[str, float]) -> None:
    assert floor_seconds([phase(1, 5, fp32=100)], ceilings) is None


def test_no_phase_gives_no_floor() -> None:
    assert floor_seconds([], CEILINGS) is None
