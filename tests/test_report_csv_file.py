"""comparison.csv, read back by the csv module."""

import csv
import io
import math
from dataclasses import replace

import pytest
from runs import FAIL, NO_CUDA, UNRESOLVED, block, make_run, record

from vlmgate.report.csv_file import COLUMNS, render
from vlmgate.report.rows import rows
from vlmgate.spec import Run


def read(run: Run) -> dict[str, dict[str, str]]:
    """Case id → column → cell."""
    return {line["case"]: line for line in csv.DictReader(io.StringIO(render(run), newline=""))}


def test_round_trip_against_the_rows() -> None:
    run = make_run()
    cells = read(run)
    assert list(cells) == [case.id for case in run.cases]
    for row in rows(run):
        line = cells[row.case]
        for column, value in (("time_per_image_s", row.seconds), ("size_bytes", row.size), ("memory_ratio", row.memory_ratio)):
            assert line[column] == "" if value is None else float(line[column]) == pytest.approx(value, rel=1e-11)


def test_int8_by_hand() -> None:
    line = read(make_run())["scene-blip/int8-dynamic/scenes"]
    expected = {"time_per_image_s": 0.064, "speed_up": 1.25, "images_per_s": 15.625, "peak_memory_bytes": 250e6}
    expected |= {"memory_ratio": 0.5, "size_bytes": 10e6, "size_ratio": 0.25, "bleu_1": 0.9, "bleu_4_retention": 0.98}
    expected |= {"cider": 4.95, "cider_retention": 0.99}
    for column, value in expected.items():
        assert float(line[column]) == pytest.approx(value), column
    assert float(line["speed_up_low"]) < 1.25 < float(line["speed_up_high"])
    assert (line["reference"], line["verdict"], line["reason"]) == ("fp32", "unresolved", UNRESOLVED)


def test_the_spread_of_memory_over_processes_has_columns() -> None:
    found = read(make_run())
    several, one = found["blip-base/fp32/scenes"], found["scene-blip/fp32/scenes"]
    assert (float(several["peak_memory_lowest"]), float(several["peak_memory_highest"])) == (2e9, 2.2e9)
    assert (one["peak_memory_lowest"], one["peak_memory_highest"]) == ("", "") and float(one["peak_memory_bytes"]) > 0


def test_reference_failing_and_skipped_rows() -> None:
    cells = read(make_run())
    reference = cells["scene-blip/fp32/scenes"]
    assert [reference[column] for column in ("speed_up", "speed_up_low", "size_ratio", "reference")] == ["1", "1", "1", ""]
    assert cells["scene-blip/pruned/scenes"]["reason"] == FAIL
    skipped = cells["blip-base/fp16-cuda/scenes"]
    assert (skipped["verdict"], skipped["reason"]) == ("skip", NO_CUDA)
    assert {value for column, value in skipped.items() if column in COLUMNS[5:-2]} == {""}


def test_every_line_has_every_column() -> None:
    lines = list(csv.reader(io.StringIO(render(make_run()), newline="")))
    assert tuple(lines[0]) == COLUMNS
    assert {len(line) for line in lines} == {len(COLUMNS)}
    assert len(set(COLUMNS)) == len(COLUMNS)


@pytest.mark.parametrize("evil", ["=1+1", "+cmd", "-x", "@SUM(A1)", "  =1", "\t=1", "\r=1", "-"])
def test_no_formula_comes_through(evil: str) -> None:
    case = record("m", "x", id="m/x/scenes", reference="", skip=evil)
    line = read(make_run(cases=(case,), verdicts=(), blocks=()))["m/x/scenes"]
    assert line["reason"].startswith("'")
    assert line["reason"].endswith(evil.strip())


def test_numbers_with_a_sign_stay_numbers() -> None:
    run = make_run(cases=(record("m", "fp32", skip="-0.5", scores={"cider": -0.25}),), verdicts=(), blocks=())
    line = read(run)["m/fp32/scenes"]
    assert (line["cider"], line["reason"]) == ("-0.25", "-0.5")


def test_a_name_with_commas_quotes_and_newlines_stays_one_cell() -> None:
    case = record("m", 'x,"y"\nz', id="odd", reference="")
    line = read(make_run(cases=(case,), verdicts=(), blocks=()))["odd"]
    assert line["variant"] == 'x,"y" z'


def test_what_is_not_finite_is_empty() -> None:
    one = (block("scene-blip/scenes", 0, {"fp32": 0.08, "int8-dynamic": 0.064}),)
    run = make_run(blocks=one)
    line = read(run)["scene-blip/int8-dynamic/scenes"]
    assert float(line["speed_up"]) == pytest.approx(1.25)
    assert (line["speed_up_low"], line["speed_up_high"]) == ("", "")
    strange = replace(run, cases=(record("m", "fp32", scores={"cider": math.nan}),))
    assert read(strange)["m/fp32/scenes"]["cider"] == ""
