"""The table of what sharing a worker moves, and its sentence, on drawn blocks whose truth is known."""

import math
import re

import numpy as np
import pytest
from scipy import stats as distributions

from vlmgate.selftest.blocklog import Entry
from vlmgate.selftest.coresidence import ALONE, TOGETHER, way_of
from vlmgate.selftest.coresidence_table import ERROR, changes, coresidence_table, pooled, sentence
from vlmgate.selftest.tables import render
from vlmgate.stats import t_interval

BESIDE = ("bf16", "pruned")
INT8, TEXT = "int8-dynamic", "int8-dynamic-text"
TIME = "time of the reference"


def blocks(variant: str, seed: int, pairs: int = 12, sd: float = 0.01, **moved: float) -> list[Entry]:
    """Pairs in which sharing changes ``speed``, ``placebo`` or ``time`` by a factor. Ratios of a block share its reference."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(pairs):
        for side, company in ((ALONE, ()), (TOGETHER, BESIDE)):
            shared, mine, other, seconds = rng.normal(0, sd, 4) / math.sqrt(2)
            push = {name: math.log(moved.get(name, 1.0)) if company else 0.0 for name in ("speed", "placebo", "time")}
            values = {
                "speed-up": math.log(1.3) + push["speed"] + shared - mine,
                "placebo": push["placebo"] + shared - other,
                "time of the reference": math.log(0.05) + push["time"] + 3 * seconds,
            }
            arms = ("fp32", variant, "placebo", *company)
            found.append(Entry(way_of(variant, side), index, 9.0, 0.02 * (index + 1), values, arms=arms))
    return found


def said(entries: list[Entry], *variants: str) -> str:
    return sentence(changes(entries, variants), [len(BESIDE)])


def test_an_effect_of_five_percent_is_found_and_said() -> None:
    entries = [*blocks(INT8, 1, speed=0.95), *blocks(TEXT, 2)]
    words = said(entries, INT8, TEXT)
    found = re.fullmatch(
        r"Sharing a worker with 2 other variants moves the speed-up of int8-dynamic by (-\d\.\d) % \((-\d\.\d) to (-\d\.\d)\); "
        r"nothing else beyond (\d\.\d) %\.",
        words,
    )
    assert found, words
    centre, low, high, rest = map(float, found.groups())
    assert low <= -5 <= high < 0 and low < centre < high and 0 < rest < 3


def test_a_placebo_that_moves_is_said_too() -> None:
    assert "moves the placebo beside int8-dynamic by +" in said(blocks(INT8, 1, placebo=1.2), INT8)


def test_no_effect_is_said_to_be_within_the_upper_end_of_the_interval() -> None:
    entries = [*blocks(INT8, 2), *blocks(TEXT, 6)]
    found = [change for change in changes(entries, [INT8, TEXT]) if change.what in ("speed-up", "placebo")]
    ends = [abs(math.expm1(end)) for change in found for end in (change.moved.low, change.moved.high)]
    assert said(entries, INT8, TEXT) == f"Sharing a worker with 2 other variants moves nothing beyond {100 * max(ends):.1f} %."
    assert 0.002 < max(ends) < 0.03


def test_seconds_of_the_reference_are_shown_and_never_in_the_sentence() -> None:
    entries = blocks(INT8, 3, time=1.5)
    (change,) = [each for each in changes(entries, [INT8]) if each.what == "time of the reference"]
    assert change.found and change.moved.low < math.log(1.5) < change.moved.high
    assert "moves nothing beyond" in said(entries, INT8)


def test_five_percent_is_nearly_always_found_and_nothing_seldom_is() -> None:
    draws = range(0, 800, 2)
    alarms = [
        any(each.found for each in changes([*blocks(INT8, at, 6), *blocks(TEXT, at + 1, 6)], [INT8, TEXT]) if each.what != TIME)
        for at in draws
    ]
    assert np.mean(alarms) <= ERROR + 0.01
    hits = [changes(blocks(INT8, at, 6, speed=0.95), [INT8])[0].found for at in draws]
    assert np.mean(hits) > 0.95


def test_a_spread_is_drawn_to_that_of_the_other_ratios_and_never_below() -> None:
    rows = [np.array([1.0, 3.0]), np.array([0.0, 0.0, 3.0])]
    prior = pooled(rows)
    assert prior and (prior.sd, prior.df) == (pytest.approx(math.sqrt((2 + 6) / 3)), 3)
    assert pooled([]) is None
    steady = [
        Entry(each.way, each.index, 9.0, 0.0, {**each.values, "speed-up": 0.3 + 1e-6 * each.index}, arms=each.arms)
        for each in blocks(INT8, 4)
    ]
    found = {change.what: change for change in changes(steady, [INT8])}
    level = 1 - ERROR / 2  # two judged lines
    placebos, speeds = (np.diff([each.values[what] for each in steady])[::2] for what in ("placebo", "speed-up"))
    assert found["speed-up"].moved == t_interval(speeds, level, pooled([placebos]))
    least = distributions.t.ppf((1 + level) / 2, 22) * placebos.std(ddof=1) / math.sqrt(12)
    assert found["speed-up"].moved.high == pytest.approx(least, rel=0.01), "its own spread is nothing, the placebo's is not"
    assert found[TIME].moved.signature.startswith("t, ") and found["speed-up"].moved.signature.startswith("moderated t")


def test_two_pairs_are_too_few_and_it_is_said() -> None:
    entries = [*blocks(INT8, 1, pairs=2), *blocks(TEXT, 2)]
    table = coresidence_table(entries, [INT8, TEXT, "bf16"])
    assert {row[0] for row in table.rows} == {TEXT}
    assert "int8-dynamic: 2 pairs, too few" in table.notes and "bf16: 0 pairs, too few" in table.notes
    assert said(blocks(INT8, 1, pairs=2), INT8) == "Nothing can be said yet: it takes 3 pairs of a variant."


def test_a_table_shows_both_sides_and_begins_its_notes_with_the_result() -> None:
    entries = blocks(INT8, 5, sd=1e-5, speed=1.02, time=1.1)
    table = coresidence_table(entries, [INT8])
    assert [row[:4] for row in table.rows] == [
        [INT8, "speed-up", "1.300×", "1.326×"],
        [INT8, "placebo", "1.000×", "1.000×"],
        [INT8, "time of the reference", "50.0 ms", "55.0 ms"],
    ]
    assert str(table.rows[0][4]).startswith("+2.0 % (+2.0 to +2.0") and table.rows[0][5] == 12
    assert table.notes[0] == sentence(changes(entries, [INT8]), [2])
    assert table.notes[1:] == [
        "Beside int8-dynamic: bf16, pruned.",
        "Other programs used 0.24 cores at most, 0.13 in the median block.",
    ]
    assert "| int8-dynamic | speed-up" in render([table], markdown=True)
