"""Blocks of a tiny model under two settings of the process: the log, going on with it, and what is refused."""

import json
from collections import Counter
from pathlib import Path

import pytest
from project import ROOT, Done, Project

from vlmgate.selftest.blocklog import open_log
from vlmgate.selftest.variance import KIND, schedule, ways


def variance(project: Project, log: Path, *more: object) -> Done:
    suite = project.root / "benchmarks" / "suite.yaml"
    where = ("--suite", suite, "--model", "tiny", "--log", log)
    return project.python(ROOT / "docs" / "variance.py", *where, "--rounds", 2, "--settings", "default,one-arena", *more)


@pytest.fixture(scope="module")
def recorded(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One block of each setting, of which a kill has cut off half of the second; then gone on with."""
    log = tmp_path_factory.mktemp("variance") / "tiny.jsonl"
    first = variance(project, log, "--processes", 1)
    assert first.status == 0 and "2 of 2" in first.err, first.err
    text = log.read_text(encoding="utf-8")
    log.write_text(text[:-40], encoding="utf-8")
    lost = json.loads(text.splitlines()[2])["way"]
    again = variance(project, log, "--processes", 1)
    assert again.status == 0 and f"1 of 1: {lost} 1" in again.err, again.err
    assert log.read_text(encoding="utf-8").splitlines()[:2] == text.splitlines()[:2]
    return log


def test_each_setting_has_its_block_with_every_value(recorded: Path) -> None:
    entries = open_log(recorded, KIND)
    assert {(entry.way, entry.index) for entry in entries} == {("default", 0), ("one-arena", 0)}
    for entry in entries:
        assert set(entry.values) == {"int8", "placebo", "int8 copy", "fp32 time", "int8 time", "yardstick"}
        assert entry.seconds > 0 and not entry.failed
    assert list(recorded.parent.iterdir()) == [recorded]  # no lock


def test_tables_need_three_blocks_and_say_so(recorded: Path, project: Project) -> None:
    done = variance(project, recorded, "--table")
    assert done.status == 0 and "default: 1 blocks, too few" in done.out, done.err


def test_a_log_of_another_block_is_not_gone_on_with(recorded: Path, project: Project) -> None:
    done = variance(project, recorded, "--images", 1)
    assert done.status == 1 and "was recorded with another settings" in done.err


def test_every_setting_comes_once_a_round_in_an_order_of_its_own() -> None:
    names = list("abcdef")
    drawn = list(schedule(names, 20))
    assert Counter(name for name, _ in drawn) == dict.fromkeys(names, 20)
    rounds = [tuple(name for name, index in drawn if index == number) for number in range(20)]
    assert all(sorted(each) == names for each in rounds) and len(set(rounds)) > 15
    assert list(schedule(names, 20)) == drawn


def test_settings_name_what_they_do_and_the_default_does_nothing() -> None:
    there = ways(2)
    assert next(iter(there)) == "default" and not there["default"].environment
    assert all(way.missing or way.environment or way.under or way.affinity == "pin" for way in list(there.values())[1:])
    assert "spinning" in there and "spinning" not in ways(1)
