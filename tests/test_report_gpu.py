"""Other processes on the GPU are named in the header of a report."""

from dataclasses import replace
from typing import Any

from runs import make_run

from vlmgate.report import markdown, terminal
from vlmgate.report.gpu import remarks
from vlmgate.spec import Run


def seen(*states: dict[str, Any]) -> Run:
    """The run whose first blocks saw these states of the GPU at their end."""
    run = make_run()
    first = (replace(block, gpu={"before": {}, "after": state}) for block, state in zip(run.blocks, states, strict=False))
    return replace(run, blocks=(*first, *run.blocks[len(states) :]))


def test_processes_are_named_by_their_numbers_and_blocks_are_counted() -> None:
    (line,) = remarks(seen({"foreign": [4242]}, {"foreign": []}, {"foreign": [7, 4242]}).blocks)
    assert line.startswith("scene-blip/scenes: in 2 of 6 blocks the GPU was shared with processes 7, 4242, which may have moved")


def test_where_numbers_say_nothing_they_are_only_counted() -> None:
    (line,) = remarks(seen({"others": 1}, {"others": 0}).blocks)
    assert "in 1 of 6 blocks the GPU was shared with 1 other process (" in line
    assert "2 other processes (" in remarks(seen({"others": 2}).blocks)[0]


def test_a_gpu_of_ones_own_or_none_needs_no_remark() -> None:
    assert remarks(seen({"foreign": []}, {"others": 0}, {"sm_clock": 1}).blocks) == [] == remarks(make_run().blocks)


def test_it_stands_in_every_header() -> None:
    words = "in 1 of 6 blocks the GPU was shared with process 4242"
    run = seen({"foreign": [4242]})
    assert words in "".join(terminal.render(run, colour=False).splitlines()[:3])
    assert words in markdown.render(run).partition("## ")[0]
