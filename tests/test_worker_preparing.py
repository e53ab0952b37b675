"""Preparing and probing, by real workers on a tiny model."""

from dataclasses import asdict
from pathlib import Path

import pytest
from jobs import job

from vlmgate.measure import Answer, run_job
from vlmgate.variants import VARIANTS
from vlmgate.worker.preparing import gpu_free


def test_preparing_says_what_was_made_and_what_cannot_run(prepared: Answer) -> None:
    assert "fp16-cuda needs an NVIDIA GPU" in prepared.arms["fp16-cuda"]["skip"]
    made = {name: data for name, data in prepared.arms.items() if "folder" in data}
    assert made.keys() == {"fp32", "spy", "spike"}
    assert len({data["folder"] for data in made.values()}) == 3
    assert len({data["checkpoint"] for data in made.values()}) == 1
    for data in made.values():
        assert Path(data["folder"], "model.safetensors").is_file()
        assert data["exact"]["reloads"] == 1.0 and data["exact"]["weight_bytes"] > 0


class Gpu:
    """torch.cuda where there is a GPU with 3 of 8 GB free."""

    def is_available(self) -> bool:
        return True

    def mem_get_info(self) -> tuple[int, int]:
        return 3_000_000_000, 8_000_000_000


def test_what_is_free_on_the_gpu_is_asked_only_for_arms_that_run_there(prepared: Answer) -> None:
    assert gpu_free(["cpu", "cuda"], Gpu()) == 3_000_000_000
    assert gpu_free(["cpu"], Gpu()) is None
    assert "gpu_free" not in prepared.result  # it has an arm for CUDA, and there is no GPU


def test_probing_says_what_cannot_run_here(tricks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    answer = run_job("probe", job(tricks, variants=[asdict(VARIANTS["fp32"]), asdict(VARIANTS["fp16-cuda"])]))
    assert answer.failure is None
    assert answer.result["fp32"] == ""
    assert answer.result["fp16-cuda"].startswith("fp16-cuda needs an NVIDIA GPU with CUDA")
