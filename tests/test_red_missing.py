"""Exit status and JUnit in real pytest processes: a case or question that vanished or was deselected, a waiver, its expiry."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from project import SMALLEST, Done, Project, make_project, write_baseline

from vlmgate.record import read_run
from vlmgate.spec import Outcome, Question, Run

OLD = "tiny/old/scenes"
SUITE = (
    SMALLEST
    + """\
thresholds:
  - {cases: "tiny/*", metric: size, against: limit, at_most: 1, reason: it cannot}
waivers:
  - {cases: "tiny/*", metric: size, expected: fail, until: 2999-12-31, reason: nobody can}
"""
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Project:
    """A project whose baselines hold a case that its suite no longer declares."""
    made = make_project(tmp_path_factory.mktemp("missing") / "project", tiny_checkpoint)
    made.suite("suite.yaml", SUITE)
    write_baseline(made.root / "baselines", environment_of(made), OLD)
    return made


def environment_of(project: Project) -> str:
    """Name of the environment as a process of the project sees it."""
    return project.python("-c", "from vlmgate.record import fingerprint; print(fingerprint(1).name)").out.strip()


def run_pytest(project: Project, folder: Path, *more: object) -> tuple[Done, dict[str, str], Run]:
    """The command, test name → what JUnit says of it, and the record."""
    done = project.pytest("benchmarks", f"--junitxml={folder / 'junit.xml'}", *more, results=folder / "results")
    tests = ElementTree.parse(folder / "junit.xml").iter("testcase")
    said = {str(t.get("name")): next((f"{c.tag}: {c.get('message')}" for c in t), "passed") for t in tests}
    return done, said, read_run(done.folder)


@pytest.fixture(scope="module")
def everything(project: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, dict[str, str], Run]:
    return run_pytest(project, tmp_path_factory.mktemp("everything"))


def test_a_missing_case_has_an_item_that_fails(everything: tuple[Done, dict[str, str], Run]) -> None:
    done, said, run = everything
    assert done.status == 1, done.out
    assert said[f"test_size[{OLD}]"].startswith(f"failure: Failed: {OLD}: missing: it was promoted from r0 in tier default")
    assert [v.outcome for v in run.verdicts if v.case == OLD] == [Outcome.FAIL]
    assert run.whole and run.absent == {OLD: (Question.SIZE,)}


def test_a_waived_fail_is_expected(everything: tuple[Done, dict[str, str], Run]) -> None:
    done, said, run = everything
    assert said["test_size[tiny/fp32/scenes]"].startswith("skipped: tiny/fp32/scenes: size ")
    assert "waived until 2999-12-31: nobody can" in said["test_size[tiny/fp32/scenes]"]
    assert [v.outcome for v in run.verdicts if v.metric == "size"] == [Outcome.WAIVED]
    assert "1 xfailed" in done.out


def test_the_command_line_says_the_same(project: Project, everything: tuple[Done, dict[str, str], Run]) -> None:
    again = project.vlmgate("judge", everything[0].folder)
    assert again.status == everything[0].status == 1
    assert f"{OLD}: missing" in again.out


def test_what_is_deselected_is_not_missing(project: Project, tmp_path: Path) -> None:
    done, said, run = run_pytest(project, tmp_path, "-k", "fp32")
    assert done.status == 0, done.out
    assert "test_size[tiny/fp32/scenes]" in said and not any(OLD in name for name in said) and not run.whole
    assert not [v for v in run.verdicts if v.case == OLD]
    assert project.vlmgate("judge", done.folder).status == 0


def test_a_missing_case_alone_fails_without_a_worker(project: Project, tmp_path: Path) -> None:
    done, said, run = run_pytest(project, tmp_path, "-k", "old")
    assert done.status == 1, done.out
    assert list(said) == [f"test_size[{OLD}]"] and not run.cases and len(run.verdicts) == 1


def test_a_question_that_is_no_longer_asked_has_an_item_that_fails(project: Project, tmp_path: Path) -> None:
    """That of its file, where the case has one anyway."""
    case, there = "tiny/fp32/scenes", ("--baselines", tmp_path / "baselines")
    write_baseline(tmp_path / "baselines", environment_of(project), case, peak_memory=(1e8,))
    done, said, run = run_pytest(project, tmp_path / "all", *there)
    words = f"{case}: missing: it answered memory when r0 was promoted, and tier default no longer asks that"
    assert done.status == 1 and said[f"test_memory[{case}]"].startswith(f"failure: Failed: {words}")
    assert [what for what in said.values() if what.startswith("failure")] == [said[f"test_memory[{case}]"]]
    assert run.whole and run.absent == {case: (Question.MEMORY,)}
    again = project.vlmgate("judge", done.folder, *there)
    assert again.status == 1 and words in again.out
    done, _, run = run_pytest(project, tmp_path / "few", *there, "-k", "size")
    assert done.status == 0 and not run.absent and not run.whole, done.out


def test_an_expired_waiver_fails_and_says_so(project: Project, tmp_path: Path) -> None:
    suite = project.suite("expired.yaml", SUITE.replace("2999-12-31", "2020-12-31"))
    done, said, _ = run_pytest(project, tmp_path, "--suite", suite, "-k", "fp32")
    assert done.status == 1
    assert "its waiver expired on 2020-12-31 (nobody can)" in said["test_size[tiny/fp32/scenes]"]
