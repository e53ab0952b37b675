"""Topping up a real run: its blocks stay, the missing ones are measured, and another suite is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from project import Done, Project

from vlmgate.record import read_run
from vlmgate.running import topup

Run = Callable[..., tuple[int, str, str]]


def test_the_missing_blocks_are_added_to_those_that_are_there(
    vlmgate: Run, first: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topup, "LEAST_BLOCKS", 3)  # 24 would take minutes; promotion itself still asks for 24
    chosen = ("--cases", "tiny/slow/*", "--baselines", tmp_path / "baselines", "--results", tmp_path / "results")
    status, _, err = vlmgate("promote", first.folder, "--top-up", *chosen)
    assert status == 4 and "tiny/slow/scenes (3 blocks of time_per_caption where 24 are needed" in err
    (folder,) = (tmp_path / "results").iterdir()
    run = read_run(folder)
    mine = [block for block in run.blocks if "slow" in block.times]
    assert [block.index for block in mine] == [0, 1, 2]
    assert [block.times["slow"] for block in mine[:2]] == [block.times["slow"] for block in first.run.blocks]
    record = next(record for record in run.cases if record.variant == "slow")
    before = next(record for record in first.run.cases if record.variant == "slow")
    assert (record.captions, record.questions) == (before.captions, before.questions)
    assert (folder / "comparison.md").exists()


def test_another_suite_is_refused_and_leaves_nothing(vlmgate: Run, project: Project, first: Done, tmp_path: Path) -> None:
    text = (project.root / "benchmarks" / "suite.yaml").read_text()
    other = project.suite("changed.yaml", text + "# changed\n")
    options = ("--suite", other, "--results", tmp_path, "--baselines", tmp_path / "none")
    status, _, err = vlmgate("promote", first.folder, "--top-up", *options)
    assert status == 4 and "changed.yaml was changed" in err
    assert not list(tmp_path.iterdir())
