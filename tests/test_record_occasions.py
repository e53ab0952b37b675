"""The spread between runs: from one promotion's runs, pooled over promotions, never from forced ones."""

import math
from dataclasses import replace
from typing import Any

import pytest
from judging import baseline_of, record

from vlmgate.record.occasions import MOST, TIME, levels, with_occasion, with_spread
from vlmgate.spec import Baseline


def level(mean: float, sd: float = 0.0, n: int = 24) -> dict[str, Any]:
    return {"levels": {TIME: {"mean": mean, "sd": sd, "n": n}}}


def promoted(*means: float, forced: bool = False) -> Baseline:
    history = tuple({"run": f"r{i}", "forced": forced, **level(mean)} for i, mean in enumerate(means))
    return replace(baseline_of(record("int8")), run=f"r{len(means) - 1}", history=history)


def test_levels_leave_out_what_has_no_block() -> None:
    assert levels({"a": (1.0, 3.0), "b": (5.0,), "c": ()}) == {
        "a": {"mean": 2.0, "sd": pytest.approx(math.sqrt(2)), "n": 2},
        "b": {"mean": 5.0, "sd": None, "n": 1},
    }


def test_promotions_alone_show_no_spread_between_runs() -> None:
    """Between promotions something was changed; taken for spread, a slow drift would widen the margin that is to catch it."""
    found = with_spread(promoted(0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    assert (found.between_sd, found.between_runs) == (None, 0)


def test_the_promoted_run_is_the_first_of_its_occasions() -> None:
    one = with_occasion(promoted(0.1), "x", "c", level(0.3)["levels"])
    assert (one.between_sd, one.between_runs) == (pytest.approx(0.2 / math.sqrt(2)), 2)
    assert one.occasions[0]["of"] == "r0"


def test_forced_promotions_are_left_out_and_their_occasions_are_not() -> None:
    forced = with_occasion(promoted(9.9, forced=True), "x", "c", level(0.1)["levels"])
    assert forced.between_runs == 0
    assert with_occasion(forced, "y", "c", level(0.3)["levels"]).between_sd == pytest.approx(0.2 / math.sqrt(2))


def test_variances_are_pooled_by_their_degrees_of_freedom() -> None:
    entries = [("r0", 0.1), ("r0", 0.3), ("r1", 5.0), ("r1", 5.4)]
    occasions = tuple({"run": f"o{i}", "of": of, **level(mean)} for i, (of, mean) in enumerate(entries))
    found = with_spread(replace(promoted(0.2, 5.2), occasions=occasions))
    assert found.between_sd == pytest.approx(math.sqrt((2 * 0.01 + 2 * 0.04) / 4)) and found.between_runs == 5


def test_what_was_measured_with_earlier_settings_counts_no_more() -> None:
    """Runs with two timed images spread more than runs with eight: they say nothing of the present ones."""
    entries = [("r0", 9.0), ("r0", 1.0), ("r1", 0.3), ("r2", 0.3)]
    occasions = tuple({"run": f"o{i}", "of": of, **level(mean)} for i, (of, mean) in enumerate(entries))
    baseline = replace(promoted(5.0, 0.1, 0.1), occasions=occasions)
    first, second, third = baseline.history
    other = replace(baseline, history=(first, {**second, "other": ["timed_images"]}, third))
    assert with_spread(baseline).between_runs == 5
    assert with_spread(other).between_runs == 3
    assert with_spread(other).between_sd == pytest.approx(0.2 / math.sqrt(2))


def test_an_old_history_without_levels_is_no_error() -> None:
    assert with_spread(replace(promoted(0.1), history=({"run": "r0"},))).between_sd is None


def test_a_file_does_not_grow_for_ever() -> None:
    baseline = promoted(0.1)
    for number in range(MOST + 3):
        baseline = with_occasion(baseline, f"x{number}", "c", level(0.1)["levels"])
    assert len(baseline.occasions) == MOST and baseline.occasions[-1]["run"] == f"x{MOST + 2}"
