"""Tables of the simulated rates at small size: what they hold, and that a promise not kept is said."""

import re

from vlmgate.selftest import simulated_tables
from vlmgate.selftest.simulated import RARE, SHAPES
from vlmgate.selftest.tables import render


def test_all_tables_hold_every_shape_and_say_how_sure_they_are():
    said = []
    made = simulated_tables.tables(0.002, {}, 7, said.append)
    text = render(made)
    assert len(made) == len(said) == 4
    assert all(name in text for name in (*SHAPES, *RARE))
    assert "200 draws a cell, ± " in text and "False verdicts of the whole rule, 80 runs" in text
    assert "Each run has 7 independent lines" in text


def test_a_promise_that_is_not_kept_is_said():
    rows = simulated_tables.rule_table({**RARE, "normal": SHAPES["normal"]}, 600, 12).rows
    kept = {(row[0], row[1]): row[4] for row in rows}
    assert kept[("two modes, 10 % of blocks 16 % up", "promoted")] == "no"
    assert kept[("normal", "promoted")] == "yes"


def test_the_power_table_gives_its_largest_difference():
    table = simulated_tables.power_table(2_000)
    assert len(table.rows) == 10 and len(table.rows[0]) == 7
    assert float(re.search(r"difference: ([\d.]+) points", table.notes[0])[1]) < 5


def test_both_ways_to_resample_captions_are_timed():
    taken = simulated_tables.resampling_seconds()
    assert list(taken) == ["bootstrap", "permutation"]
    assert 1 / 20 < taken["permutation"] / taken["bootstrap"] < 20  # neither is a stub: they draw the same numbers
