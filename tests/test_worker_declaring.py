"""The declaring job: cases, plugins and versions as the suite file of that side has them."""

import platform

import pytest
from project import Project

from vlmgate.measure import run_job
from vlmgate.running.against import model_of, variant_of


def test_it_tells_what_the_file_declares(project: Project) -> None:
    job = {"threads": 1, "suite": str(project.root / "benchmarks" / "suite.yaml"), "tier": "default", "moved": {}}
    answer = run_job("declare", job)
    assert not answer.failure, answer.failure
    cases = {case["id"]: case for case in answer.result["cases"]}
    assert {"tiny/fp32/scenes", "tiny/pruned/scenes"} <= set(cases)
    assert variant_of(cases["tiny/pruned/scenes"]["variant"]).steps[0].parameters["amount"] == 0.95
    assert cases["tiny/pruned/scenes"]["questions"] == ["latency", "size", "quality"]
    assert model_of(cases["tiny/fp32/scenes"]["model"]).name == "tiny"
    assert answer.result["python"] == platform.python_version() and answer.result["versions"]["torch"]
    assert [name.rpartition("/")[2] for name in answer.result["plugins"]] == ["tiny.py"]


@pytest.mark.parametrize("tier", ["nowhere"])
def test_a_tier_that_is_not_there(project: Project, tier: str) -> None:
    job = {"threads": 1, "suite": str(project.root / "benchmarks" / "suite.yaml"), "tier": tier, "moved": {}}
    failure = run_job("declare", job).failure
    assert failure and failure.kind == "VlmgateError" and tier in failure.message
