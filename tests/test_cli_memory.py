"""`vlmgate memory`: a flame graph and the largest allocations of one variant, by a real worker."""

from pathlib import Path

from conftest import Run


def test_a_flame_graph_is_written_and_the_largest_allocations_are_listed(vlmgate: Run, tmp_path: Path) -> None:
    target = tmp_path / "graph.html"
    status, out, err = vlmgate("memory", "tiny/fp32/scenes", "--output", target, "--threads", "1")
    assert status == 0, err
    assert "<html" in target.read_text(encoding="utf-8").lower() and "load_artefact" in target.read_text(encoding="utf-8")
    assert "heap peak" in out and "held at the peak by" in out and out.rstrip().endswith(str(target))
    lines = out.split("held at the peak by")[1].splitlines()[2:]
    sizes = [float(line.split()[0]) for line in lines if line.strip()[:1].isdigit()]
    assert sizes and sizes == sorted(sizes, reverse=True)


def test_a_name_that_is_none_is_refused_with_the_known_ones(vlmgate: Run) -> None:
    for arguments, words in (
        (["tiny"], "expected a case such as"),
        (["tiny", "int9"], "unknown variant 'int9'"),
        (["tinny/fp32/scenes"], "unknown model 'tinny'"),
        (["tiny", "fp16-cuda"], "fp16-cuda cannot run here"),
        (
            ["tiny", "fp32", "--output", "nowhere/graph.html"],
            "nowhere is no folder; give a file in one that is there",
        ),
    ):
        status, _, err = vlmgate("memory", *arguments)
        assert status == 4 and words in err
