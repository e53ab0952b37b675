"""The command line: help, usage, statuses; the bodies of commands run in this process, models in workers."""

import argparse
import subprocess
import sys
from collections.abc import Callable

import pytest
from project import Done, Project

from vlmgate.cli import _parser

Run = Callable[..., tuple[int, str, str]]


COMMANDS = ["list", "caption", "judge", "report", "compare", "promote", "env"]


def test_help_names_every_command(vlmgate: Run) -> None:
    status, out, _ = vlmgate("--help")
    assert status == 0 and all(f"    {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(vlmgate: Run, name: str) -> None:
    status, out, _ = vlmgate(name, "--help")
    assert status == 0 and out.startswith(f"usage: vlmgate {name}") and "--suite FILE" in out


def test_every_option_of_every_command_is_explained() -> None:
    """Positional arguments too."""
    (commands,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    bare = [f"{name} {action.dest}" for name, of in commands.choices.items() for action in of._actions if not action.help]
    assert bare == []


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["caption"], ["env", "--threads=0"], ["caption", "x", "--max-tokens=-1"]]
)
def test_bad_usage(vlmgate: Run, arguments: list[str]) -> None:
    status, out, err = vlmgate(*arguments)
    assert status == 4 and not out and "usage: vlmgate" in err


def test_it_runs_as_a_module(project: Project) -> None:
    done = project.vlmgate("env")
    assert done.status == 0 and "isa" in done.out


@pytest.mark.parametrize("command", ["env", "judge"])  # less and more than what Python keeps before it writes
def test_output_that_nobody_reads_ends_quietly(project: Project, first: Done, command: str) -> None:
    line = f"{sys.executable} -m vlmgate {command} --results {first.results} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=project.root, env=project.environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")
