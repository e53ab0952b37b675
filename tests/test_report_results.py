"""The page of results: every variant, slower ones marked, skipped and failed ones with their words, figures by hand."""

from dataclasses import replace

import pytest
from runs import CRASH, ENVIRONMENT, FAIL, NO_CUDA, blocks, make_run, record, with_outcomes
from test_report_markdown import tables

from vlmgate.record.roofline import Ceilings, machine_of
from vlmgate.report.results import render
from vlmgate.spec import Outcome, Question, Run

INT8 = "scene-blip/int8-dynamic/scenes"


def line(text: str, variant: str, number: int = 0) -> list[str]:
    """A variant's cells in the n-th table."""
    (found,) = (cells for cells in tables(text)[number] if cells[0] == variant)
    return found


def slow_run(seconds: float, **changes: object) -> Run:
    arms = {"fp32": 0.080, "int8-dynamic": seconds, "pruned": 0.080, "placebo": 0.080}
    return make_run(blocks=blocks("scene-blip/scenes", arms, ("int8-dynamic", "placebo")), **changes)


def test_a_line_by_hand() -> None:
    phase = {"name": "step", "times": 16, "operations": {"fp32": 1e9}, "bytes": 1.0}
    ceilings = Ceilings(machine_of(ENVIRONMENT), 2, {"fp32": 1e12, "bandwidth": 1e9}, {}, "2026-01-01", {})
    found = tables(render([make_run()], [{INT8: {"phases": [phase], "batch": 1, "why": ""}}], [ceilings]))[1:]
    head = [*found[0][0]]
    assert head[:4] == ["variant", "speed-up × (95 %; blocks)", "time/image [ms]", "share of own roofline [%]"]
    assert head[4:] == ["size [MB]", "÷ fp32", "peak memory [MB]", "÷ fp32", "CIDEr kept [%]", "images", "notes"]
    figures = ["1.25 (1.22 to 1.28; 6)", "64.0", "25.0", "10.0", "0.250", "250", "0.500", "99.0", "4", ""]
    assert found[0][2] == ["int8-dynamic", *figures]
    assert line(render([make_run()]), "fp32")[3] == "—"


@pytest.mark.parametrize(
    ("seconds", "note", "summary"),
    [
        (0.064, "", "1 are faster than fp32, 0 slower, 1 cannot"),
        (0.100, "SLOWER than fp32", "0 are faster than fp32, 1 slower (int8-dynamic), 1 cannot be told from it (pruned)."),
        (0.079, "not shown to be faster: the interval holds 1", "cannot be told from it (int8-dynamic, pruned)."),
        (0.081, "not shown to be slower or faster: the interval holds 1", "cannot be told from it (pruned, int8-dynamic)."),
    ],
)
def test_a_slower_variant_says_so(seconds: float, note: str, summary: str) -> None:
    text = render([slow_run(seconds)])
    assert line(text, "int8-dynamic")[-1] == note
    assert summary in text
    names = [cells[0] for cells in tables(text)[0][2:]]
    assert len(names) == 3 and names[0 if seconds < 0.08 else -1] == "int8-dynamic"  # sorted by speed-up, the slowest last


def test_failed_and_skipped_ones_keep_their_words() -> None:
    text = render([make_run()])
    assert f"Failed:\n\n- pruned: {FAIL}\n" in text and f"- int8-dynamic: {CRASH}\n" in text
    assert f"Skipped:\n\n- fp16-cuda: {NO_CUDA}\n" in text
    assert "FAILED, see below" in line(text, "pruned")[-1]
    assert [cells[0] for cells in tables(text)[1][2:]] == ["fp32"]  # nothing was measured of the others
    waived = render([with_outcomes(make_run(), Outcome.WAIVED)])
    assert "fail waived, see below" in line(waived, "pruned")[-1] and f"- pruned: {FAIL}\n" in waived


def test_a_crash_without_a_verdict_is_told() -> None:
    assert "- int8-dynamic: SIGKILL while loading: the worker was killed by SIGKILL\n" in render([make_run(verdicts=())])


def test_each_figure_is_of_the_last_run_that_has_it() -> None:
    quality = record("scene-blip", "int8-dynamic", scores={"cider": 2.5}, exact={}, memory={}, questions=(Question.QUALITY,))
    second = make_run(name="quality", cases=(record("scene-blip", "fp32"), quality), blocks=(), verdicts=(), failures=())
    text = render([make_run(), second])
    cells = line(text, "int8-dynamic")
    assert cells[1].startswith("1.25 ") and cells[4] == "10.0" and cells[8] == "50.0" and cells[-1] == "run 1, 2"
    assert f"- pruned: {FAIL}\n" in text  # the second run did not ask it, and hides nothing
    other = [replace(case, settings=replace(case.settings, batch=4)) for case in second.cases]
    apart = tables(render([make_run(), replace(second, cases=tuple(other))]))
    assert [cells[0] for cells in apart[2][2:]] == ["fp32", "int8-dynamic"]  # other settings make another table


def test_seconds_of_compiling_are_a_note() -> None:
    compiled = record("scene-blip", "int8-dynamic", exact={"size": 10e6, "compile_seconds": 34.16})
    run = make_run()
    cases = [compiled if case.id == INT8 else case for case in run.cases]
    assert line(render([replace(run, cases=tuple(cases))]), "int8-dynamic")[-1] == "compiles for 34.2 s once a process"


def test_variables_of_the_environment_stand_in_the_head_of_their_table() -> None:
    first = make_run()
    declared = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}
    cases = [replace(case, settings=replace(case.settings, environment=declared)) for case in first.cases]
    text = render([first, replace(first, cases=tuple(cases))])
    heads = [each.replace("\\", "") for each in text.splitlines() if each.startswith("## scene-blip")]
    isa = first.environment.key["isa"]
    assert heads == [f"## scene-blip on scenes, {isa}", f"## scene-blip on scenes, {isa}, ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16"]


def test_the_head_says_how_everything_was_made() -> None:
    run = make_run(command="pytest benchmarks/ --tier smoke", status="interrupted")
    text = render([run, make_run(name="b`ad")])
    assert "`pytest benchmarks/ --tier smoke`" in text and "**interrupted**" in text
    assert "Test CPU, avx512_vnni, up to 2 threads" in text and "torch 2.13.0, transformers 5.23.0" in text and "2 cores" in text
    assert "tier smoke (its command was not recorded)" in text
    assert "`vlmgate results 20250101T000000Z-smoke b'ad`" in text


def test_it_says_where_its_runs_are() -> None:
    again = (
        "`vlmgate results {}`. Shares of the roofline need `vlmgate ceilings` on a quiet machine and `vlmgate work {}` before it."
    )
    name = make_run().name
    assert again.format(name, name) in render([make_run()])
    there = f"{name} --results docs/runs"
    assert again.format(there, there) in render([make_run()], folder="docs/runs")


def test_names_make_no_cells_and_no_tags() -> None:
    bad = record("m|x", "<b>a</b>|b", skip="needs | `x`\n# head")
    text = render([make_run(cases=(record("m|x", "fp32"), bad), verdicts=(), blocks=(), failures=())])
    assert "<b>" not in text and "\n# head" not in text
    assert all(len({len(cells) for cells in found}) == 1 for found in tables(text))


def test_nothing_at_all() -> None:
    assert "# Results" in render([make_run(cases=(), blocks=(), verdicts=(), failures=())])
