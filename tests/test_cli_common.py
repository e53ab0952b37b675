"""What commands share: a suite that is not there is one sentence."""

from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("command", [["list"], ["judge"], ["caption", "fixtures/scenes/images/000000.jpg"]])
def test_a_suite_that_is_not_there(vlmgate: Run, command: list[str]) -> None:
    status, out, err = vlmgate(*command, "--suite", "nowhere.yaml")
    assert status == 4
    assert out.startswith("Models\n") if command == ["list"] else out == ""  # the built-in names need no suite
    assert err == "vlmgate: nowhere.yaml: cannot be read (No such file or directory), expected a suite file such as suite.yaml\n"


# list and env
