"""Tables of the simulated rates at small size: what they hold, and that a promise not kept is said."""

import re

from vlmgate.selftest import simulated_tables
from vlmgate.selftest.simulated import RARE, SHAPES
from vlmgate.selftest.tables import render


def test_all_tables_hold_every_shape_and_say_how_sure_they_are():
    said = []
    made = simulated_tables.tables(0.002, {}, said.append)
    text = render(made)
    assert len(made) == len(said) == 4
    assert all(name in text for name in (*SHAPES, *RARE))
    assert "200 draws a cell, ± " in text and "False verdicts of the whole rule, 80 runs" in text


def test_a_promise_that_is_not_kept_is_said():
    rows = simulated_tables.rule_table({**RARE, "normal": SHAPES["normal"]}, 600).rows
    kept = {(row[0], row[1]): row[4] for row in rows}
    assert kept[(next(iter(RARE)), "promoted")] == "no"
    assert kept[("normal", "promoted")] == "yes"


def test_the_power_table_gives_its_largest_difference():
    table = simulated_tables.power_table(2_000)
    assert len(table.rows) == 10 and len(table.rows[0]) == 7
    assert float(re.search(r"difference: ([\d.]+) points", table.notes[0])[1]) < 5


def test_the_bootstrap_is_timed():
    assert simulated_tables.bootstrap_seconds() > 0
