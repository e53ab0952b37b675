"""`vlmgate list` shows what is there and what would be skipped."""

from collections.abc import Callable

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
