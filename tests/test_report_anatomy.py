"""The second table: only what was measured has a column."""

from dataclasses import replace

from runs import make_run

from vlmgate.report import csv_file, markdown, terminal
from vlmgate.report.anatomy import columns
from vlmgate.report.rows import groups
from vlmgate.report.terminal import scaled
from vlmgate.spec import Run


def with_more() -> Run:
    """Throughput and energy in every block."""
    run = make_run()
    more = {"throughput": {"fp32": {"1": 0.08, "4": 0.16}}, "energy": {"fp32": 3.5}}
    return replace(run, blocks=tuple(replace(block, **more) for block in run.blocks))


def test_tokens_and_calls_are_always_there() -> None:
    head, body = columns(groups(make_run())[0], scaled)
    assert [name.replace("\n", " ") for name in head] == [
        "variant",
        "first token [ms]",
        "further token [ms]",
        "call p50 [ms]",
        "call p90 [ms]",
        "tokens",
    ]
    reference = next(line for line in body if line[0] == "fp32")
    # 80 ms a call of 16 tokens, a quarter of it for the first; one round in three is three times as slow
    assert reference == ("fp32", "20.0", "4.00", "80.0", "240", "16")


def test_throughput_and_energy_have_columns_where_they_were_measured() -> None:
    head, body = columns(groups(with_more())[0], scaled)
    assert [name.replace("\n", " ") for name in head[6:]] == [
        "images/s batch 1",
        "images/s batch 4",
        "energy/ image [J] above idle",
    ]
    assert body[0][6:] == ("12.5", "25.0", "3.50") and body[1][6:] == ("—", "—", "—")


def test_the_peak_of_a_gpu_and_its_ratio_have_columns_where_there_is_one() -> None:
    run = make_run()
    cases = tuple(
        replace(record, memory={**record.memory, "cuda_peak": (73.4e6 if not record.reference else 36.7e6,)})
        for record in run.cases
    )
    head, body = columns(groups(replace(run, cases=cases))[0], scaled)
    assert [name.replace("\n", " ") for name in head[6:]] == ["GPU memory [MB]", "× fp32"]
    assert body[0][6:] == ("73.4", "1.00") and body[1][6:] == ("36.7", "0.500")
    lines = csv_file.render(replace(run, cases=cases)).splitlines()
    assert ",36700000,0.5," in lines[2]


def test_it_stands_in_every_format_and_fits_the_terminal() -> None:
    run = with_more()
    seen = terminal.render(run, colour=False)
    assert "images/s" in seen and max(map(len, seen.splitlines()[:40])) <= 200
    assert "| images/s batch 4 |" in markdown.render(run).replace("  ", " ").replace("  ", " ")
    lines = csv_file.render(run).splitlines()
    assert lines[0].endswith(
        "call_p50_s,call_p90_s,new_tokens,images_per_s_by_batch,energy_per_image_j,gpu_memory_bytes,gpu_memory_ratio,verdict,reason"
    )
    assert ",0.08,0.24,16,1: 12.5; 4: 25,3.5," in lines[1]


def test_what_was_not_timed_has_no_second_table() -> None:
    run = replace(make_run(), blocks=())
    assert all(columns(group, scaled)[1] == [] for group in groups(run))
    assert "first" not in terminal.render(run, colour=False)
