"""Datasets by name, and what is said of a name nobody knows."""

import subprocess
import sys
from pathlib import Path

import pytest

from vlmgate.datasets import DATASETS, load_dataset
from vlmgate.spec import VlmgateError

ROOT = Path(__file__).parents[1]


def test_the_shipped_sets_load_by_name(tmp_path: Path) -> None:
    for name in ("scenes", "awkward"):
        dataset = load_dataset(name, ROOT, tmp_path)
        assert dataset.name == name and len(dataset.examples) >= 12
        assert all(Path(example.image).is_file() for example in dataset.examples)
    assert len(load_dataset("scenes", ROOT, tmp_path, limit=5).examples) == 5
    assert list(tmp_path.iterdir()) == []


def test_scenes_are_rendered_on_demand(tmp_path: Path) -> None:
    dataset = load_dataset("scenes:2", ROOT, tmp_path)
    assert dataset.name == "scenes:2" and len(dataset.examples) == 2
    assert Path(dataset.examples[0].image).is_relative_to(tmp_path)
    committed = load_dataset("scenes", ROOT, tmp_path, limit=2)
    assert [example.references for example in dataset.examples] == [example.references for example in committed.examples]
    with pytest.raises(VlmgateError, match="scenes:0 is not possible"):
        load_dataset("scenes:0", ROOT, tmp_path)


def test_a_folder_by_path_below_the_root_below_here_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute = load_dataset(str(ROOT / "fixtures" / "awkward"), ROOT, tmp_path)
    assert load_dataset("fixtures/awkward", ROOT, tmp_path).examples == absolute.examples
    monkeypatch.chdir(ROOT / "fixtures")
    assert load_dataset("./awkward", tmp_path, tmp_path).examples == absolute.examples


def test_a_folder_without_captions_says_so(tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match=r"captions\.json does not exist"):
        load_dataset(str(tmp_path), ROOT, tmp_path)


@pytest.mark.parametrize(
    ("name", "near"), [("scene", "scenes"), ("akward", "awkward"), ("scenes:many", "scenes:N"), ("", None), ("coco", None)]
)
def test_unknown_names_list_the_known_and_the_nearest(tmp_path: Path, name: str, near: str | None) -> None:
    with pytest.raises(VlmgateError) as caught:
        load_dataset(name, tmp_path, tmp_path)
    message = str(caught.value)
    assert f"unknown dataset '{name}'" in message
    assert all(known in message for known in DATASETS)
    assert (f"did you mean {near}?" in message) if near else ("did you mean" not in message)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, vlmgate.datasets, vlmgate.datasets.build; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"


def test_the_builder_starts_without_a_warning() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "vlmgate.datasets.build", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "awkward" in result.stdout and result.stderr == ""
