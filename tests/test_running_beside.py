"""--against on a tiny model: a side with a slowed captioner or another recipe fails, an identical one does not."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from project import ROOT, Done, Project, make_project
from sessions import DIES, LATENCY, SECONDS, SLOW, Made, Place

from vlmgate.datasets import DATASETS
from vlmgate.measure import Answer
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.record import read_run, write_run
from vlmgate.record.raw import THERE, TIMED, read_raw
from vlmgate.running import beside, state
from vlmgate.running.against import Declared, Side
from vlmgate.running.group import Group, seed_of
from vlmgate.running.state import State
from vlmgate.running.stored import rejudged
from vlmgate.spec import Failure, Outcome, Question, Verdict
from vlmgate.suite import load_suite
from vlmgate.variants import VARIANTS

SUITE = """\
schema: 1
plugins: [tiny.py]
settings: {images: 4, timed_images: 2, rounds: 3, blocks: 6, threads: 1, new_tokens: 4, max_tokens: 8}
tiers:
  default:
    about: one variant and its reference
    cases:
      - {models: [tiny], variants: [fp32, pruned], datasets: [scenes], questions: [latency, size, quality]}
thresholds:
  - {cases: "*", metric: time_per_caption, against: baseline, tolerance: 60%, reason: no slower than it was}
  - {cases: "*", metric: size, against: baseline, tolerance: 1%, reason: no larger than it was}
  - {cases: "*", metric: cider, against: baseline, tolerance: 3%, reason: as good as it was}
