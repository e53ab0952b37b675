"""The job that measures ceilings, on crumbs: what it reports, not how fast it was."""

from vlmgate.measure import run_job


def test_every_type_that_torch_multiplies_here_has_a_rate_and_its_way() -> None:
    told: list[str] = []
    job = {"threads": 1, "sizes": [32, 16], "bytes": 1 << 16, "seconds": 0.001}
    answer = run_job("ceilings", job, listener=lambda message: told.append(message.get("arm", "")))
    assert answer.failure is None
    found = answer.result
    assert {"fp32", "int8", "bandwidth"} <= set(found) <= {"fp32", "bf16", "fp16", "int8", "bandwidth"}
    assert all(rate > 0 for rate, _ in found.values())
    assert found["fp32"][1] in ("torch.mm, 32 × 32", "torch.mm, 16 × 16")
    assert found["bandwidth"][1].endswith(" of 0 MB") and found["bandwidth"][1].startswith("torch.")
    assert [each for each in told if each] == ["fp32", "bf16", "fp16", "int8", "memory"]
