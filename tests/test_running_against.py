"""The other side: what --against may name, a commit's files without a trace in the repository, and answers that refuse."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from vlmgate.measure import Answer, run_job
from vlmgate.running.against import Side, _refusal, open_side
from vlmgate.running.cache import entries
from vlmgate.spec import Failure, VlmgateError


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_python_or_an_environment(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    for which in (python, tmp_path / "venv"):
        side = open_side(str(which), tmp_path, tmp_path / "cache")
        assert (side.python, side.root, side.commit) == (str(python), tmp_path, "")  # the link, which makes it an environment


def test_a_commit_of_a_project_below_the_top_of_its_repository(tmp_path: Path) -> None:
    root = tmp_path / "top" / "project"
    root.mkdir(parents=True)
    git(tmp_path / "top", "init", "-q")
    (root / "file").write_text("then")
    git(tmp_path / "top", "add", ".")
    git(tmp_path / "top", "commit", "-qm", "then")
    (root / "file").write_text("now")
    side = open_side("HEAD", root, tmp_path / "cache")
    assert side.commit == git(root, "rev-parse", "HEAD") and side.paths[0] == str(side.root)
    assert (side.root / "file").read_text() == "then" and (root / "file").read_text() == "now"
    assert open_side("HEAD", root, tmp_path / "cache") == side  # unpacked once
    (entry,) = entries(tmp_path / "cache")
    assert (entry.id, entry.folder) == (f"against/{side.commit}", side.tree)
    assert not (tmp_path / "top" / ".git" / "worktrees").exists()


def test_a_commit_with_a_python_of_its_own(tmp_path: Path) -> None:
    """A real second interpreter: the worker is the commit's code in that environment."""
    root, package = tmp_path / "top", tmp_path / "top" / "vlmgate"
    package.mkdir(parents=True)
    package.joinpath("__init__.py").write_text(
        "import sys\nraise SystemExit(f'{sys.executable} of {sys.prefix} runs {__file__}')"
    )
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "then")
    venv.create(tmp_path / "venv", symlinks=True)
    side = open_side("HEAD", root, tmp_path / "cache", str(tmp_path / "venv"))
    assert (side.label, side.about, side.own) == (f"HEAD with {tmp_path / 'venv'}",) * 2 + (True,)
    answer = run_job("declare", {"threads": 1}, python=side.python, paths=side.paths)
    told = f"{tmp_path / 'venv' / 'bin' / 'python'} of {tmp_path / 'venv'} runs {side.root / 'vlmgate' / '__init__.py'}"
    assert answer.failure and answer.failure.log == told and side.root == side.tree
    alone = open_side("HEAD", root, tmp_path / "cache")
    assert (alone.python, alone.own) == (sys.executable, False)
    assert alone.about == "HEAD (its code with the libraries of this side)"


@pytest.mark.parametrize(
    ("which", "python", "words"),
    [("HEAD", "nowhere", "--against-python nowhere: neither a Python"), (sys.executable, "v", "is an environment itself")],
)
def test_a_python_that_is_none_or_is_one_too_many(tmp_path: Path, which: str, python: str, words: str) -> None:
    with pytest.raises(VlmgateError, match=words):
        open_side(which, tmp_path, tmp_path / "cache", python)


@pytest.mark.parametrize("which", ["nowhere", "--help", "HEAD"])
def test_what_is_none_of_these(tmp_path: Path, which: str) -> None:
    with pytest.raises(VlmgateError, match=f"--against {which}: neither a Python executable, nor"):
        open_side(which, tmp_path, tmp_path / "cache")


def refused(kind: str, message: str, log: str = "") -> str:
    side = Side("old", "/venv/python", (), Path(), "c")
    return _refusal(side, Answer(failure=Failure("", "starting", kind, message, log)))


def test_another_protocol_is_said_with_the_way_out() -> None:
    for answer in (refused("ValueError", "protocol version 1, this worker speaks 0"), refused("KeyError", "'declare'")):
        assert answer.startswith("--against old: its vlmgate cannot work with this one (protocol ")
        assert "measure against a later commit, or promote a baseline" in answer
    lacking = refused("exit 1", "the worker ended with status 1", "Traceback\nModuleNotFoundError: No module named 'vlmgate'")
    assert "/venv/python cannot start a worker (ModuleNotFoundError: No module named 'vlmgate'); install" in lacking
    assert refused("VlmgateError", "no tier 'x'") == "--against old: no tier 'x'"


def test_modules_come_from_the_other_side(tmp_path: Path) -> None:
    """A package there that is no vlmgate of ours, although this one runs from a folder that holds ours."""
    (tmp_path / "vlmgate").mkdir()
    (tmp_path / "vlmgate" / "__init__.py").write_text("raise SystemExit('the other one')")
    answer = run_job("declare", {"threads": 1}, paths=(str(tmp_path),))
    assert answer.failure and "the other one" in answer.failure.log
