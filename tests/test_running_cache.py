"""The cache: what is listed, what is removed first, and that nothing in use is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jobs import ROOT

from vlmgate.running.cache import DEFAULT_SIZE, Hold, ago, clear, entries, in_use, keep_to_size, size_limit
from vlmgate.spec import VlmgateError

KB = 1000


def put(cache: Path, where: str, used: float, size: int = KB) -> Path:
    folder = cache / where
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x" * size)
    os.utime(folder / "model.safetensors", (used - 5, used - 5))
    os.utime(folder, (used, used))
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    put(tmp_path, "artefacts/blip/int8-dynamic-0123456789abcdef", 300.0)
    put(tmp_path, "artefacts/blip/fp32-0123456789abcdef", 100.0, 2 * KB)
    put(tmp_path, "random/blip-1", 200.0)
    put(tmp_path, "scenes-2000-abc", 400.0)
    return tmp_path


def ids(found: list) -> list[str]:  # type: ignore[type-arg]
    return [entry.id for entry in found]


def test_everything_is_listed_with_size_age_and_last_use(cache: Path) -> None:
    found = entries(cache)
    assert ids(found) == ["blip/fp32", "blip-1", "blip/int8-dynamic", "scenes-2000-abc"]  # the least recently used first
    assert [entry.kind for entry in found] == ["artefact", "checkpoint", "artefact", "images"]
    assert [entry.size for entry in found] == [2 * KB, KB, KB, KB]
    assert (found[0].made, found[0].used) == (95.0, 100.0)
    assert entries(cache / "nowhere") == []


def test_what_runs_against_another_side_keep_is_part_of_it(cache: Path) -> None:
    put(cache, "against/trees/c0ffee", 250.0, 3 * KB)
    put(cache, "against/0123/artefacts/blip/fp32-0123456789abcdef", 500.0)
    put(cache, "against/0123/random/blip-1", 600.0)
    assert [(entry.kind, entry.id) for entry in entries(cache) if entry.id.startswith("against/")] == [
        ("commit", "against/c0ffee"),
        ("artefact", "against/blip/fp32"),
        ("checkpoint", "against/blip-1"),
    ]
    assert ids(keep_to_size(cache, 4 * KB)) == ["blip/fp32", "blip-1", "against/c0ffee"]
    assert ids(clear(cache, "against/*")[0]) == ["against/blip/fp32", "against/blip-1"]
    assert ids(entries(cache)) == ["blip/int8-dynamic", "scenes-2000-abc"]


def test_the_least_recently_used_goes_first_and_only_as_much_as_needed(cache: Path) -> None:
    assert keep_to_size(cache, 5 * KB) == []
    assert ids(keep_to_size(cache, 2 * KB)) == ["blip/fp32", "blip-1"]
    assert ids(entries(cache)) == ["blip/int8-dynamic", "scenes-2000-abc"]


def test_what_is_in_use_stays_whatever_the_limit(cache: Path) -> None:
    hold, oldest = Hold(), entries(cache)[0]
    hold.add([oldest.folder])
    assert ids(keep_to_size(cache, 0)) == ["blip-1", "blip/int8-dynamic", "scenes-2000-abc"]
    (kept,) = entries(cache)
    assert kept.folder == oldest.folder and in_use(kept)
    assert kept.used > time.time() - 60  # holding is using
    removed, still = clear(cache)
    assert (removed, ids(still)) == ([], ["blip/fp32"])
    hold.release()
    assert not in_use(kept) and ids(clear(cache)[0]) == ["blip/fp32"]


def test_what_another_process_uses_stays_until_it_ends_however_it_ends(cache: Path) -> None:
    folder = entries(cache)[0].folder
    code = "import sys, time; from pathlib import Path; from vlmgate.running.cache import Hold\n"
    code += "hold = Hold(); hold.add([Path(sys.argv[1])]); print('held', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, folder], cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        assert ids(clear(cache, "blip/*")[1]) == ["blip/fp32"]
        other.kill()
    assert ids(clear(cache, "blip/*")[0]) == ["blip/fp32"]


def test_a_pattern_clears_what_it_matches(cache: Path) -> None:
    assert ids(clear(cache, "blip/int8*")[0]) == ["blip/int8-dynamic"]
    assert ids(entries(cache)) == ["blip/fp32", "blip-1", "scenes-2000-abc"]


def test_what_a_killed_process_had_half_written_goes_and_what_is_being_written_stays(cache: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left = put(cache, f"artefacts/blip/bf16-0123456789abcdef.{gone.pid}.partial", 1.0)
    growing = put(cache, f"random/other-1.{os.getpid()}.partial", 1.0)
    assert len(entries(cache)) == 4  # neither is whole
    keep_to_size(cache, 1e9)
    assert not left.exists() and growing.exists()


@pytest.mark.parametrize(
    ("text", "size"), [("", DEFAULT_SIZE), ("20G", 20e9), ("500 MB", 500e6), ("1.5t", 1.5e12), ("1024", 1024.0), ("3kb", 3e3)]
)
def test_the_size_can_be_said(text: str, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMGATE_CACHE_SIZE", text)
    assert size_limit() == size


@pytest.mark.parametrize("text", ["much", "-1", "1 kg", "G"])
def test_a_size_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMGATE_CACHE_SIZE", text)
    with pytest.raises(VlmgateError, match="VLMGATE_CACHE_SIZE: expected a size such as 20G"):
        size_limit()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 minute"), (7199, "1 hour"), (86400, "1 day"), (300000, "3 days"), (-5, "0 s")],
)
def test_ages_are_said_in_one_unit(seconds: float, words: str) -> None:
    assert ago(1000.0, 1000.0 + seconds) == words
