"""ceilings.json and work.json: kept, replaced, refused when damaged, and floors by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from record_samples import ENVIRONMENT, make_run, record

from vlmgate.record.roofline import (
    Ceilings,
    best_of,
    floors,
    machine_of,
    raised,
    read_ceilings,
    read_work,
    write_ceilings,
    write_work,
)
from vlmgate.spec import Settings, VlmgateError

RATES = {"fp32": 100e9, "bandwidth": 10e9}
ONE = Ceilings(machine_of(ENVIRONMENT), 1, RATES, {"fp32": "torch.mm"}, "2026-01-01T00:00:00+00:00", {"torch": "2.0"})
PHASES = [{"name": "encoder", "times": 1, "operations": {"fp32": 200e9}, "bytes": 1e9}]


def test_ceilings_come_back_and_the_same_machine_replaces(tmp_path: Path) -> None:
    assert read_ceilings(tmp_path) == []
    two, other = replace(ONE, threads=2), replace(ONE, machine={"cpu": "Another"})
    write_ceilings([ONE, two], tmp_path)
    write_ceilings([replace(ONE, rates={"fp32": 1.0}), other], tmp_path)
    assert read_ceilings(tmp_path) == [two, replace(ONE, rates={"fp32": 1.0}), other]


def test_the_best_of_several_tries_counts_type_by_type() -> None:
    first, second = {"fp32": [100.0, "a"], "int8": [9.0, "b"]}, {"fp32": [99.0, "c"], "int8": [10.0, "d"], "bf16": [1.0, "e"]}
    assert best_of([first, second]) == {"fp32": (100.0, "a"), "int8": (10.0, "d"), "bf16": (1.0, "e")}


def test_more_threads_are_never_below_fewer_on_the_same_machine(tmp_path: Path) -> None:
    one = replace(ONE, rates={"int8": 9.0, "fp32": 5.0, "bf16": 1.0}, how={"int8": "a", "fp32": "b", "bf16": "c"})
    two = replace(ONE, threads=2, rates={"int8": 8.0, "fp32": 6.0}, how={"int8": "d", "fp32": "e"})
    other = replace(two, machine={"cpu": "Another"})
    lifted = {"int8": "a with 1 of the threads", "fp32": "e", "bf16": "c with 1 of the threads"}
    expected = replace(two, rates={"int8": 9.0, "fp32": 6.0, "bf16": 1.0}, how=lifted)
    assert raised([two, one, other]) == [expected, one, other]
    assert raised([one, two, replace(two, threads=4, rates={}, how={})])[2].rates == expected.rates
    write_ceilings([two, other], tmp_path)
    write_ceilings([one], tmp_path)  # what was there before is raised too
    assert read_ceilings(tmp_path) == [expected, other, one]


@pytest.mark.parametrize("text", ["{", "{}", '{"schema": 99}', '{"schema": 1}', '{"schema": 1, "ceilings": [{"threads": 1}]}'])
def test_damaged_ceilings_are_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "ceilings.json").write_text(text)
    with pytest.raises(VlmgateError, match=r"ceilings\.json"):
        read_ceilings(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", '{"schema": 2, "cases": {}}', '{"schema": 1}', '{"schema": 1, "cases": {"a": {"why": ""}}}']
)
def test_damaged_work_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "work.json").write_text(text)
    with pytest.raises(VlmgateError, match=r"work\.json"):
        read_work(tmp_path)


def test_floors_by_hand(tmp_path: Path) -> None:
    run = make_run(record("fp32"), record("int8"), record("two", settings=Settings(threads=2)))
    told = {"phases": PHASES, "batch": 4, "why": ""}
    write_work({"blip/fp32/scenes": told, "blip/two/scenes": told, "blip/int8/scenes": {**told, "phases": []}}, tmp_path)
    work = read_work(tmp_path)
    assert floors(run, work, [ONE]) == {"blip/fp32/scenes": pytest.approx(0.5)}  # 2 s a call of four images
    assert floors(run, work, [replace(ONE, machine={"cpu": "Another"})]) == {} == floors(run, {}, [ONE])
    assert read_work(tmp_path / "nowhere") == {}
