"""Commands on the record of a real run of a tiny model."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from judging import blocks, confirming, record, run_of, statistics, totals
from project import Done, Project

from vlmgate.datasets import DATASETS
from vlmgate.metrics import METRICS
from vlmgate.models import MODELS
from vlmgate.record import load_baselines, promote, write_run
from vlmgate.running.stored import block_values, rejudged
from vlmgate.spec import Outcome
from vlmgate.suite import load_suite
from vlmgate.variants import VARIANTS

Run = Callable[..., tuple[int, str, str]]


def test_judge_gives_the_verdicts_of_the_run(vlmgate: Run, first: Done) -> None:
    status, out, _ = vlmgate("judge")
    assert status == 1
    table = first.out.partition(" vlmgate =")[2].partition("\n")[2].partition("\ntime: ")[0]
    assert table and out.startswith(table)
    assert f"record: {first.folder.relative_to(first.results.parent)}" in out


def test_judge_with_other_lines(vlmgate: Run, project: Project, first: Done, lenient: Path) -> None:
    before = (first.folder / "run.json").read_bytes()
    status, out, _ = vlmgate("judge", first.folder.name, "--suite", lenient)
    assert status == 0 and "FAIL" not in out
    suite = project.suite("steep.yaml", lenient.read_text().replace("at_most: 1000000", "at_most: 10"))
    status, out, _ = vlmgate("judge", first.folder, "--suite", suite)
    assert status == 1 and "FAIL       tiny/fp32/scenes: parameters" in out and "misses its limit of 10" in out
    assert (first.folder / "run.json").read_bytes() == before  # judging again changes no record


def test_judge_strictly(vlmgate: Run, project: Project, first: Done, lenient: Path) -> None:
    """With the first block alone the speed-up cannot be told from any floor."""
    data = json.loads((first.folder / "run.json").read_text(encoding="utf-8"))
    data["blocks"] = data["blocks"][:1]
    folder = project.root / "one-block"
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(data), encoding="utf-8")
    line = '  - {cases: "tiny/int8*", metric: time_per_caption, against: reference, floor: 1.1, reason: faster}\n'
    suite = project.suite("speed.yaml", lenient.read_text() + line)
    status, out, _ = vlmgate("judge", folder, "--suite", suite)
    assert status == 0 and "UNRESOLVED tiny/int8-dynamic/scenes" in out
    assert vlmgate("judge", folder, "--suite", suite, "--strict")[0] == 3
    assert vlmgate("judge", first.folder, "--suite", lenient, "--strict")[0] == 0


def test_an_unknown_run_names_the_nearest(vlmgate: Run, first: Done) -> None:
    name = first.folder.name
    for command in ("judge", "report", "promote"):
        status, out, err = vlmgate(command, name[:-1])
        assert (status, out) == (4, "")
        assert err == f"vlmgate: no run '{name[:-1]}' in results; did you mean {name}? Known: {name}\n"
    status, _, err = vlmgate("judge", "latest", "--results", "none")
    assert status == 4 and "there is none yet: make one with `pytest benchmarks/`" in err


@pytest.mark.parametrize("spoiled", ["", "{", '{"schema": 1}', '{"schema": 99}'])
def test_a_damaged_record_is_one_sentence(vlmgate: Run, tmp_path: Path, spoiled: str) -> None:
    (tmp_path / "run.json").write_text(spoiled)
    status, out, err = vlmgate("judge", tmp_path)
    assert (status, out) == (4, "") and str(tmp_path / "run.json") in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ["judge"],
        ["report"],
        ["env"],
        ["promote", "--force", "--cases", "tiny/slow/*", "--baselines", "light"],
        ["compare", "latest", "latest"],
        ["results", "latest", "--out", "page.md"],
    ],
)
def test_no_torch_is_needed(project: Project, first: Done, command: list[str]) -> None:
    code = (
        "import sys; from vlmgate.cli import main; main(sys.argv[1:]); "
        "print([name for name in ('torch', 'transformers') if name in sys.modules], file=sys.stderr)"
    )
    done = project.python("-c", code, *command)
    assert done.status == 0 and done.out and done.err == "[]\n"


TO_THE_LAST_DIGIT = """
import sys
from pathlib import Path

from vlmgate.cli import main, records
from vlmgate.record import write_run

