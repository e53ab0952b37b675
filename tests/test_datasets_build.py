"""Making image folders: complete or not there at all, reproducible, and small enough to commit."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vlmgate.datasets import build
from vlmgate.datasets.build import build_awkward, build_scenes, main, rendered_scenes
from vlmgate.datasets.coco import load_coco, load_graphs
from vlmgate.datasets.scenes import EVALUATION_SEEDS, captions, sample_scene
from vlmgate.spec import VlmgateError

FIXTURES = Path(__file__).parents[1] / "fixtures"


def tree(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_committed_scenes_hold_their_manifest_and_are_small() -> None:
    scenes = FIXTURES / "scenes"
    dataset = load_coco(scenes)
    manifest = json.loads((scenes / "manifest.json").read_text())
    assert len(dataset.examples) >= 320
    assert set(manifest["files"]) | {"manifest.json", "README.md"} == set(tree(scenes))
    assert sum(map(len, tree(scenes).values())) <= 10_000_000
    assert set(load_graphs(scenes)) == {example.id for example in dataset.examples}
    assert manifest["command"] in (scenes / "README.md").read_text()
    assert set(manifest["versions"]) == {"pillow", "numpy"}


def test_a_folder_is_complete_and_the_same_each_time(tmp_path: Path) -> None:
    build_scenes(tmp_path / "a", images=3, first_seed=40)
    build_scenes(tmp_path / "deep" / "b", images=3, first_seed=40)
    assert tree(tmp_path / "a") == tree(tmp_path / "deep" / "b")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "deep"]  # no temporary folder stays
    dataset = load_coco(tmp_path / "a")
    assert [example.id for example in dataset.examples] == [40, 41, 42]
    assert list(dataset.examples[1].references) == captions(sample_scene(41))
    document = json.loads((tmp_path / "a" / "captions.json").read_text())
    assert {"info", "licenses", "images", "annotations"} == set(document)
    assert document["images"][0] == {"id": 40, "file_name": "000040.jpg", "width": 160, "height": 160, "license": 1}


def test_an_existing_folder_is_left_alone_without_force(tmp_path: Path) -> None:
    build_scenes(tmp_path / "a", images=1)
    before = tree(tmp_path / "a")
    with pytest.raises(VlmgateError, match="exists already"):
        build_scenes(tmp_path / "a", images=2)
    assert tree(tmp_path / "a") == before
    build_scenes(tmp_path / "a", images=2, force=True)
    assert len(load_coco(tmp_path / "a").examples) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_force_never_replaces_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(VlmgateError, match="is no image folder"):
        build_awkward(tmp_path, force=True)
    with pytest.raises(VlmgateError, match="is no image folder"):
        build_awkward(tmp_path / "thesis.txt", force=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(("images", "first"), [(0, 0), (-1, 0), (1, -1), (2, EVALUATION_SEEDS.stop - 1), (1, 10_000_000)])
def test_seeds_outside_the_evaluation_range_are_refused(tmp_path: Path, images: int, first: int) -> None:
    with pytest.raises(VlmgateError, match="evaluation seeds"):
        build_scenes(tmp_path / "a", images, first)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_scenes(tmp_path / "a", images=1)
    before = tree(tmp_path / "a")
    monkeypatch.setattr(build, "_describe", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(VlmgateError, match="No space left on device"):
        build_scenes(tmp_path / "a", images=2, force=True)
    assert tree(tmp_path / "a") == before
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VlmgateError, match="cannot be written"):
        build_scenes(tmp_path / "file" / "a", images=1)


def test_interrupting_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vlmgate.datasets.build", "scenes", str(tmp_path / "a"), "--images", "200000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=FIXTURES.parent)
    deadline = time.monotonic() + 60
    while not any(tmp_path.glob(".a.*/images/000003.jpg")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped" in stderr and "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "a")
    assert main(["scenes", target, "--images", "2", "--first-seed", "7"]) == 0
    assert [example.id for example in load_coco(target).examples] == [7, 8]
    assert main(["scenes", target]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main(["awkward", target, "--force"]) == 0
    assert len(load_coco(target).examples) >= 12
    with pytest.raises(SystemExit) as stop:
        main(["scenes", "--help"])
    assert stop.value.code == 0 and "--first-seed" in capsys.readouterr().out


def test_progress_is_shown_when_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_scenes(tmp_path / "short", images=2)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(build, "QUIET_SECONDS", 0.0)
    build_scenes(tmp_path / "long", images=2)
    assert "rendered 1 of 2 scenes" in capsys.readouterr().err


def test_rendered_scenes_are_cached_and_equal_to_the_built_ones(tmp_path: Path) -> None:
    first = rendered_scenes(3, tmp_path / "cache")
    assert first.name == "scenes:3" and [example.id for example in first.examples] == [0, 1, 2]
    (folder,) = (tmp_path / "cache").iterdir()
    stamp = folder.stat().st_mtime_ns, folder.stat().st_ino
    assert rendered_scenes(3, tmp_path / "cache") == first
    assert (folder.stat().st_mtime_ns, folder.stat().st_ino) == stamp
    build_scenes(tmp_path / "built", images=3)
    assert load_coco(tmp_path / "built").sha256 == first.sha256
    assert rendered_scenes(3, tmp_path / "cache", limit=2).sha256 == rendered_scenes(2, tmp_path / "cache").sha256


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    first = rendered_scenes(2, tmp_path)
    Path(first.examples[1].image).write_bytes(b"")
    assert rendered_scenes(2, tmp_path) == first
    assert Path(first.examples[1].image).stat().st_size > 0


def test_two_processes_may_render_the_same_scenes_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vlmgate.datasets.build import rendered_scenes; "
        "print(rendered_scenes(60, Path(sys.argv[1])).sha256)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=FIXTURES.parent) for _ in range(2)]
    answers = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0] and answers[0] == answers[1]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("count", [0, -3, len(EVALUATION_SEEDS) + 1])
def test_impossible_counts_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(VlmgateError, match=f"scenes:{count} is not possible; choose a number from 1 to 1000000"):
        rendered_scenes(count, tmp_path)
    assert list(tmp_path.iterdir()) == []
