"""What many test files share: a tiny captioner on disk and artefacts of it, made once a session."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from jobs import ROOT, SPIKE, job, trick, write_tricks
from project import Done, Project, first_run, shared_project, suite_text
from sessions import ALL, CUDA, DIES, LATENCY, QUALITY, SIZE, SLOW, Made, Place

from vlmgate import spec
from vlmgate.cli import main
from vlmgate.measure import Answer, run_job
from vlmgate.models import BLIP_PARTS
from vlmgate.protocol import Message
from vlmgate.running import state
from vlmgate.spec import Model, Source
from vlmgate.variants import VARIANTS

# Before torch is imported, whichever test does so: on a busy machine two threads that spin while they wait for each other take
# minutes for what one does in seconds.
os.environ["OMP_NUM_THREADS"] = "1"

Run = Callable[..., tuple[int, str, str]]

# The same examples each time and no deadline, so that a red test means a change and not a slow machine or a lucky draw;
# `--hypothesis-profile=search` looks for new ones.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("gate")


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in save_pretrained layout; shared, so never written to."""
    from tiny import save_tiny_blip  # here, so that tests without a model load neither torch nor transformers

    return save_tiny_blip(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Path) -> Model:
    """The same as an entry of the registry would name it."""
    return Model("tiny", "blip", Source.LOCAL, str(tiny_checkpoint), BLIP_PARTS)


@pytest.fixture(scope="session")
def tricks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tricks")


@pytest.fixture(scope="session")
def tricks(tricks_folder: Path, tiny_checkpoint: Path) -> Path:
    """The plugin of jobs.py as a file."""
    return write_tricks(tricks_folder / "tricks.py", tiny_checkpoint)


@pytest.fixture(scope="session")
def prepared(tricks_folder: Path, tricks: Path, tiny_model: Model) -> Answer:
    """Artefacts of fp32, a spy and a spike; fp16-cuda cannot run where no GPU is seen."""
    variants = [VARIANTS["fp32"], VARIANTS["fp16-cuda"], trick("spy", do="spy", log=str(tricks_folder / "calls"))]
    variants.append(trick("spike", do="spike", bytes=SPIKE))
    extra = {"model": asdict(tiny_model), "root": str(ROOT), "cache": str(tricks_folder / "cache")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        answer = run_job("prepare", job(tricks, variants=[asdict(variant) for variant in variants], **extra))
    assert answer.failure is None
    return answer


@pytest.fixture(scope="session")
def arm(prepared: Answer) -> Callable[..., Message]:
    """An arm of a job by its name, from the artefact of ``variant``."""
    return lambda name, variant="": {"name": name, "folder": prepared.arms[variant or name]["folder"]}


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Project:
    return shared_project(tmp_path_factory.getbasetemp(), tiny_checkpoint)


@pytest.fixture(scope="session")
def first(project: Project) -> Done:
    """Everything asked of every variant."""
    return first_run(project)


@pytest.fixture
def vlmgate(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command at the root of the project: status, what it printed, what it complained of."""
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def lenient(project: Project) -> Path:
    """A suite whose lines all hold."""
    head = suite_text().partition("thresholds:")[0]
    line = '  - {cases: "tiny/*", metric: parameters, against: limit, at_most: 1000000, reason: small}\n'
    return project.suite("lenient.yaml", f"{head}thresholds:\n{line}")


# help and usage


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Place:
    return Place(tmp_path_factory.mktemp("session"), tiny_checkpoint)


@pytest.fixture(scope="session")
def whole(place: Place) -> tuple[spec.Run, list[str]]:
    """A run with a deselected reference, a variant that is well, one that dies when it is timed, and one that cannot run."""
    lines: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        run = place.session({SLOW: ALL, DIES: (LATENCY, QUALITY), CUDA: ALL}, lines.append, blocks=2)
        run.measure()
    return run.finish("whole"), lines


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> spec.Run:
    """A run in which the reference dies when it is timed, beside a model of random weights that is asked for quality."""
    place = Place(tmp_path_factory.mktemp("broken"), tiny_checkpoint, family=True)
    run = place.session({SLOW: (LATENCY, SIZE), "tiny-random/slow/scenes": (SIZE, QUALITY)}, blocks=2)
    run.measure()
    return run.finish("broken")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Made]:
    """Answers without workers, as `Made` makes them."""

    def use(*arguments: Any) -> Made:
        answers = Made(*arguments)
        monkeypatch.setattr(state, "run_job", answers)
        return answers

    return use