records.terminal.render = lambda run, **more: str(write_run(run, Path("again")))
status = main(sys.argv[1:])
assert not {"torch", "transformers"} & set(sys.modules)
sys.exit(status)
"""
LINES = """\
schema: 1
tiers: {default: {cases: [{models: [scene-blip], variants: [fp32, int8-dynamic], datasets: [scenes]}]}}
thresholds:
  - {cases: "*/int8-dynamic/*", metric: time_per_caption, against: reference, floor: 1.3, reason: holds}
  - {cases: "*/int8-dynamic/*", metric: time_per_caption, against: baseline, tolerance: 3%, reason: cannot be told}
  - {cases: "*/int8-dynamic/*", metric: time_per_caption, against: limit, at_most: 0.05, reason: fails and is confirmed}
  - {cases: "*/int8-dynamic/*", metric: energy_per_caption, against: baseline, tolerance: 3%, reason: cannot be told}
  - {cases: "*/int8-dynamic/*", metric: peak_memory, against: reference, floor: 0.4, reason: holds}
  - {cases: "*/int8-dynamic/*", metric: size, against: baseline, tolerance: 1%, reason: holds}
  - {cases: "*/int8-dynamic/*", metric: bleu_4, against: reference, floor: 0.95, reason: fails and is waived}
  - {cases: "*/int8-dynamic/*", metric: cider, against: reference, floor: 0.1, reason: holds}
waivers:
  - {cases: "*/int8-dynamic/*", metric: bleu_4, expected: fail, until: 2025-12-31, reason: known}
"""


def test_without_torch_the_verdicts_are_those_stored_to_the_last_digit(tmp_path: Path) -> None:
    """A made-up run with a promoted baseline and a waiver: judged here beside torch, and again by the command without."""
    import torch  # noqa: F401

    place = Project(tmp_path)
    (tmp_path / "benchmarks").mkdir()
    suite = load_suite(place.suite("suite.yaml", LINES), MODELS, VARIANTS, DATASETS, METRICS)
    worse, int8 = statistics(hits=5), "scene-blip/int8-dynamic/scenes"
    small = record("int8", id=int8, reference="m/fp32/d", quality=worse, scores=totals(worse))
    before, now = (
        run_of(record("fp32"), small, timed=timed) for timed in (blocks(1.6, 24), (*blocks(1.5), *confirming(blocks(1.45))))
    )
    promote(before, tmp_path / "baselines", cases=None, reason="first", force=True, block_values=block_values(before))
    stored = rejudged(now, suite, load_baselines(tmp_path / "baselines", now.environment))
    said = [(verdict.metric, verdict.against.value, verdict.outcome.value) for verdict in stored.verdicts]
    assert {outcome for _, _, outcome in said} == {"pass", "fail", "unresolved", "waived"}, said
    assert [v.confirm for v in stored.verdicts if v.outcome is Outcome.FAIL] == ["confirmed"]
    path = write_run(stored, tmp_path / "results" / stored.name)
    done = place.python("-c", TO_THE_LAST_DIGIT, "judge")
    assert done.status == 1, done.out + done.err
    first, again = (json.loads(each.read_text())["verdicts"] for each in (path, tmp_path / "again" / "run.json"))
    assert again == first and len(first) == len(said) >= 8


# report


def test_report_writes_the_tables_again(vlmgate: Run, first: Done) -> None:
    tables = [first.folder / "comparison.md", first.folder / "comparison.csv"]
    before = [path.read_bytes() for path in tables]
    for path in tables:
        path.unlink()
    status, out, _ = vlmgate("report", first.folder.name)
    assert status == 0 and out.split() == [
        f"results/{first.folder.name}/{name}" for name in ("run.json", *(p.name for p in tables))
    ]
    assert [path.read_bytes() for path in tables] == before


# compare


def test_compare_shows_two_runs_case_by_case(vlmgate: Run, first: Done) -> None:
    status, out, _ = vlmgate("compare", first.folder.name, "latest")
    assert status == 0 and out.startswith(f"A  {first.run.name} (default")
    assert "nothing that was recorded has changed" in out
    (slow,) = (line for line in out.splitlines() if line.startswith("tiny/slow/scenes"))
    assert " 1.000 (" in slow and "0 of 4" in slow
    assert vlmgate("compare", "nowhere")[0] == 4


# results


def test_results_writes_one_page_of_every_variant(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    target = tmp_path / "docs" / "page.md"
    status, out, _ = vlmgate("results", first.folder.name, "--out", target)
    assert (status, out) == (0, f"{target}\n")
    page = target.read_text(encoding="utf-8")
    assert all(f"| {variant} " in page for variant in ("fp32", "int8-dynamic", "slow", "idle", "pruned"))
    assert "- fp16-cuda: " in page and f"`vlmgate results {first.folder.name}`" in page
    assert f"`{first.run.command}`" in page and first.run.command.startswith("pytest ")
    assert vlmgate("results", "nowhere")[0] == 4


def test_results_say_failed_by_the_lines_of_today(
    vlmgate: Run, project: Project, first: Done, lenient: Path, tmp_path: Path
) -> None:
    """Not by those of the day of the run, which may have been replaced since."""
    steep = project.suite("steeper.yaml", lenient.read_text().replace("at_most: 1000000", "at_most: 10"))
    pages = {}
    for suite in (lenient, steep):
        assert vlmgate("results", first.folder, "--suite", suite, "--out", tmp_path / "page.md")[0] == 0
        pages[suite] = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "misses its limit of 10" in pages[steep] and "misses its limit" not in pages[lenient]
