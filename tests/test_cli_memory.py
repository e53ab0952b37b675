"""`vlmgate memory`: a flame graph and the largest allocations of one variant, by a real worker."""

from pathlib import Path
from typing import Any

import pytest
from project import Project, suite_text

from conftest import Run
from vlmgate.cli import memory
from vlmgate.measure import Answer, run_job

BATCHED = """\
  batched:
    settings: {batch: 2, new_tokens: 6, image_size: 64, beams: 2, environment: {MALLOC_ARENA_MAX: 1}}
    cases:
      - {models: [tiny], variants: [fp32], datasets: [scenes], questions: [memory]}
"""


def test_a_flame_graph_is_written_and_the_largest_allocations_are_listed(vlmgate: Run, tmp_path: Path) -> None:
    target = tmp_path / "graph.html"
    status, out, err = vlmgate("memory", "tiny/fp32/scenes", "--output", target, "--threads", "1")
    assert status == 0, err
    assert out.startswith("tier default: batch 1, 4 new tokens timed, 1 thread\n")
    assert "<html" in target.read_text(encoding="utf-8").lower() and "load_artefact" in target.read_text(encoding="utf-8")
    assert "heap peak" in out and "held at the peak by" in out and out.rstrip().endswith(str(target))
    lines = out.split("held at the peak by")[1].splitlines()[2:]
    sizes = [float(line.split()[0]) for line in lines if line.strip()[:1].isdigit()]
    assert sizes and sizes == sorted(sizes, reverse=True)


def test_a_case_is_loaded_and_run_with_the_settings_and_images_of_suite_yaml(
    vlmgate: Run, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the peak that failed is another one than the flame graph shows."""
    told: dict[str, Any] = {}

    def spy(do: str, job: dict[str, Any]) -> Answer:
        told[do] = job
        return run_job(do, job)

    monkeypatch.setattr(memory, "run_job", spy)
    suite = project.suite("more.yaml", suite_text().replace("thresholds:", f"{BATCHED}thresholds:"))
    case = ("memory", "tiny/fp32/scenes", "--suite", suite, "--output", tmp_path / "graph.html")
    status, out, err = vlmgate(*case, "--tier", "batched")
    assert status == 0, err
    assert out.startswith("tier batched: batch 2, 6 new tokens timed, 1 thread, 64 px, MALLOC_ARENA_MAX=1\n")
    job = told["memory"]
    assert (job["batch"], job["new_tokens"], job["image_size"], job["threads"]) == (2, 6, 64, 1)
    assert (job["decoding"], job["environment"]) == ({"beams": 2}, {"MALLOC_ARENA_MAX": "1"})
    assert [Path(image).name for image in job["images"]] == ["000000.jpg", "000001.jpg"]
    status, _, err = vlmgate("memory", "tiny/slow/scenes", "--suite", suite, "--tier", "batched")
    assert status == 4 and f"tier batched of {suite} does not declare tiny/slow/scenes; name one of its cases" in err


def test_a_name_that_is_none_is_refused_with_the_known_ones(vlmgate: Run) -> None:
    for arguments, words in (
        (["tiny"], "expected a case such as"),
        (["tiny", "int9"], "unknown variant 'int9'"),
        (["tinny/fp32/scenes"], "unknown model 'tinny'"),
        (["tiny/fp32/awkward"], "no tier of benchmarks/suite.yaml declares tiny/fp32/awkward"),
        (["tiny", "fp16-cuda"], "fp16-cuda cannot run here"),
        (
            ["tiny", "fp32", "--output", "nowhere/graph.html"],
            "nowhere is no folder; give a file in one that is there",
        ),
    ):
        status, _, err = vlmgate("memory", *arguments)
        assert status == 4 and words in err
