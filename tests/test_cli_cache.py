"""`vlmgate cache` lists and clears."""

from pathlib import Path

import pytest

from vlmgate.cli import main
from vlmgate.running.cache import Hold


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("int8-dynamic", "fp32"):
        folder = tmp_path / "artefacts" / "blip" / f"{name}-0123456789abcdef"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"x" * 1_500_000)
    monkeypatch.setenv("VLMGATE_CACHE", str(tmp_path))
    monkeypatch.setenv("VLMGATE_CACHE_SIZE", "2G")
    return tmp_path


def test_the_cache_is_listed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold = Hold()
    hold.add([cache / "artefacts" / "blip" / "fp32-0123456789abcdef"])
    assert main(["cache"]) == 0
    hold.release()
    lines = capsys.readouterr().out.splitlines()
    rows = {words[2]: words for words in map(str.split, lines) if words[:2] == ["artefact", "blip"]}
    assert rows.keys() == {"int8-dynamic", "fp32"} and all(words[3] == "1.5" for words in rows.values())
    assert rows["fp32"][-2:] == ["in", "use"] and rows["int8-dynamic"][-1] == "s"
    assert lines[-1] == f"0.00 of 2 GB (VLMGATE_CACHE_SIZE) in {cache}"


def test_a_pattern_clears_and_no_pattern_clears_all(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--clear", "*/int8*"]) == 0
    assert capsys.readouterr().out == "cleared 1 of 1, 1.5 MB\n"
    assert [folder.name for folder in (cache / "artefacts" / "blip").iterdir()] == ["fp32-0123456789abcdef"]
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == "cleared 1 of 1, 1.5 MB\n"
    assert not list((cache / "artefacts" / "blip").iterdir())
    assert main(["cache", "--clear"]) == 0  # nothing to do is no error


def test_what_is_in_use_is_kept_and_said(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hold = Hold()
    hold.add((cache / "artefacts" / "blip").iterdir())
    assert main(["cache", "--clear"]) == 0
    hold.release()
    assert "blip/fp32 is in use by a run and was kept\n" in capsys.readouterr().out
    assert len(list((cache / "artefacts" / "blip").iterdir())) == 2


def test_a_pattern_that_matches_nothing_names_what_there_is(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--clear", "nothing*"]) == 4
    error = capsys.readouterr().err
    assert "matches 'nothing*'; " in error and "blip/fp32" in error
