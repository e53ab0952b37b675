"""vlmgate simulate as a user types it, and the section of a document that it writes."""

import os
from pathlib import Path

from vlmgate.cli.simulate import HEADING, write_section


def test_simulate_prints_and_writes_its_section(vlmgate, tmp_path):
    document = tmp_path / "validation.md"
    document.write_text(f"# V\n\n## Noise\n\nkept\n\n{HEADING}\n\nold\n\n## Last\n\nkept too\n", encoding="utf-8")
    status, out, err = vlmgate("simulate", "--runs", "40", "--bank", tmp_path / "none", "--markdown", document)
    assert status == 0 and "false verdicts" in err
    text = document.read_text(encoding="utf-8")
    assert "Coverage on normal blocks" in out and "**Coverage on normal blocks" in text
    assert "old" not in text and text.index("kept\n") < text.index(HEADING) < text.index("kept too")
    assert "`vlmgate simulate --runs 40`" in text


def test_a_broken_bank_is_one_sentence(vlmgate, tmp_path):
    bank = tmp_path / "bank"
    bank.write_text("no", encoding="utf-8")
    status, out, err = vlmgate("simulate", "--bank", bank)
    assert (status, out) == (4, "") and "is no bank of blocks" in err


def test_speed_times_the_bootstrap_and_gives_the_cores_back(vlmgate):
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    status, out, _ = vlmgate("simulate", "--speed")
    assert status == 0 and out.startswith("paired bootstrap, 10,000 draws over 1,000 images, one core: ")
    assert before is None or os.sched_getaffinity(0) == before


def test_a_section_is_appended_once(tmp_path: Path):
    path = tmp_path / "a.md"
    for body in ("one", "two", "two"):
        write_section(path, HEADING, body)
    assert path.read_text(encoding="utf-8") == f"{HEADING}\n\ntwo\n"
