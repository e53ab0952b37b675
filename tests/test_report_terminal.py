"""The report in the terminal: what stands where, and that it fits."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from runs import CRASH, ENVIRONMENT, FAIL, UNRESOLVED, blocks, make_run, record, verdict, with_outcomes

from vlmgate.report import markdown
from vlmgate.report.terminal import environment_line, plain, render, significant, skip_reasons, time_line, timed_how
from vlmgate.spec import Block, Failure, Outcome, Question, Settings

ANSI = re.compile(r"\x1b\[\d*m")


def lines(text: str) -> list[str]:
    return text.splitlines()


def row(text: str, variant: str) -> list[str]:
    """The cells of the first table row of a variant."""
    found = next(line for line in lines(text) if line.startswith(f"{variant} "))
    return re.split(r"  +", found.strip())


def test_the_share_decided_comes_first() -> None:
    first = lines(render(make_run(), colour=False))[0]
    assert first == "8 of 9 gates decided (88 %): 5 pass, 3 fail, 1 unresolved; 2 skipped"


def test_waived_fails_are_counted_and_listed() -> None:
    said = "blip-base/bf16/scenes: speed-up 0.9× misses its floor of 1×; waived until 2027-01-31: slow CPU"
    waived = verdict("blip-base/bf16/scenes", "time_per_caption", Question.LATENCY, Outcome.WAIVED, said)
    held = verdict("a/b/c", "size", Question.SIZE, Outcome.PASS)
    text = render(make_run(verdicts=(held, waived)), colour=True)
    assert ANSI.sub("", lines(text)[0]) == "2 of 2 gates decided (100 %): 1 pass, 0 fail, 0 unresolved, 1 waived"
    assert lines(text)[0].startswith("\x1b[33m"), "a waived fail is not green"
    assert f"WAIVED     {said}" in ANSI.sub("", text)


def test_the_share_is_never_rounded_up() -> None:
    many = [verdict("a/b/c", f"m{i}", Question.SIZE, Outcome.PASS) for i in range(399)]
    open_one = verdict("a/b/c", "x", Question.SIZE, Outcome.UNRESOLVED)
    text = render(make_run(cases=(), blocks=(), verdicts=(*many, open_one)), colour=False)
    assert lines(text)[0].startswith("399 of 400 gates decided (99 %)")


def test_environment_and_placebo_lines() -> None:
    text = render(make_run(), colour=False)
    expected = "Test CPU, avx512_vnni, up to 2 threads, Python 3.11.9, torch 2.13.0, transformers 5.23.0, commit cccccccccc"
    assert expected in lines(text)
    yardstick = r"yardstick 10\.0 ms \(sd 0 % over blocks\)"
    assert re.search(rf"^scene-blip: placebo 1\.000× \(0\.97\d to 1\.02\d, 6 blocks\), clean; {yardstick}$", text, re.M)


def test_the_yardstick_is_the_median_of_each_block_and_its_spread_over_them() -> None:
    run = make_run()
    timed = [block for block in run.blocks if block.model == "scene-blip/scenes"]
    moved = [replace(block, yardstick=(0.02 * 1.01**i, 9.0, 1e-6)) for i, block in enumerate(timed[:3])]  # 1 % a block, ln
    for each in (render(replace(run, blocks=tuple(moved)), colour=False), markdown.render(replace(run, blocks=tuple(moved)))):
        assert "; yardstick 20.2 ms (sd 1 % over blocks)" in each
    (one,) = [line for line in lines(render(replace(run, blocks=(moved[0],)), colour=False)) if "placebo" in line]
    assert one == "scene-blip: placebo not known, it needs two blocks or more; yardstick 20.0 ms"
    bare = [replace(block, yardstick=()) for block in timed]
    assert "yardstick" not in render(replace(run, blocks=tuple(bare)), colour=False)


def test_seconds_of_compiling_stand_below_the_table_and_in_the_markdown() -> None:
    compiled = record("scene-blip", "fp32-compile", exact={"size": 40e6, "compile_seconds": 34.16})
    run = make_run(cases=(record("scene-blip", "fp32"), compiled), verdicts=(), blocks=())
    said = "the first call of a process compiles, which is in no time above: fp32-compile 34.2 s"
    assert said in lines(render(run, colour=False)) and said in lines(markdown.render(run))
    assert "compiles" not in render(make_run(), colour=False)


def test_the_spread_of_memory_over_processes_stands_below_its_table() -> None:
    text = render(make_run(), colour=False)
    spread = "peak memory [MB], lowest to highest process: fp32 2000.0 to 2200.0 (2 processes)"
    assert lines(text).count(spread) == 1 and text.count("lowest to highest") == 1  # scene-blip had one process a case
    assert text.index("blip-base on scenes") < text.index(spread)


def test_declared_variables_stand_in_the_title() -> None:
    run = make_run()
    settings = replace(run.cases[0].settings, environment={"MALLOC_ARENA_MAX": "1"})
    text = render(replace(run, cases=tuple(replace(case, settings=settings) for case in run.cases)), colour=False)
    assert "6 blocks, MALLOC_ARENA_MAX=1" in text


def test_one_thread_is_no_threads() -> None:
    assert timed_how(Settings(threads=1, new_tokens=16)) == "batch 1, 16 new tokens timed, 1 thread"
    assert timed_how(Settings(threads=2, image_size=384)) == "batch 1, 20 new tokens timed, 2 threads, 384 px"
    one = replace(ENVIRONMENT, key={**ENVIRONMENT.key, "threads": 1})
    assert "up to 1 thread, " in environment_line(one)


def test_a_contaminated_placebo_is_called_so() -> None:
    text = render(make_run(blocks=blocks("scene-blip/scenes", {"fp32": 0.08, "placebo": 0.09})), colour=False)
    assert "scene-blip: placebo 0.889× (0.889 to 0.889, 6 blocks), contaminated; yardstick" in text


def test_an_interval_as_wide_as_its_ratio_is_given_by_its_ends() -> None:
    """±130 % would reach below nothing."""

    def slower(block: Block, factor: float) -> Block:
        times = tuple(tuple(t * factor for t in image) for image in block.times["int8-dynamic"])
        return replace(block, times={**block.times, "int8-dynamic": times})

    apart = tuple(slower(block, 4.0 if block.index % 2 else 1.0) for block in make_run().blocks[:6])
    assert row(render(make_run(blocks=apart), colour=False), "int8-dynamic")[2] == "0.625 (0.275 to 1.42)"


def test_table_rows_by_hand() -> None:
    text = render(make_run(), colour=False)
    expected = ["int8-dynamic", "64.0", "1.25 ±2.5 %", "15.6", "250", "0.500", "10.0", "0.250", "0.784", "98.0", "4.95", "99.0"]
    assert row(text, "int8-dynamic") == [*expected, "unresolved"]
    reference = ["fp32", "80.0", "1.00", "12.5", "500", "1.00", "40.0", "1.00", "0.800", "100", "5.00", "100", "reference"]
    assert row(text, "fp32") == reference
    assert row(text, "pruned")[-3:] == ["3.55", "71.0", "fail"]
    assert row(text, "fp16-cuda") == ["fp16-cuda", *["—"] * 11, "skip"]


def test_units_stand_in_the_heads() -> None:
    text = render(make_run(), colour=False)
    head = text[text.index("variant") : text.index("\nfp32   ")]
    assert head.count("[ms]") == 1
    assert head.count("[MB]") == 2
    assert head.count("[%]") == 2
    assert all(word in head for word in ("BLEU-4", "CIDEr", "images/", "verdict", "speed-up", "(95 %)"))


def test_the_usual_table_fits_120_columns() -> None:
    long = [record("scene-blip", name) for name in ("fp32", "int8-dynamic-embed")]
    arms = {"fp32": 1.64, "int8-dynamic-embed": 0.62, "placebo": 1.64}
    gate = verdict(long[1].id, "size", Question.SIZE, Outcome.UNRESOLVED)
    run = make_run(cases=tuple(long), blocks=blocks("scene-blip/scenes", arms, ("int8-dynamic-embed",)), verdicts=(gate,))
    table = [line for line in lines(render(run, colour=False)) if "unresolved   " not in line and not line.startswith("UNRES")]
    assert max(map(len, table)) <= 120


def test_sentences_stand_verbatim_and_once() -> None:
    text = render(make_run(), colour=False)
    assert f"FAIL       {FAIL}" in lines(text)
    assert f"UNRESOLVED {UNRESOLVED}" in lines(text)
    assert text.count(CRASH) == 1  # a crash fails every question with one and the same sentence
    assert text.index(FAIL) < text.index(CRASH) < text.index(UNRESOLVED)


def test_skips_are_grouped_by_reason_in_one_line() -> None:
    text = render(make_run(), colour=False)
    assert "skipped: 2 × needs a CUDA device: run on a machine with an NVIDIA GPU" in lines(text)


def test_reasons_that_only_differ_by_the_case_are_one() -> None:
    skipped = [
        verdict(case, "size", Question.SIZE, Outcome.SKIP, f"{case}: size skip: {words}")
        for case, words in (("a/b/c", "no baseline yet: `vlmgate promote r --cases 'a/b/c'`"), ("a/d/c", "no baseline yet"))
    ]
    assert skip_reasons(make_run(cases=(), verdicts=tuple(skipped))) == ["2 × no baseline yet: `vlmgate promote r --cases '*'`"]


def test_a_skipped_case_without_gates_is_named() -> None:
    assert skip_reasons(make_run(verdicts=())) == ["1 × needs a CUDA device: run on a machine with an NVIDIA GPU"]


def test_the_end_tells_time_and_record() -> None:
    text = render(make_run(), colour=False, record=Path("results/run-1"))
    assert lines(text)[-2:] == ["time: 80.0 s: 60.0 s timing, 12.0 s captioning, 8.00 s other", "record: results/run-1"]


def test_all_unresolved_is_not_green() -> None:
    run = with_outcomes(make_run(), Outcome.UNRESOLVED)
    text = render(run, colour=True)
    assert ANSI.sub("", lines(text)[0]).startswith("0 of 11 gates decided (0 %)")
    assert lines(text)[1].startswith("Nothing was decided: this is no green run.")
    assert "\x1b[32m" not in text
    assert "\x1b[33m" in lines(text)[0]


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.PASS, "32"), (Outcome.FAIL, "31"), (Outcome.SKIP, "33")])
def test_the_colour_of_the_first_line(outcome: Outcome, code: str) -> None:
    assert lines(render(with_outcomes(make_run(), outcome), colour=True))[0].startswith(f"\x1b[{code}m")


def test_one_unresolved_among_passes_is_not_green() -> None:
    run = with_outcomes(make_run(), Outcome.PASS)
    run = replace(run, verdicts=(replace(run.verdicts[0], outcome=Outcome.UNRESOLVED), *run.verdicts[1:]))
    assert lines(render(run, colour=True))[0].startswith("\x1b[33m")


def test_colour_changes_nothing_else() -> None:
    assert ANSI.sub("", render(make_run(), colour=True)) == render(make_run(), colour=False)
    assert "\x1b" not in render(make_run(), colour=False)


def test_no_gate_at_all_says_so() -> None:
    text = render(make_run(cases=(), blocks=(), verdicts=(), failures=()), colour=False)
    assert lines(text)[0] == "0 of 0 gates decided: 0 pass, 0 fail, 0 unresolved"
    assert "No gate was judged" in lines(text)[1]


def test_interrupted_notes_and_failures_of_no_case() -> None:
    placebo = Failure("placebo", "timing", "hang", "no sign of life for 300 s")
    text = render(make_run(status="interrupted", notes=("the time budget ended",), failures=(placebo,)), colour=False)
    assert "The run is interrupted: what follows is what was measured until then." in lines(text)
    assert "placebo: hang while timing: no sign of life for 300 s" in lines(text)
    assert "the time budget ended" in lines(text)
    assert "killed" not in "".join(lines(render(make_run(), colour=False))[:3])  # that of a case has its sentence already


def test_a_log_cannot_steer_the_terminal() -> None:
    evil = "a/b/c: SIGKILL while loading: \x1b[2J\rall passed\u202e\ud800"
    text = render(make_run(verdicts=(verdict("a/b/c", "worker", Question.SIZE, Outcome.FAIL, evil),)), colour=False)
    assert not {"\x1b", "\r", "\u202e", "\ud800"} & set(text)
    assert "all passed" in text
    assert plain("ein roter Würfel, 1.25×") == "ein roter Würfel, 1.25×"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.06123, "0.0612"), (1, "1.00"), (12.345, "12.3"), (99.96, "100"), (895.9, "896"), (1234.5, "1234"), (0.0, "0.00")],
)
def test_three_significant_digits(number: float, text: str) -> None:
    assert significant(number) == text


def test_the_last_lines_say_what_is_overhead_and_what_the_parent_used() -> None:
    phases = {"start-up": 10.0, "warm-up": 5.0, "measuring": 55.0, "quality": 10.0, "memory": 15.0, "other": 5.0}
    line = time_line(make_run(seconds=100.0, phases=phases, parent_cpu=0.0034))
    assert line.endswith("; 15 % is overhead (30 % with memory); pytest itself used 0.34 % of a core while workers measured")
    assert "overhead" not in time_line(make_run()) and "core" not in time_line(make_run())  # older records
