"""The bank file: exact to a tenth of a microsecond, small, and a clear sentence for whatever is no bank."""

import gzip
from pathlib import Path

import pytest
from banks import bank

from vlmgate.selftest import read_bank, write_bank
from vlmgate.spec import VlmgateError


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    made = bank(3)
    path = write_bank(made, tmp_path / "deep" / "b.jsonl.gz")
    back = read_bank(path)
    assert back.head == made.head and len(back.entries) == 3
    for then, now in zip(made.entries, back.entries, strict=True):
        assert (then.started, then.block.seed, then.block.images) == (now.started, now.block.seed, now.block.images)
        for arm, images in then.block.times.items():
            for image, rounds in enumerate(images):
                assert now.block.times[arm][image] == pytest.approx(rounds, abs=0.5e-7, rel=0)
    assert read_bank(write_bank(back, tmp_path / "again.gz")) == back
    assert path.read_bytes() == (tmp_path / "again.gz").read_bytes()  # no time stamp inside
    assert path.stat().st_size / 3 < 2000


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no bank of blocks at"),
        (b"", "is no bank of blocks"),
        (b"words", "is no bank of blocks"),
        (gzip.compress(b"words"), "is no bank of blocks"),
        (gzip.compress(b"[]\n"), "has bank format None; this vlmgate reads 1"),
        (gzip.compress(b'{"bank": 2}\n'), "has bank format 2; this vlmgate reads 1"),
        (gzip.compress(b'{"bank": 1, "colour": 3}\n'), "unknown key 'colour'"),
    ],
    ids=["none", "empty", "not gzip", "words", "a list", "newer", "unknown key"],  # the bytes hold the time: no name for a test
)
def test_what_is_no_bank_is_a_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "b.jsonl.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VlmgateError, match=str(path)) as error:
        read_bank(path)
    assert sentence in str(error.value)


def test_a_cut_file_is_seen(tmp_path: Path) -> None:
    path = write_bank(bank(2), tmp_path / "b.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(VlmgateError, match="is no bank of blocks"):
        read_bank(path)
