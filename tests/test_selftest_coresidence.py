"""Pairs of blocks of a tiny model, alone and together: real workers by the command, whom they hold, and going on."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from project import ROOT, Project

from vlmgate.judge.evidence import PLACEBO
from vlmgate.selftest import coresidence
from vlmgate.selftest.blocklog import Entry, open_log
from vlmgate.selftest.coresidence import KIND, SIDES, neighbours, pairs_of, record, schedule, unplanned, values_of, way_of
from vlmgate.selftest.recording import Subject
from vlmgate.spec import Block, Model, Settings, VlmgateError
from vlmgate.variants import VARIANTS

CROWDS = {"int8-dynamic": ["bf16", "pruned"]}
SAYS = {"speed-up", "placebo", "time of the reference"}


def test_the_command_measures_a_variant_alone_and_beside_neighbours(project: Project, tmp_path: Path) -> None:
    log, suite = tmp_path / "tiny.jsonl", project.root / "benchmarks" / "suite.yaml"
    where = ("--suite", suite, "--model", "tiny", "--log", log, "--markdown", tmp_path / "table.md")
    what = ("--variants", "int8-dynamic", "--beside", "int8-dynamic,slow,pruned", "--pairs", 1, "--rounds", 2)
    done = project.python(ROOT / "docs" / "coresidence.py", *where, *what)
    assert done.status == 0 and "2 of 2: int8-dynamic" in done.err, done.err
    ((alone, together),) = pairs_of(open_log(log, KIND), "int8-dynamic")
    assert set(alone.arms) == {"fp32", "int8-dynamic", PLACEBO}
    assert set(together.arms) == {*alone.arms, "slow", "pruned"}
    assert alone.values.keys() == together.values.keys() == SAYS and alone.seconds > 0
    assert "int8-dynamic: 1 pairs, too few" in done.out and "Nothing can be said yet" in done.out
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == done.out


def entry(way: str, index: int, beside: list[str] | None = None) -> Entry:
    variant, side = way.split()
    company = (CROWDS[variant] if beside is None else beside) if side == "together" else []
    return Entry(way, index, 1.0, 0.0, dict.fromkeys(SAYS, 0.1), arms=("fp32", variant, PLACEBO, *company))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Way → the arms that its workers would hold; nothing is measured."""
    jobs: dict[str, list[str]] = {}

    def measure(way: str, index: int, job: Any, of: Any) -> Entry:
        jobs[way] = [arm["name"] for arm in job["arms"]]
        return entry(way, index)

    folders = {name: name for name in ("fp32", PLACEBO, "int8-dynamic", "int8-copy", "bf16", "pruned")}
    monkeypatch.setattr(coresidence, "prepare", lambda *given: (folders, "weights"))
    monkeypatch.setattr(coresidence, "measure", measure)
    return jobs


@pytest.fixture
def subject(project: Project, tiny_model: Model) -> Subject:
    return Subject(tiny_model, "scenes", Settings(images=2, timed_images=2), project.root, project.root / "cache")


def test_a_log_is_gone_on_with_by_whole_pairs(told: dict[str, list[str]], subject: Subject, tmp_path: Path) -> None:
    log, lines = tmp_path / "log", []  # type: ignore[var-annotated]
    record(log, subject, VARIANTS, CROWDS, 2, lines.append)
    assert told == {"int8-dynamic alone": ["fp32", "int8-dynamic", PLACEBO]} | {
        "int8-dynamic together": ["fp32", "int8-dynamic", PLACEBO, "bf16", "pruned"]
    }
    whole = log.read_text(encoding="utf-8")
    log.write_text("".join(whole.splitlines(keepends=True)[:-1]), encoding="utf-8")  # half of the second pair
    lines.clear()
    found = record(log, subject, VARIANTS, CROWDS, 3, lines.append)
    assert len(lines) == 4, "the second pair again, and a third"
    assert len(found) == 3 + 4 and [one.index for one, _ in pairs_of(found, "int8-dynamic")] == [0, 1, 2]
    lines.clear()
    assert record(log, subject, VARIANTS, CROWDS, 3, lines.append) == found and not lines


