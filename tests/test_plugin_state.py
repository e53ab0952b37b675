"""What the plugin makes of its options before anything is measured."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from vlmgate.plugin.state import State
from vlmgate.spec import VlmgateError


def state(tmp_path: Path, **options) -> State:
    defaults = {"vlmgate_suite": None, "vlmgate_model_path": [], "vlmgate_model_source": None, "vlmgate_baselines": None}
    known = defaults | options
    return State(SimpleNamespace(getoption=known.__getitem__, rootpath=tmp_path))  # type: ignore[arg-type]


def test_the_suite_and_the_baselines_lie_below_the_root(tmp_path):
    found = state(tmp_path)
    assert found.path == (tmp_path / "benchmarks" / "suite.yaml").resolve()
    assert found.baselines == found.root / "baselines" == tmp_path.resolve() / "baselines"
    assert state(tmp_path, vlmgate_baselines="elsewhere").baselines == Path("elsewhere")


@pytest.mark.parametrize(
    ("words", "said"), [("scene-blip", "scene-blip: expected NAME=DIR"), ("blip-bse=folder", ": .*did you mean blip-base")]
)
def test_a_model_path_names_a_known_model(tmp_path, words, said):
    with pytest.raises(VlmgateError, match=f"^--model-path ?{said}"):
        _ = state(tmp_path, vlmgate_model_path=[words]).suite
