"""The table of spreads, on drawn values whose spreads are known."""

import numpy as np
import pytest

from vlmgate.selftest.blocklog import Entry
from vlmgate.selftest.tables import render
from vlmgate.selftest.variance import ways
from vlmgate.selftest.variance_table import against, spread, variance_tables

NAMES = ("int8", "int8 copy", "placebo", "fp32 time", "int8 time", "yardstick")


def entries(way: str, sd: float, count: int, seed: int) -> list[Entry]:
    rng = np.random.default_rng(seed)
    return [
        Entry(way, index, 9.0, 0.1, {name: float(value) for name, value in zip(NAMES, rng.normal(0.3, sd, 6), strict=True)})
        for index in range(count)
    ]


def test_the_interval_of_a_spread_is_that_of_the_chi_square_tables() -> None:
    values = [1.0, -1.0] * 5 + [0.0]  # n = 11, sd 1
    sd, low, high = spread(values)
    assert (sd, low, high) == pytest.approx((1.0, (10 / 20.483) ** 0.5, (10 / 3.247) ** 0.5), rel=1e-3)


def test_it_holds_the_true_spread_in_95_of_100_draws() -> None:
    rng = np.random.default_rng(0)
    held = [low <= 0.03 <= high for _, low, high in (spread(rng.normal(0, 0.03, 12)) for _ in range(2000))]
    assert 0.935 < np.mean(held) < 0.965


def test_a_ratio_of_spreads_holds_one_for_equals_and_not_for_unequals() -> None:
    rng = np.random.default_rng(1)
    pairs = [against(rng.normal(0, 1, 12), rng.normal(0, 1, 12)) for _ in range(1000)]
    assert 0.92 < np.mean([low <= 1 <= high for _, low, high in pairs]) < 0.98
    ratio, low, high = against(rng.normal(0, 1, 40), rng.normal(0, 5, 40))
    assert low < ratio < high < 1


def test_a_table_has_a_row_a_setting_and_names_what_is_missing() -> None:
    measured = [*entries("default", 0.02, 12, 1), *entries("pinned", 0.001, 12, 2), *entries("aligned", 0.02, 2, 3)]
    measured.append(Entry("no-aslr", 0, 1.0, 0.0, failed="personality says no"))
    spreads, levels = variance_tables(measured, list(ways(1).values()))
    assert [row[0] for row in spreads.rows] == [row[0] for row in levels.rows] == ["default", "pinned"]
    assert [row[1] for row in spreads.rows] == [12, 12] and spreads.rows[0][-1] == "1"
    assert float(str(spreads.rows[1][-1]).split()[0]) < 0.2
    text = render([spreads, levels])
    assert "aligned: 2 blocks, too few" in text and "no-aslr: failed: personality says no" in text
    assert "1.3" in str(levels.rows[0][4])  # exp(0.3) = 1.35
