"""A verdict carries all that it rests on."""

import math
from dataclasses import replace

import numpy as np
import pytest
from judging import baseline_of, block, blocks, judge, line, record, statistics, wobble

from vlmgate.judge.confirm import CONFIRMING
from vlmgate.judge.energy import energy_values
from vlmgate.judge.levels import LOOKS, levels_of
from vlmgate.spec import Outcome
from vlmgate.stats import DETECTED, coverage, detectable


def test_a_noisy_verdict_says_what_it_spent():
    found, levels = judge(line("time_per_caption", "reference", 1.3), timed=blocks()), levels_of(1, LOOKS, 0)
    assert found.spent == (levels.fail, levels.good)
    assert (found.line, found.estimate.n, found.reason) == (1.3, 6, "because")


def test_an_exact_verdict_spends_nothing():
    assert judge(line("size", "limit", 30e6)).spent == ()
    assert judge(line("cider", "limit", 0.1)).spent == ()


def test_a_retention_spends_the_errors_of_its_own_family():
    lines = [line("cider", "reference", 0.5), line("time_per_caption", "reference", 1.3)]
    found = judge(lines, record("int8", quality=statistics(hits=30)), timed=blocks())
    assert found.outcome is Outcome.PASS and found.spent == (0.01, 0.05)


def noisy(speed_up, rng, n=12, sd=0.045):
    """Looks and new blocks to confirm a fail, of a variant whose blocks spread by ``sd``."""
    times = [0.1 / speed_up * math.exp(w) for w in rng.normal(0, sd, n + CONFIRMING)]
    made = [block(i, fp32=0.1, int8=time, placebo=0.1 * math.exp(rng.normal(0, 1e-4))) for i, time in enumerate(times)]
    return [*made[:n], *(replace(each, role="confirm") for each in made[n:])]


def test_a_slow_down_of_the_size_that_a_pass_could_have_found_is_found_about_that_often():
    asked = line("time_per_caption", "reference", 1.3)
    holds = judge(asked, timed=blocks(2.0, n=12, sd=0.045))
    assert holds.outcome is Outcome.PASS
    rng = np.random.default_rng(12)
    missed = [judge(asked, timed=noisy(1.3 / (1 + holds.detects), rng)).outcome for _ in range(500)]
    assert np.mean([outcome is Outcome.FAIL for outcome in missed]) == pytest.approx(DETECTED, abs=0.04)


@pytest.mark.parametrize("metric", ["time_per_caption", "energy_per_caption"])
@pytest.mark.parametrize("against", ["reference", "limit", "baseline"])
def test_lines_on_speed_and_energy_that_hold_or_cannot_be_told_say_what_they_could_have_found(metric, against):
    speed = metric == "time_per_caption"
    then = {metric: energy_values(blocks(1.5, 24), "int8") if not speed else [math.log(1.5) + w for w in wobble(24, turn=4)]}
    number = {"reference": 1.3 if speed else 0.2, "limit": 0.08 if speed else 16.0, "baseline": 0.15}[against]
    asked, promoted = line(metric, against, number), baseline_of(record("int8"), blocks=then)
    seen = {}
    for speed_up in (1.5, 1.45, 1.4, 1.35, 1.3, 1.28, 1.25, 1.2, 1.0):
        found = judge(asked, timed=blocks(speed_up), baseline=promoted)
        seen[found.outcome] = found
        assert (found.detects is None) == (found.outcome is Outcome.FAIL)
    assert set(seen) == {Outcome.PASS, Outcome.UNRESOLVED, Outcome.FAIL}
    holds = seen[Outcome.PASS]
    assert holds.detects == detectable(holds.estimate.error, coverage(holds.spent[0])) > 0
    phrase = (
        f"; 6 blocks like these find a {'slow-down' if speed else 'rise'} of {holds.detects:.1%} beyond the line in 90% of runs"
    )
    assert phrase in holds.sentence and "blocks like these" not in seen[Outcome.UNRESOLVED].sentence


def test_what_no_block_measures_or_a_moved_placebo_spoils_could_have_found_nothing():
    assert judge(line("size", "limit", 30e6)).detects is None
    assert judge(line("peak_memory", "limit", 3e8)).detects is None
    assert judge(line("bleu_4", "reference", 0.5), record("int8", quality=statistics(hits=30))).detects is None
    assert judge(line("time_per_caption", "reference", 1.3), timed=blocks(1.5, placebo=1.1)).detects is None


def test_more_blocks_find_less():
    found = [judge(line("time_per_caption", "reference", 1.3), timed=blocks(2.0, n=n)).detects for n in LOOKS]
    assert found == sorted(found, reverse=True)