"""
SLEEP = '''
    def tokens(self, inputs: Mapping[str, torch.Tensor], *, least: int, most: int) -> torch.Tensor:
        """Greedy token ids, after a nap."""
        import time

        time.sleep(0.15)
        return self._tokens(inputs, least=least, most=most)

    def _tokens('''


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Project:
    """A repository with the package in it, as this one: as it is in HEAD."""
    made = make_project(tmp_path_factory.mktemp("against") / "repository", tiny_checkpoint)
    made.suite("suite.yaml", SUITE)
    shutil.copytree(ROOT / "vlmgate", made.root / "vlmgate", ignore=shutil.ignore_patterns("__pycache__"))
    git(made.root, "init", "-q")
    git(made.root, "add", "conftest.py", "pyproject.toml", "benchmarks", "fixtures", "vlmgate")
    git(made.root, "commit", "-qm", "as it is")
    return made


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with a Python of its own. Its libraries are those of this one, but it names another memray."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, symlinks=True)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "shared.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")), encoding="utf-8")
    (own / "memray-0.1.dist-info").mkdir()
    (own / "memray-0.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: memray\nVersion: 0.1\n", encoding="utf-8"
    )
    return folder


def measured(project: Project, against: str, results: str, *more: str) -> Done:
    options = ["--against", against, "--rounds=2", *more]
    where = project.root.parent / results
    return project.pytest("benchmarks", *options, results=where, PYTHONPATH=str(project.root))


def of(done: Done) -> dict[tuple[str, str], Verdict]:
    return {(verdict.case.split("/")[1], verdict.metric): verdict for verdict in done.run.verdicts}


def test_an_identical_commit_does_not_fail(repository: Project, tmp_path: Path) -> None:
    done = measured(repository, "HEAD", "same", "--blocks=2")
    assert done.status == 0, done.out[-3000:]
    run, found = done.run, of(done)
    assert run.other and run.other.label == "HEAD" and run.other.info["commit"] == git(repository.root, "rev-parse", "HEAD")
    assert [block.index for block in run.other.blocks] == [block.index for block in run.blocks]
    assert found["pruned", "size"].outcome is found["pruned", "cider"].outcome is Outcome.PASS
    assert found["pruned", "time_per_caption"].outcome is not Outcome.FAIL
    assert found["fp32", "time_per_caption"].estimate  # the reference itself is compared too
    assert "against HEAD, measured beside it" in found["pruned", "size"].sentence
    calls = read_raw(done.folder)
    order = [of for of, _ in groupby((call.side, call.worker) for call in calls)]
    assert order == [("", 0), (THERE, 0), (THERE, 1), ("", 1)], "in turn first and second, and no call of either side is lost"
    for place, block in enumerate(run.other.blocks):
        mine = [call for call in calls if (call.side, call.worker, call.kind) == (THERE, place, TIMED)]
        for arm, images in block.times.items():
            seconds = {(call.image, call.round): call.seconds for call in mine if call.arm == arm}
            assert seconds == {(i, r): t for i, rounds in enumerate(images) for r, t in enumerate(rounds)}
    told = "\nagainst HEAD (its code with the libraries of this side): the same commit and libraries\n"
    assert told in done.out and "\nnow ÷ there " in done.out
    assert not list(repository.root.glob(".git/worktrees/*")) and not git(repository.root, "status", "--porcelain", "-uno")
    suite = load_suite(repository.root / "benchmarks" / "suite.yaml", MODELS, VARIANTS, DATASETS, METRICS)
    again = rejudged(replace(run, verdicts=()), suite, {})
    assert again.verdicts == run.verdicts
    assert read_run(write_run(again, tmp_path)) == run


@pytest.mark.slow
def test_another_environment_is_judged_by_the_lines_with_a_tolerance(repository: Project, environment: Path) -> None:
    done = measured(repository, str(environment), "environment", "-k", "fp32 and (latency or size)", "--blocks=1")
    assert done.status == 0, done.out[-3000:]
    run, found = done.run, of(done)
    assert run.other and (run.other.label, run.other.info["commit"]) == (str(environment), "")
    assert f"\nagainst {environment}: memray 0.1 → {version('memray')}\n" in done.out and "\nnow ÷ there " in done.out
    assert found["fp32", "size"].outcome is Outcome.PASS and f"against {environment}" in found["fp32", "size"].sentence
    assert found["fp32", "time_per_caption"].outcome is Outcome.UNRESOLVED  # of one block
    assert len(run.blocks) == len(run.other.blocks) == 1 and not run.failures


def test_a_slowed_captioner_fails(repository: Project) -> None:
    """What the working tree has and the commit has not: all code that is measured on the other side is the commit's."""
    captioner = repository.root / "vlmgate" / "artefacts" / "captioner.py"
    before = captioner.read_text(encoding="utf-8")
    captioner.write_text(before.replace("\n    def tokens(", SLEEP, 1), encoding="utf-8")
    try:
        done = measured(repository, "HEAD", "slowed", "-k", "latency", "--blocks=4")
    finally:
        captioner.write_text(before, encoding="utf-8")
    found = of(done)
    for variant in ("fp32", "pruned"):  # both alike, which a speed-up against the reference would not show
        verdict = found[variant, "time_per_caption"]
        assert verdict.estimate and verdict.estimate.high < 0.4, verdict.sentence
        # beside busy programs the placebo may move, and then nothing may fail
        assert verdict.outcome is Outcome.FAIL or "contaminated" in verdict.sentence, verdict.sentence
    failed = Outcome.FAIL in {verdict.outcome for verdict in done.run.verdicts}
    assert done.status == (1 if failed else 0), done.out[-3000:]


