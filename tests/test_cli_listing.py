"""`vlmgate list` shows what is there and what would be skipped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vlmgate.artefacts import cannot_run
from vlmgate.variants import VARIANTS

Run = Callable[..., tuple[int, str, str]]


def test_list_shows_what_is_there_and_what_would_be_skipped(vlmgate: Run) -> None:
    status, out, _ = vlmgate("list")
    assert status == 0
    rows = {line.split()[0]: line for line in out.partition("\nTier")[0].splitlines() if line.strip()}
    assert rows["tiny"].split() == ["tiny", "local"] and "fixture" in rows["scene-blip"]
    assert rows["int8-dynamic"].endswith("runs here") and rows["slow"].endswith("runs here")
    assert "skipped here: fp16-cuda needs an NVIDIA GPU with CUDA" in rows["fp16-cuda"]
    assert "scenes:N" in rows
    assert "Tier default: every outcome" in out
    assert "tiny on scenes: fp32 (reference), int8-dynamic, fp16-cuda (skipped here), slow, idle, pruned" in out


def test_of_a_suite_with_an_unknown_name_the_known_ones_are_listed_all_the_same(vlmgate: Run, tmp_path: Path) -> None:
    """The sentence about the name sends readers here."""
    text = "schema: 1\ntiers: {t: {cases: [{models: [scene-blip], variants: [fp32, int9], datasets: [scenes]}]}}\n"
    (tmp_path / "suite.yaml").write_text(text)
    status, out, err = vlmgate("list", "--suite", tmp_path / "suite.yaml")
    assert status == 4 and "unknown variant 'int9'; did you mean int8-dynamic, " in err and err.endswith("`vlmgate list`\n")
    assert all(f"\n{name} " in out for name in VARIANTS) and "scene-blip" in out and "scenes:N" in out


def test_each_variant_runs_here_or_says_all_that_it_needs(vlmgate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PATH", "/nowhere")  # no compiler
    status, out, _ = vlmgate("list")
    assert status == 0
    table = out.partition("\nVariants\n")[2].partition("\nDatasets\n")[0]
    rows = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    expected = {name: cannot_run(variant) for name, variant in VARIANTS.items()}
    assert set(rows) >= set(expected) and expected["fp32-compile"] and expected["fp32-cuda"] and not expected["fp32"]
    for name, why in expected.items():
        assert rows[name].endswith(f"skipped here: {why}" if why else "runs here"), rows[name]
