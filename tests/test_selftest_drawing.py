"""The long proof on made-up blocks: rates are what the blocks were given, and too many false alarms are seen."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from banks import CENTRES, bank

from vlmgate.cli.common import open_suite
from vlmgate.judge import judge_run
from vlmgate.judge.evidence import PLACEBO
from vlmgate.selftest import drawing
from vlmgate.selftest.arms import INT8, INT8_COPY
from vlmgate.selftest.bank import Bank
from vlmgate.selftest.games import Game, cast, judged, promote_drawn, run_of, thresholds_of
from vlmgate.selftest.rates import Rate
from vlmgate.spec import Baseline, Block, VlmgateError
from vlmgate.suite import reference_of

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def quiet() -> Bank:
    return bank(60, sd=0.01)


def test_identical_code_does_not_fail_and_a_tenth_is_found(quiet: Bank) -> None:
    same = drawing.play_all(quiet, Game("", INT8_COPY, INT8), 0.0, 40)
    slow = drawing.play_all(quiet, Game("", "fp32-slow10"), 0.10, 40)
    assert same.fails.share == 0.0 and slow.fails.share >= 0.9
    assert same.one_process.share > 0.05  # the machine moves whole processes by 3 %, which a single process cannot see
    assert drawing.violations([same, slow]) == []


def test_the_same_seed_draws_the_same_runs(quiet: Bank) -> None:
    game = Game("", "fp32-slow3")
    assert drawing.play_all(quiet, game, 0.03, 5) == drawing.play_all(quiet, game, 0.03, 5)
    assert drawing.play_all(quiet, game, 0.03, 5, seed=1).played != drawing.play_all(quiet, game, 0.03, 5).played


def test_the_first_promotions_of_a_row_go_through_files(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def promote(bank: Bank, game: Game, cast: Sequence[Block], order: Iterator[int], files: bool) -> dict[str, Baseline]:
        asked.append(files)
        return promote_drawn(bank, game, cast, order, files)

    monkeypatch.setattr(drawing, "promote_drawn", promote)
    game, quiet = Game("", INT8, line=0.03, promoted=INT8), bank(60, sd=0.01)
    drawing.play_all(quiet, game, 0.0, drawing.BY_FILES + 2)
    assert asked == [True] * drawing.BY_FILES + [False] * 2


def test_false_alarms_beyond_the_promise_are_named() -> None:
    liar = bank(60, sd=0.002, centres={**CENTRES, PLACEBO: 1.1 * CENTRES[PLACEBO]})  # the copy is none
    row = drawing.play_all(liar, Game("FP32, second copy", PLACEBO), 0.0, 20)
    assert row.fails == Rate(20, 20)
    assert drawing.violations([row]) == [f"FP32, second copy: fails {row.fails}"]
    assert drawing.violations([replace(row, slower=0.1)]) == []


def test_a_small_bank_gives_what_it_can(quiet: Bank) -> None:
    rows, (rates, smallest, goals) = drawing.prove(quiet, 2, 10)
    names = {row.game.name for row in rows}
    assert "FP32 +10%" in names and any("assumed" in name for name in names) and not any("measured" in name for name in names)
    assert [row[2] for row in goals.rows if "no false fail" in str(row[0])] == ["yes"]
    assert len(rates.rows) == len(rows) and all(len(row) == len(rates.head) for row in rates.rows)
    assert [row[2] for row in rates.rows if row[0] == "FP32 +3%"] == ["fail", "not fail"]  # +3 % is within a margin of 3 %
    assert all(len(row) == len(smallest.head) for row in smallest.rows)
    with pytest.raises(VlmgateError, match="holds 29 blocks; drawing needs 30"):
        drawing.prove(replace(quiet, entries=quiet.entries[:29]), 2, 10)


def test_the_smallest_change_that_is_found(quiet: Bank) -> None:
    table = drawing.smallest_found(quiet, 20, 1)
    shares = [float(str(cell).rstrip("%")) for cell in table.rows[-1][2:]]
    assert shares[0] < 50 and shares[-1] == 100
    least, generous = (str(table.rows[i][1]) for i in (0, -1))
    assert least == "none up to +30%"  # twelve blocks of these take more than a minute
    assert 1 < float(generous.strip("+%")) < 10


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ([0.0, 0.9, 1.0], "+2.5%"),
        ([0.0, 0.5, 0.9], "none up to +3%"),
        ([0.96, 0.97, 1.0], "+1% or less"),
        ([0.96, 0.5, 1.0], "+2.9%"),
    ],
)
def test_where_the_shares_cross(shares: list[float], words: str) -> None:
    assert drawing.crossing([0.01, 0.02, 0.03], shares) == words


def test_the_family_is_that_of_the_suite(quiet: Bank) -> None:
    suite = open_suite(argparse.Namespace(suite=ROOT / "benchmarks" / "suite.yaml"))
    tier = suite.tier("default")
    lines = drawing.noisy_lines(suite, tier)
    game = Game("", INT8, lines=lines)
    ours = judged(quiet, game, cast(quiet, game)[:6], {}).spent
    base = run_of(quiet, game, ())
    names = {case.id: case for case in tier.cases}
    cases = [
        replace(base.cases[0], id=case.id, questions=case.questions, recipe=asdict(case.variant), reference=reference.id)
        for case in tier.cases
        if (reference := reference_of(case, tier.cases))
    ]
    cases.append(replace(base.cases[1], reference=base.cases[0].id))
    run = replace(base, cases=(base.cases[0], *cases), blocks=tuple(cast(quiet, game)[:6]))
    asked = {name: suite.thresholds_for(name) for name in names}
    asked[cases[-1].id] = thresholds_of(run_of(quiet, game, ()), replace(game, lines=1))[cases[-1].id]
    theirs = next(v for v in judge_run(run, asked, suite.metrics, {}) if v.case == cases[-1].id)
    assert lines * ours[0] == pytest.approx((lines + 1) * theirs.spent[0])  # the suite's lines and the one under test
    assert f"the default tier has {lines}" in (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
