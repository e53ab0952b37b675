"""The noise report: it finds the spread, the shape and the injected slow-downs that made-up blocks were given."""

import math

import numpy as np
import pytest
from banks import CENTRES, bank

from vlmgate.judge.evidence import speed_values
from vlmgate.selftest import noise
from vlmgate.spec import Block


def test_the_shape_of_what_is_known() -> None:
    rng = np.random.default_rng(1)
    normal = noise.shape_of(rng.normal(0.1, 0.02, 4000))
    assert normal.mean == pytest.approx(0.1, abs=0.001) and normal.sd == pytest.approx(0.02, rel=0.05)
    assert normal.high == pytest.approx(1.645 * 0.02, rel=0.1) and normal.low == pytest.approx(-1.645 * 0.02, rel=0.1)
    assert abs(normal.skewness) < 0.15 and abs(normal.kurtosis) < 0.3 and normal.bimodality == pytest.approx(1 / 3, abs=0.03)
    modes = noise.shape_of(np.concatenate([rng.normal(0, 0.01, 80), rng.normal(0.1, 0.01, 20)]))
    assert modes.bimodality > noise.TWO_MODES > noise.shape_of(rng.normal(0, 1, 100)).bimodality
    assert noise.shape_of(rng.standard_exponential(4000)).skewness == pytest.approx(2, abs=0.4)
    with pytest.raises(ValueError, match="at least 4"):
        noise.shape_of([1.0, 2.0, 3.0])


def test_the_rule_of_pytest_benchmark() -> None:
    assert noise.rule_fails(1.0501, 1.0) and not noise.rule_fails(1.0499, 1.0) and not noise.rule_fails(0.5, 1.0)
    assert (noise.one_after_the_other([1.0, 1.1, 1.0, 1.04]).hits, noise.one_after_the_other([1.0, 1.1]).n) == (1, 1)


def test_rounds_are_pooled() -> None:
    times = {"a": ((1.0, 2.0, 9.0), (3.0, 4.0, 5.0))}
    block = Block("m/d", 0, 0, (0, 1), times, {}, {}, (), 1.0)
    assert noise.pooled_median([block], "a") == 3.5 and noise.pooled_median([block, block], "a") == 3.5


def test_the_report_tells_the_spread_and_the_slow_downs() -> None:
    made = bank(80, sd=0.01)
    method, naive, honesty = noise.noise_tables(made)
    cells = {row[0]: row for row in method.rows}
    assert cells.keys() == noise.PAIRS.keys()
    spread = np.std(speed_values(made.blocks, "placebo", "fp32"), ddof=1)
    assert cells["placebo against fp32"][3] == f"{spread * 100:.2f} %"
    assert spread == pytest.approx(math.sqrt(2) * 0.01, rel=0.25)
    assert float(str(cells["INT8 against fp32"][2]).rstrip("×")) == pytest.approx(1.2, abs=0.02)
    assert naive.title.endswith("each against the one before (9 arms took turns in each)"), "which is not how one usually times"
    assert [row[1] for row in naive.rows] == [80, 80]
    sequential = float(str(naive.rows[0][3]).split()[0]) / 100
    assert sequential > 2 * spread  # the machine moves the arms alike, which only taking turns removes
    for arm, _, asked, measured in honesty.rows:
        share = CENTRES[str(arm)] / CENTRES["int8-dynamic" if "int8" in str(arm) else "fp32"] - 1
        assert asked == f"{share:.0%}" and float(str(measured).split()[0]) / 100 == pytest.approx(share, abs=0.01)
