"""raw.csv.gz: every call comes back as it was, and what is no such file is named."""

import gzip
import math
from pathlib import Path

import pytest

from vlmgate.record.raw import RAW_FILE, THERE, TITLES, Call, read_raw, write_raw
from vlmgate.spec import VlmgateError

CALLS = [
    Call("blip/scenes", 0, "look", 0, 0, "warm-up", None, None, "fp32", 0.1 + 0.2),
    Call("blip/scenes", 0, "look", 0, 1, "timed", 0, 3, "int8, per row", math.pi * 1e-7),
    Call("blip/scenes", 5, "confirm", 1, 0, "yardstick", 2, None, "", 1 / 3, THERE),
]


def test_every_call_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    path = write_raw(CALLS, tmp_path)
    assert path.name == RAW_FILE and read_raw(tmp_path) == CALLS
    assert [file.name for file in tmp_path.iterdir()] == [RAW_FILE]  # no temporary is left


def test_it_is_a_plain_table_for_everybody(tmp_path: Path) -> None:
    lines = gzip.decompress(write_raw(CALLS, tmp_path).read_bytes()).decode().splitlines()
    assert lines[0] == "model,block,role,worker,turn,kind,round,image,arm,seconds,side" == ",".join(TITLES)
    assert lines[1] == "blip/scenes,0,look,0,0,warm-up,,,fp32,0.30000000000000004,"
    assert len(lines) == 4


def test_a_file_from_before_sides_were_told_is_read(tmp_path: Path) -> None:
    old = ",".join(TITLES[:-1]) + "\nblip/scenes,0,look,0,0,warm-up,,,fp32,0.5\n"
    (tmp_path / RAW_FILE).write_bytes(gzip.compress(old.encode()))
    assert read_raw(tmp_path) == [Call("blip/scenes", 0, "look", 0, 0, "warm-up", None, None, "fp32", 0.5)]


def test_the_same_calls_make_the_same_file(tmp_path: Path) -> None:
    first = write_raw(CALLS, tmp_path).read_bytes()
    assert write_raw(CALLS, tmp_path).read_bytes() == first


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no gzip", "is not a whole gzip file"),
        (gzip.compress(b"model,block\n" * 900)[:-20], "is not a whole gzip file"),
        (gzip.compress(b""), "has the columns nothing; expected model, block"),
        (gzip.compress(b"model,block\n"), "has the columns model, block; expected"),
        (gzip.compress((",".join(TITLES) + "\nblip,0,look,0,0,timed,0,0,fp32,fast\n").encode()), "line 2 is not a call"),
        (gzip.compress((",".join(TITLES) + "\nblip,0\n").encode()), "line 2 is not a call"),
    ],
    ids=["no gzip", "cut off", "empty", "other columns", "no number", "too few fields"],
)
def test_what_is_no_such_file_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / RAW_FILE).write_bytes(content)
    with pytest.raises(VlmgateError, match=words):
        read_raw(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match=r"raw\.csv\.gz does not exist"):
        read_raw(tmp_path)
