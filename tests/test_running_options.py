"""Where things are kept, and what overrides a suite."""

from pathlib import Path

import pytest

from vlmgate.running.options import Options, cache_folder


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"VLMGATE_CACHE": "/big/cache", "XDG_CACHE_HOME": "/other"}, "/big/cache"),
        ({"XDG_CACHE_HOME": "/other"}, "/other/vlmgate"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/vlmgate"),
        ({"VLMGATE_CACHE": "", "HOME": "/home/me"}, "/home/me/.cache/vlmgate"),
    ],
)
def test_the_cache_is_where_the_environment_says(variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VLMGATE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_options_override_nothing_unless_told() -> None:
    options = Options(Path("root"), Path("cache"))
    assert options.timing and options.patience > 0
    assert (options.blocks, options.rounds, options.time_budget) == (None, None, None)


def test_timing_has_the_smaller_of_its_own_budget_and_what_the_rest_leaves() -> None:
    def left(**limits: float) -> float | None:
        return Options(Path("root"), Path("cache"), **limits).timing_left(100.0)

    assert (left(), left(time_budget=9.0), left(within=280.0), left(within=99.0)) == (None, 9.0, 180.0, 0.0)
    assert (left(time_budget=9.0, within=280.0), left(time_budget=900.0, within=280.0)) == (9.0, 180.0)
