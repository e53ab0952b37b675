"""vlmgate simulate as a user types it, and the section of a document that it writes."""

import os
from pathlib import Path

import pytest

from vlmgate.cli import simulate
from vlmgate.cli.simulate import HEADING, write_section


def test_simulate_prints_and_writes_its_section(vlmgate, tmp_path):
    document = tmp_path / "validation.md"
    document.write_text(f"# V\n\n## Noise\n\nkept\n\n{HEADING}\n\nold\n\n## Last\n\nkept too\n", encoding="utf-8")
    status, out, err = vlmgate("simulate", "--runs", "40", "--lines", "3", "--bank", tmp_path / "none", "--markdown", document)
    assert status == 0 and "false verdicts" in err
    text = document.read_text(encoding="utf-8")
    assert "Coverage on normal blocks" in out and "**Coverage on normal blocks" in text
    assert "Each run has 3 independent lines" in text
    assert "old" not in text and text.index("kept\n") < text.index(HEADING) < text.index("kept too")
    assert "`vlmgate simulate --runs 40`" in text


def test_a_broken_bank_is_one_sentence(vlmgate, tmp_path):
    bank = tmp_path / "bank"
    bank.write_text("no", encoding="utf-8")
    status, out, err = vlmgate("simulate", "--bank", bank)
    assert (status, out) == (4, "") and "is no bank of blocks" in err


def test_speed_times_both_resamplings_and_gives_the_cores_back(vlmgate):
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    _, out, _ = vlmgate("simulate", "--speed")
    for name, line in zip(("bootstrap", "permutation"), out.splitlines(), strict=True):
        assert line.startswith(f"paired {name}, 10,000 draws over 1,000 images, one core: ") and line.endswith("(at most 2)")
    assert before is None or os.sched_getaffinity(0) == before


@pytest.mark.parametrize(("bootstrap", "permutation", "expected"), [(1.9, 2.0, 0), (2.1, 0.4, 1), (0.4, 2.1, 1)])
def test_speed_is_red_where_either_takes_longer_than_promised(vlmgate, monkeypatch, bootstrap, permutation, expected):
    monkeypatch.setattr(simulate, "resampling_seconds", lambda: {"bootstrap": bootstrap, "permutation": permutation})
    status, out, _ = vlmgate("simulate", "--speed")
    assert status == expected and f"{bootstrap:.2f} s" in out and f"{permutation:.2f} s" in out


def test_a_section_is_appended_once(tmp_path: Path):
    path = tmp_path / "a.md"
    for body in ("one", "two", "two"):
        write_section(path, HEADING, body)
    assert path.read_text(encoding="utf-8") == f"{HEADING}\n\ntwo\n"
