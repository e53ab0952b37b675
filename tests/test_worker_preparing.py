"""Preparing and probing, by real workers on a tiny model."""

from dataclasses import asdict
from pathlib import Path

import pytest
from jobs import job

from vlmgate.measure import Answer, run_job
from vlmgate.variants import VARIANTS


def test_preparing_says_what_was_made_and_what_cannot_run(prepared: Answer) -> None:
    assert "fp16-cuda needs an NVIDIA GPU" in prepared.arms["fp16-cuda"]["skip"]
    made = {name: data for name, data in prepared.arms.items() if "folder" in data}
    assert made.keys() == {"fp32", "spy", "spike"}
    assert len({data["folder"] for data in made.values()}) == 3
    assert len({data["checkpoint"] for data in made.values()}) == 1
    for data in made.values():
        assert Path(data["folder"], "model.safetensors").is_file()
        assert data["exact"]["reloads"] == 1.0 and data["exact"]["weight_bytes"] > 0


def test_probing_says_what_cannot_run_here(tricks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    answer = run_job("probe", job(tricks, variants=[asdict(VARIANTS["fp32"]), asdict(VARIANTS["fp16-cuda"])]))
    assert answer.failure is None
    assert answer.result["fp32"] == ""
    assert answer.result["fp16-cuda"].startswith("fp16-cuda needs an NVIDIA GPU with CUDA")
