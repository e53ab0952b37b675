"""The job that counts the work of cases: phases, or why there are none."""

from dataclasses import asdict
from pathlib import Path

from jobs import job, trick

from vlmgate.measure import run_job
from vlmgate.spec import Variant
from vlmgate.variants import VARIANTS


def test_every_case_gets_phases_or_a_reason(tricks: Path, tiny_checkpoint: Path) -> None:
    def case(variant: Variant, **more: int) -> dict[str, object]:
        fixed = {"batch": 1, "beams": 1, "tokens": 4, "image_size": None}
        return {"id": f"{variant.name}{more or ''}", "variant": asdict(variant), **fixed, **more}

    cases = [case(VARIANTS["fp32"]), case(VARIANTS["fp32"], image_size=64), case(VARIANTS["fp16-cuda"]), case(trick("x", do=""))]
    place = {"family": "blip", "parts": {"vision": ["vision_model"], "text": ["text_decoder"]}, "location": ""}
    answer = run_job("work", job(tricks, cases=cases, folder=str(tiny_checkpoint), **place))
    assert answer.failure is None
    plain, larger, cuda, tricky = answer.result.values()
    assert plain["why"] == "" and [each["name"] for each in plain["phases"]] == ["encoder", "step"]
    assert larger["phases"][0]["operations"]["fp32"] > 3 * plain["phases"][0]["operations"]["fp32"]  # four times the patches
    assert cuda["phases"] == [] and "it runs on cuda" in cuda["why"]
    assert tricky["phases"] == plain["phases"]  # the recipe changes nothing
