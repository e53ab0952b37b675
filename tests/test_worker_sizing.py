"""The job that weighs by closed form: one answer a variant, and why there is none."""

from dataclasses import asdict
from pathlib import Path

from jobs import job

from vlmgate.measure import run_job
from vlmgate.spec import Step, Variant
from vlmgate.variants import VARIANTS


def test_every_variant_gets_bytes_or_a_reason(tricks: Path, tiny_checkpoint: Path) -> None:
    small = Variant("small", (Step("heads", {"amount": 0.01, "grouped": "auto"}),))
    variants = [asdict(variant) for variant in (VARIANTS["fp32"], VARIANTS["bf16"], VARIANTS["onnx-fp32"], small)]
    answer = run_job("size", job(tricks, variants=variants, family="", parts={}, location="", folder=str(tiny_checkpoint)))
    assert answer.failure is None
    found = answer.result["variants"]
    assert found["fp32"] == [4.0 * answer.result["parameters"], ""] and found["bf16"][0] * 2 == found["fp32"][0]
    assert found["onnx-fp32"][0] is None is found["small"][0] and "less than one head" in found["small"][1]