def test_a_log_of_other_neighbours_is_not_gone_on_with(told: Any, subject: Subject, tmp_path: Path) -> None:
    record(tmp_path / "log", subject, VARIANTS, CROWDS, 1, lambda line: None)
    with pytest.raises(VlmgateError, match=r"with other neighbours of int8-dynamic \(pruned\)"):
        record(tmp_path / "log", subject, VARIANTS, {"int8-dynamic": ["bf16"]}, 2, lambda line: None)


def test_a_worker_that_fails_ends_the_study(subject: Subject, told: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coresidence, "measure", lambda way, index, *more: Entry(way, index, 1.0, 0.0, failed="no memory"))
    with pytest.raises(VlmgateError, match=r"int8-dynamic (alone|together): no memory"):
        record(tmp_path / "log", subject, VARIANTS, CROWDS, 1, lambda line: None)


def test_the_blocks_of_a_pair_run_one_after_the_other_in_an_order_of_their_own() -> None:
    drawn = list(schedule(["a", "b", "c"], 40))
    assert Counter(drawn) == {(variant, side, pair): 1 for variant in "abc" for side in SIDES for pair in range(40)}
    pairs = [(drawn[at], drawn[at + 1]) for at in range(0, len(drawn), 2)]
    assert all(one[0] == two[0] and one[2] == two[2] for one, two in pairs)
    first = Counter(one[1] for one, _ in pairs)
    assert 40 <= first["alone"] <= 80, "of 120, neither side is always the first"
    assert len({tuple(one[0] for one, _ in pairs[at : at + 3]) for at in range(0, len(pairs), 3)}) == 6, "and no variant"
    assert list(schedule(["a", "b", "c"], 40)) == drawn


def test_only_whole_pairs_of_good_blocks_count_and_of_two_the_last() -> None:
    again = replace(entry("int8-dynamic alone", 0), seconds=9.0)
    cut, bad = entry("int8-dynamic together", 1), replace(entry("int8-dynamic alone", 1), failed="killed")
    entries = [entry("int8-dynamic alone", 0), again, entry("int8-dynamic together", 0), bad, cut]
    assert pairs_of(entries, "int8-dynamic") == [(again, entries[2])]
    assert pairs_of(entries, "bf16") == []


def test_a_block_says_speed_ups_and_the_references_seconds() -> None:
    times = {"fp32": ((0.4, 0.4),), "int8-dynamic": ((0.2, 0.2),), PLACEBO: ((0.4, 0.4),), "bf16": ((9.0, 9.0),)}
    block = Block("tiny/scenes", 0, 0, (0,), times, {}, {}, (0.1,), 1.0)
    said = values_of(block, "int8-dynamic")
    assert said == pytest.approx({"speed-up": 0.6931, "placebo": 0.0, "time of the reference": -0.9163}, abs=1e-4)


def test_a_variant_is_no_neighbour_of_itself_and_the_reference_of_nobody() -> None:
    assert neighbours("b", ["a", "b", "fp32", "c", "d"], 2) == ["a", "c"]
    for variant, beside, why in (("b", ["b", "fp32"], "nothing is left beside it"), ("fp32", ["a"], "it is the reference")):
        with pytest.raises(VlmgateError, match=f"{variant} cannot be paired: {why}"):
            neighbours(variant, beside, 5)


def test_company_that_a_run_would_not_plan_is_named() -> None:
    assert unplanned(VARIANTS, CROWDS, 2) == []
    (many,) = unplanned(VARIANTS, {"int8-dynamic": sorted(name for name in VARIANTS if name.startswith("pruned"))[:6]}, 2)
    assert many == "A run would not put 7 variants into the worker of int8-dynamic, but 6 at most."
    assert unplanned(VARIANTS, {"openvino-int8": ["openvino-fp32"]}, 1) == []
    (two,) = unplanned(VARIANTS, {"openvino-int8": ["openvino-fp32"]}, 2)
    assert two == "A run would not put 2 variants into the worker of openvino-int8, but 1 at most."
    (mixed,) = unplanned(VARIANTS, {"int8-dynamic": ["onnx-int8"]}, 2)
    assert mixed == "A run would not put onnx and torch into one worker, as here with int8-dynamic."


def test_ways_are_named_apart() -> None:
    assert len({way_of(variant, side) for variant in CROWDS["int8-dynamic"] for side in SIDES}) == 4