def test_a_case_that_only_the_commit_declares_has_an_item_that_fails(
    repository: Project, environment: Path, tmp_path: Path
) -> None:
    """It was deleted here; of the questions that it has there only the selected one is judged. The commit has libraries of its
    own."""
    suite, junit = repository.root / "benchmarks" / "suite.yaml", tmp_path / "junit.xml"
    suite.write_text(SUITE.replace("[fp32, pruned]", "[fp32]"), encoding="utf-8")
    try:
        done = measured(repository, "HEAD", "deleted", "-k", "size", f"--junitxml={junit}", f"--against-python={environment}")
    finally:
        suite.write_text(SUITE, encoding="utf-8")
    assert done.status == 1, done.out[-3000:]
    said = {str(test.get("name")): [child.get("message") for child in test] for test in ElementTree.parse(junit).iter("testcase")}
    (words,) = said["test_size[tiny/pruned/scenes]"]
    assert words and words.startswith(f"Failed: tiny/pruned/scenes: missing: HEAD with {environment} declares it in tier default")
    run = done.run
    assert f"\nagainst HEAD with {environment}: memray 0.1 → {version('memray')}" in done.out
    assert run.absent == {"tiny/pruned/scenes": (Question.SIZE,)} and not run.whole
    assert run.other and run.other.declared["tiny/pruned/scenes"] == (Question.LATENCY, Question.SIZE, Question.QUALITY)
    assert [verdict.outcome for verdict in run.verdicts if verdict.metric == "missing"] == [Outcome.FAIL]
    again = rejudged(replace(run, verdicts=()), load_suite(suite, MODELS, VARIANTS, DATASETS, METRICS), {})
    assert again.verdicts == run.verdicts


@pytest.mark.parametrize("declares", [True, False])
def test_a_model_that_the_other_side_cannot_run_is_noted(
    place: Place, made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch, declares: bool
) -> None:
    """Its lines are skipped, and a run that compares nothing must not look like one in which nothing changed."""
    made(SECONDS)
    session = place.session({SLOW: (LATENCY,)}, blocks=6, against="old")
    cases = session.tier.cases if declares else ()
    models, variants = ({case.id: getattr(case, name) for case in cases} for name in ("model", "variant"))
    monkeypatch.setattr(beside, "open_side", lambda *_: Side("old", "/old/python", (), ROOT))
    monkeypatch.setattr(beside, "ask", lambda *_: Declared(models, variants, (), {"commit": "", "python": "", "versions": {}}))

    def fails(state: State, group: Group) -> bool:
        state.fail(group, Failure("", "starting", "exit 1", "No module named 'torch'"))
        return False

    monkeypatch.setattr(beside, "prepare", fails)
    session.measure()
    why = "No module named 'torch'" if declares else "it declares no tiny/fp32/scenes"
    assert session.notes == [f"tiny/scenes: nothing of it is compared with old: {why}"]
    assert len(session.blocks) == 6 and not session.run("r").other.blocks  # type: ignore[union-attr]


def test_blocks_are_measured_once_more_where_the_placebo_of_the_other_side_moved(
    place: Place, made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = made(SECONDS)

    def run_job(do: str, job: Mapping[str, Any], **more: Any) -> Answer:
        there = more["python"] == "/old/python"
        answers.shift = lambda arm, seed: 1.5 if there and arm == "placebo" and seed < seed_of(0, "confirm") else 1.0
        return answers(do, job, **more)

    monkeypatch.setattr(state, "run_job", run_job)
    session = place.session({DIES: (LATENCY,)}, floor=1.0, against="old")
    models, variants = ({case.id: getattr(case, name) for case in session.tier.cases} for name in ("model", "variant"))
    monkeypatch.setattr(beside, "open_side", lambda *_: Side("old", "/old/python", (), ROOT))
    monkeypatch.setattr(beside, "ask", lambda *_: Declared(models, variants, (), {"commit": "", "python": "", "versions": {}}))
    session.measure()
    assert session.notes == ["tiny/scenes: the placebo moved in the first 6 blocks, so they are measured once more"]
    there = session.run("r").other
    for blocks in (session.blocks, there.blocks if there else ()):
        assert [block.role for block in blocks] == ["look"] * 6 + ["retry"] * 6


def test_a_side_that_cannot_be_is_one_sentence(repository: Project) -> None:
    done = measured(repository, "nowhere", "none")
    assert done.status == 4 and "--against nowhere: neither a Python executable, nor a virtual environment" in done.err
    assert not list((repository.root.parent / "none").glob("*/run.json"))
