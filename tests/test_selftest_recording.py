"""A real bank of a tiny model: recorded by the command, killed in the middle, gone on with, and refused elsewhere."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from project import Project

from vlmgate.judge.evidence import PLACEBO
from vlmgate.selftest import arms, read_bank, write_bank
from vlmgate.selftest.bank import Bank

PATIENCE = 240  # seconds


def command(path: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "vlmgate", "bank", "--model", "tiny", "--out", str(path), *options]


def blocks_of(path: Path) -> int:
    return len(read_bank(path).entries) if path.exists() else 0


@pytest.fixture(scope="module")
def recorded(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Killed as soon as its first block is there, then asked for two in all."""
    path = tmp_path_factory.mktemp("bank") / "tiny.jsonl.gz"
    process = subprocess.Popen(command(path, "--blocks", "50"), cwd=project.root, env=project.environment())
    until = time.monotonic() + PATIENCE
    while not blocks_of(path):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = read_bank(path)
    done = project.python("-m", "vlmgate", *command(path, "--blocks", str(len(before.entries) + 1))[3:])
    assert done.status == 0 and f"{len(before.entries) + 1} blocks" in done.out, done.err
    assert read_bank(path).entries[:-1] == before.entries
    return path


def test_a_bank_holds_every_arm_of_every_block(recorded: Path) -> None:
    made = read_bank(recorded)
    every = {*arms.variants(), PLACEBO, arms.INT8_COPY}
    settings = made.head.settings
    assert made.head.recipes.keys() == every and len(made.head.sittings) == 2 and made.entries[-1].sitting == 1
    assert len({entry.block.seed for entry in made.entries}) == len(made.entries)
    for entry in made.entries:
        assert entry.block.times.keys() == every and entry.seconds > entry.block.startup > 0
        shape = {(len(images), len(images[0])) for images in entry.block.times.values()}
        assert shape == {(settings.timed_images, settings.rounds)}
    assert list(recorded.parent.iterdir()) == [recorded]  # no lock, no temporary


def test_enough_is_enough_and_more_is_more(recorded: Path, project: Project) -> None:
    had = blocks_of(recorded)
    done = project.python("-m", "vlmgate", *command(recorded, "--blocks", "1")[3:])
    assert done.status == 0 and blocks_of(recorded) == had
    done = project.python("-m", "vlmgate", *command(recorded, "--more", "1")[3:])
    assert done.status == 0 and blocks_of(recorded) == had + 1


def other_cpu(bank: Bank) -> Bank:
    here = bank.head.environment
    return replace(bank, head=replace(bank.head, environment=replace(here, key={**here.key, "cpu": "Other CPU"})))


def other_images(bank: Bank) -> Bank:
    return replace(bank, head=replace(bank.head, sha256="another"))


@pytest.mark.parametrize(("change", "words"), [(other_cpu, "cpu: Other CPU against"), (other_images, "sha256: another against")])
def test_another_environment_or_other_images_are_refused(
    recorded: Path, project: Project, tmp_path: Path, change: object, words: str
) -> None:
    path = write_bank(change(read_bank(recorded)), tmp_path / "b.jsonl.gz")  # type: ignore[operator]
    before = path.read_bytes()
    done = project.python("-m", "vlmgate", *command(path, "--more", "1")[3:])
    assert done.status == 4 and words in done.err and "was recorded elsewhere" in done.err
    assert path.read_bytes() == before
