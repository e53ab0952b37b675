"""`vlmgate export` on a tiny model, with the card that a reader gets, and mistakes as sentences."""

from collections.abc import Callable
from pathlib import Path

import pytest
from project import Done

Run = Callable[..., tuple[int, str, str]]


def test_export_writes_an_artefact_with_a_card(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    target = tmp_path / "shipped"
    status, out, err = vlmgate("export", "tiny", "int8-dynamic", target, "--threads=1", "--run", first.folder)
    assert (status, err) == (0, "") and out.startswith(f"{target}: tiny/int8-dynamic, 0.")
    card = (target / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# tiny, int8-dynamic\n") and "1. `int8_dynamic`: " in card
    record = next(record for record in first.run.cases if record.variant == "int8-dynamic")
    assert f"| engine of INT8 | {record.engine} |" in card
    assert f"| all files [MB] | {record.exact['size'] / 1e6:.2f} |" in card and record.checkpoint in card
    assert f"## Measured in run {first.folder.name}" in card and "| speed-up against fp32 | " in card
    assert f"| cider | {record.scores['cider']:.4f}" in card and record.signature.replace("|", " ") in card


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tyni", "fp32"], "unknown model 'tyni'"),
        (["tiny", "int9"], "unknown variant 'int9'"),
        (["tiny", "fp16"], "has no case of it (tiny/fp16); name a run that measured this artefact"),
    ],
)
def test_mistakes_are_sentences(vlmgate: Run, first: Done, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    status, out, err = vlmgate("export", *arguments, tmp_path / "shipped", "--threads=1", "--run", first.folder)
    assert (status, out) == (4, "") and sentence in err and err.count("\n") == 1
    assert not (tmp_path / "shipped").exists()
