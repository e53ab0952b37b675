"""The three files of a run's folder, and the document of run.json with its examples."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from runs import CRASH, FAIL, blocks, make_run

from vlmgate.metrics.scores import FIELDS
from vlmgate.record import read_run
from vlmgate.report import csv_file, markdown, write_reports
from vlmgate.report.rows import rows
from vlmgate.spec import Block, CaseRecord, Environment, Estimate, Failure, Run, Settings, Verdict, VlmgateError

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "run-json.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_three_files_and_nothing_else(tmp_path: Path) -> None:
    run, folder = make_run(), tmp_path / "results" / "run"
    written = write_reports(run, folder)
    assert [path.name for path in written] == ["run.json", "comparison.md", "comparison.csv"]
    assert sorted(folder.iterdir()) == sorted(written)  # no temporary file is left
    assert read_run(folder) == run
    assert (folder / "comparison.md").read_text(encoding="utf-8") == markdown.render(run)
    assert (folder / "comparison.csv").read_bytes().decode() == csv_file.render(run)


def test_a_second_writing_gives_the_same_files(tmp_path: Path) -> None:
    before = [path.read_bytes() for path in write_reports(make_run(), tmp_path)]
    assert [path.read_bytes() for path in write_reports(read_run(tmp_path), tmp_path)] == before


def test_a_folder_that_is_a_file_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(VlmgateError, match=r"cannot write run\.json in .*taken"):
        write_reports(make_run(), tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_halves_of_surrogate_pairs_do_not_stop_a_report(tmp_path: Path) -> None:
    write_reports(make_run(notes=("log bytes \udcff",)), tmp_path)
    assert "log bytes" in (tmp_path / "comparison.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("noun", [Run, Environment, CaseRecord, Settings, Block, Failure, Verdict, Estimate])
def test_the_document_names_every_field(noun: type) -> None:
    assert [field.name for field in fields(noun) if f"`{field.name}`" not in DOCUMENT] == []


def test_the_document_counts_the_statistics_right() -> None:
    assert f"{len(FIELDS)} numbers" in DOCUMENT


def test_the_python_examples_run(tmp_path: Path) -> None:
    write_reports(make_run(), tmp_path)
    raw, typed = examples("python")
    outputs = []
    for program in (raw, typed):
        environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout.splitlines())
    assert outputs[0] == [
        "scene-blip/int8-dynamic/scenes: 1.250× over 6 blocks",
        "scene-blip/pruned/scenes: 1.000× over 6 blocks",
    ]
    assert [line.split()[0] for line in outputs[1]] == [case.id for case in make_run().cases]


@pytest.mark.parametrize(("again", "seen"), [(6, 1.0), (5, 1.25)])
def test_the_speed_ups_of_the_document_come_from_the_blocks_that_count(tmp_path: Path, again: int, seen: float) -> None:
    """Blocks that confirm a fail are none of them; blocks of a second try are in place of the first ones once it is whole."""
    run, arms = make_run(), {"fp32": 0.080, "int8-dynamic": 0.080, "pruned": 0.080, "placebo": 0.080}
    confirm = [replace(block, role="confirm") for block in blocks("scene-blip/scenes", {**arms, "int8-dynamic": 0.040})]
    retry = [replace(block, role="retry") for block in blocks("scene-blip/scenes", arms)]
    run = replace(run, blocks=(*run.blocks, *confirm, *retry[:again]))
    write_reports(run, tmp_path)
    command = [sys.executable, "-c", examples("python")[0]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().splitlines()[0] == f"scene-blip/int8-dynamic/scenes: {seen:.3f}× over 6 blocks"
    row = next(row for row in rows(run) if row.case == "scene-blip/int8-dynamic/scenes")
    assert row.speed_up is not None and (row.speed_up.n, row.speed_up.centre) == (6, pytest.approx(seen))


def test_the_jq_example_runs(tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    write_reports(make_run(), tmp_path)
    (command,) = examples("sh")
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True, timeout=60)
    assert done.stdout.splitlines() == [FAIL, CRASH, CRASH]


def test_the_record_says_its_schema(tmp_path: Path) -> None:
    path = write_reports(make_run(), tmp_path)[0]
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1
