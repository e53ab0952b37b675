"""The plugin in real pytest processes on a project with a tiny model: outcomes, records, pytest-benchmark, bad input."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from load import busy
from project import PATIENCE, ROOT, Done, Project, suite_text, times

from vlmgate.cli import main
from vlmgate.record import read_run
from vlmgate.record.raw import read_raw
from vlmgate.spec import Change, Outcome, Question, Run, Verdict

VARIANTS = ["fp32", "int8-dynamic", "fp16-cuda", "slow", "idle", "pruned"]
INT8_LATENCY = "tiny/int8-dynamic/scenes and latency"
COLLECTED = 30  # six variants, five questions


@pytest.fixture(scope="session")
def second(project: Project, first: Done, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """``slow`` is now ten times as slow as when it was promoted, INT8 has a floor that it cannot reach, and -x stops at once.

    Where another program moved the placebo, which the suite says and does not judge, it is measured anew, twice at most.
    """
    folder, text = tmp_path_factory.mktemp("second"), suite_text(share=9.0, floor=1000.0)
    arguments = ["promote", first.folder, "--baselines", folder / "baselines", "--cases", "tiny/slow/*", "--force"]
    assert main([*map(str, arguments), "--suite", str(project.root / "benchmarks" / "suite.yaml")]) == 0
    suite = project.suite("slower.yaml", text)
    options = ["--suite", suite, "--baselines", folder / "baselines", "--blocks=3", "--rounds=2", "-x", "--benchmark-compare"]
    chosen = ["-k", "latency and (slow or int8-dynamic) or idle and size", f"--junitxml={folder / 'junit.xml'}"]
    if find_spec("pygal"):
        chosen.append(f"--benchmark-histogram={folder / 'histogram'}")
    for attempt in range(3):
        done = project.pytest("benchmarks", *options, *chosen, results=folder / f"results{attempt}")
        if not any(block.role == "retry" for block in done.run.blocks):
            break
    return done


@pytest.fixture(scope="session")
def only(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """--benchmark-only, one block: nothing noisy can be told from one block."""
    folder = tmp_path_factory.mktemp("only")
    options = ["--benchmark-only", "--blocks=1", "--rounds=1", "-v", f"--junitxml={folder / 'junit.xml'}"]
    return project.pytest("benchmarks", "-k", "tiny/int8-dynamic/scenes", *options, results=folder / "results")


@pytest.fixture(scope="session")
def disabled(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """--benchmark-disable, and quietly."""
    options = ["--benchmark-disable", "-q", "-rs", "-k", "(int8-dynamic or idle) and not memory"]
    return project.pytest("benchmarks", *options, results=tmp_path_factory.mktemp("disabled") / "results")


def words(done: Done) -> dict[str, str]:
    """Test id → the word that -v shows."""
    return dict(re.findall(r"::(test_\w+\[[^\]]+\]) ([A-Z]+)", done.out))


def cases(path: Path) -> dict[str, ElementTree.Element]:
    """Test id → its element in the JUnit file."""
    return {case.get("name", ""): case for case in ElementTree.parse(path).getroot().iter("testcase")}


def judged(run: Run) -> dict[tuple[str, str], Verdict]:
    return {(v.case.split("/")[1], v.metric): v for v in run.verdicts}


def workers(project: Project) -> list[psutil.Process]:
    """The live workers of this project, told by their cache folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if "vlmgate.worker" in process.cmdline() and process.environ().get("VLMGATE_CACHE") == str(project.root / "cache"):
                found.append(process)
        except psutil.Error:
            continue
    return found


# one run of everything


def test_one_item_a_case_and_question(first: Done) -> None:
    assert set(words(first)) == {f"test_{q}[tiny/{v}/scenes]" for q in Question for v in VARIANTS}


def test_outcomes_are_those_of_the_verdicts(first: Done) -> None:
    seen = words(first)
    assert seen["test_size[tiny/fp32/scenes]"] == seen["test_memory[tiny/int8-dynamic/scenes]"] == "PASSED"
    assert seen["test_quality[tiny/slow/scenes]"] == "PASSED"
    assert seen["test_size[tiny/fp16-cuda/scenes]"] == seen["test_latency[tiny/fp32/scenes]"] == "SKIPPED"
    failed = {name for name, word in seen.items() if word == "FAILED" and "latency" not in name}
    assert failed == {"test_size[tiny/idle/scenes]", "test_quality[tiny/pruned/scenes]"}


def test_a_failure_says_every_missed_line_in_a_sentence(first: Done) -> None:
    failure = cases(first.results.parent / "first.xml")["test_size[tiny/idle/scenes]"].find("failure")
    assert failure is not None and failure.text
    share, bits = failure.text.splitlines()
    mend = "list the largest tensors of the artefact, or change the line in suite.yaml and write down the reason"
    assert share == f"tiny/idle/scenes: low precision share 0 misses its floor of 0.3 against suite.yaml; {mend}"
    assert bits == f"tiny/idle/scenes: bits per weight 32 misses its limit of 9 against suite.yaml; {mend}"
    assert share in first.out and bits in first.out


def test_a_damaged_model_fails(first: Done) -> None:
    found = judged(first.run)["pruned", "agreement"]
    assert found.outcome is Outcome.FAIL and "misses its floor of 0.9" in found.sentence
    assert judged(first.run)["slow", "agreement"].outcome is Outcome.PASS


def test_status_and_junit_agree(first: Done) -> None:
    assert first.status == 1
    named = {"FAILED": "failure", "SKIPPED": "skipped", "UNRESOLVED": "skipped"}
    tags = {name: [child.tag for child in case if child.tag != "properties"] for name, case in _junit(first).items()}
    assert tags == {name: [named[word]] if word in named else [] for name, word in words(first).items()}


def _junit(first: Done) -> dict[str, ElementTree.Element]:
    return cases(first.results.parent / "first.xml")


def test_what_cannot_run_is_skipped_with_the_reason(first: Done) -> None:
    skipped = _junit(first)["test_size[tiny/fp16-cuda/scenes]"].find("skipped")
    assert skipped is not None and "needs an NVIDIA GPU" in skipped.get("message", "")
    assert "no baseline yet: promote a good run with `vlmgate promote" in judged(first.run)["slow", "time_per_caption"].sentence


def test_table_and_record_are_written(first: Done) -> None:
    assert sorted(path.name for path in first.folder.iterdir()) == ["comparison.csv", "comparison.md", "raw.csv.gz", "run.json"]
    assert first.run.status == "complete" and first.run.tier == "default" and len(first.run.blocks) == 2
    section = first.out.partition(" vlmgate =")[2]
    assert "gates decided" in section.splitlines()[1]
    assert f"record: {first.folder}" in section and "tiny on scenes" in section
    assert "FAIL       tiny/idle/scenes: low precision share 0" in section
    table = (first.folder / "comparison.md").read_text(encoding="utf-8")
    assert all(variant in table for variant in VARIANTS)


def test_progress_is_shown(first: Done) -> None:
    lines = [line for line in first.out.splitlines() if line.startswith("vlmgate: ")]
    assert any("block 2 of 2" in line for line in lines) and any("captioning 4 images" in line for line in lines)


# pytest-benchmark


def test_benchmark_json_has_the_times_of_the_record(first: Done) -> None:
    saved, record = times(first.results.parent / "first.json"), first.run
    timed = [variant for variant in VARIANTS if variant != "fp16-cuda"]
    assert saved.keys() == {f"test_latency[tiny/{variant}/scenes]" for variant in timed}
    for variant in timed:
        ours = sorted(t for block in record.blocks for image in block.times[variant] for t in image)
        assert len(ours) == 2 * 2 * 2
        assert saved[f"test_latency[tiny/{variant}/scenes]"] == pytest.approx(ours, rel=1e-9)


def test_benchmark_table_shows_the_cases(first: Done) -> None:
    table = first.out.partition("benchmark 'tiny': 5 tests")[2].partition("Legend:")[0]
    assert table.count("test_latency[tiny/") == 5


def test_extra_info_says_what_the_times_are(first: Done) -> None:
    data = json.loads((first.results.parent / "first.json").read_text(encoding="utf-8"))
    info = {one["name"]: one["extra_info"] for one in data["benchmarks"]}["test_latency[tiny/slow/scenes]"]
    assert info == {"case": "tiny/slow/scenes", "blocks": 2, "verdict": "skip", "run": str(first.folder)}


def test_autosave_and_compare(project: Project, second: Done) -> None:
    assert len(list((project.root / ".benchmarks").rglob("0001_*.json"))) == 1
    assert "Comparing against benchmarks from:" in second.out + second.err
    then, now = (re.search(rf"test_latency\[tiny/int8-dynamic/scenes\] \({word}", second.out) for word in ("0001_", "NOW"))
    assert then and now


@pytest.mark.skipif(not find_spec("pygal"), reason="pygal is not installed: pip install 'pytest-benchmark[histogram]'")
def test_histogram(second: Done) -> None:
    (picture,) = second.results.parent.glob("histogram*.svg")
    assert "tiny/int8-dynamic/scenes" in picture.read_text(encoding="utf-8")


def test_disabled_times_nothing_and_judges_the_rest(disabled: Done) -> None:
    assert disabled.status == 1 and not disabled.run.blocks
    found = judged(disabled.run)
    speed = found["int8-dynamic", "time_per_caption"]
    assert speed.outcome is Outcome.SKIP and "--benchmark-disable" in speed.sentence
    assert speed.sentence.partition("skipped: ")[2] in disabled.out
    assert found["int8-dynamic", "size"].outcome is Outcome.PASS
    assert found["idle", "low_precision_share"].outcome is Outcome.FAIL
    assert len({record.id: record for record in disabled.run.cases}["tiny/int8-dynamic/scenes"].captions) == 4


def test_quiet_is_silent_of_progress(disabled: Done) -> None:
    assert "vlmgate: " not in disabled.out
    assert "gates decided" in disabled.out  # the result is no progress


def test_deselected_cases_are_not_measured(disabled: Done, second: Done) -> None:
    assert {record.variant for record in disabled.run.cases} == {"fp32", "int8-dynamic", "idle"}
    assert not any(record.memory for record in disabled.run.cases)
    assert {record.variant for record in second.run.cases} == {"fp32", "int8-dynamic", "slow", "idle"}
    assert not any(record.memory or record.captions for record in second.run.cases)
    assert all(block.times.keys() == {"fp32", "slow", "int8-dynamic", "placebo"} for block in second.run.blocks)
    assert {v.case for v in second.run.verdicts} == {f"tiny/{name}/scenes" for name in ("int8-dynamic", "slow", "idle")}


def test_only_lists_what_is_not_evaluated_and_does_not_measure_it(only: Done) -> None:
    (line,) = [line for line in only.out.splitlines() if line.startswith("not evaluated")]
    assert all(f"{question} of tiny/int8-dynamic/scenes" in line for question in ("memory", "size", "quality"))
    assert "latency" not in line
    assert not any(record.captions or record.memory for record in only.run.cases)
    (block,) = only.run.blocks
    assert {len(rounds) for images in block.times.values() for rounds in images} == {1}, "--rounds=1, and not the suite's two"
    assert {v.question for v in only.run.verdicts} == {Question.LATENCY}


def test_skipped_benchmarks_are_listed_too(project: Project, tmp_path: Path) -> None:
    chosen = ["-k", "tiny/int8-dynamic/scenes and (latency or size)"]
    done = project.pytest("benchmarks", "--benchmark-skip", *chosen, results=tmp_path / "r")
    assert done.status == 0 and "1 passed, 1 skipped" in done.out
    assert "not evaluated (deselected by pytest-benchmark's options): latency of tiny/int8-dynamic/scenes" in done.out
    assert not done.run.blocks and {v.question for v in done.run.verdicts} == {Question.SIZE}


def test_nothing_is_measured_when_nothing_is_evaluated(project: Project, tmp_path: Path) -> None:
    done = project.pytest("benchmarks", "--benchmark-only", "-k", "int8-dynamic and size", results=tmp_path / "r")
    assert done.status == 0 and not (tmp_path / "r").exists()
    assert "not evaluated (deselected by pytest-benchmark's options): size of tiny/int8-dynamic/scenes" in done.out


# unresolved


def test_unresolved_has_its_own_word_and_does_not_fail(only: Done) -> None:
    assert only.status == 0
    assert words(only)["test_latency[tiny/int8-dynamic/scenes]"] == "UNRESOLVED"
    assert "1 unresolved" in only.out.splitlines()[-1]
    case = cases(only.results.parent / "junit.xml")["test_latency[tiny/int8-dynamic/scenes]"].find("skipped")
    sentence = judged(only.run)["int8-dynamic", "time_per_caption"].sentence
    assert case is not None and case.get("message") == sentence and "cannot be told from its floor" in sentence


def test_strict_makes_unresolved_fail(project: Project, tmp_path: Path) -> None:
    options = ["--gate-strict", "--time-budget=0.001", "--rounds=1", "-k", INT8_LATENCY]
    done = project.pytest("benchmarks", *options, results=tmp_path / "results")
    assert done.status == 3 and "--gate-strict: what cannot be told is a failure" in done.out
    assert judged(done.run)["int8-dynamic", "time_per_caption"].outcome is Outcome.UNRESOLVED
    assert any("the time budget of 0.001 s ended" in note for note in done.run.notes) and len(done.run.blocks) <= 1


# exit statuses

MADE_UP = """
from sessions import Made

from vlmgate.running import state

state.run_job = Made({"fp32": 1.0, "int8-dynamic": INT8, "placebo": PLACEBO})  # no worker: the times are made up
"""


@pytest.mark.parametrize(
    ("status", "outcome", "int8", "placebo"),
    [
        (1, Outcome.FAIL, 2.0, 1.0),
        (3, Outcome.UNRESOLVED, 1.0, 1.0),
        (6, Outcome.UNRESOLVED, 0.5, 1.3),
    ],
)
def test_pytest_and_judge_end_alike_on_the_same_run(
    project: Project, tmp_path: Path, status: int, outcome: Outcome, int8: float, placebo: float
) -> None:
    (tmp_path / "made_up.py").write_text(MADE_UP.replace("INT8", str(int8)).replace("PLACEBO", str(placebo)), encoding="utf-8")
    suite = project.suite("statuses.yaml", suite_text(floor=1.0))
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", tmp_path)))
    options = ["-p", "made_up", "--suite", suite, "--gate-strict", "-k", INT8_LATENCY]
    done = project.pytest("benchmarks", *options, results=tmp_path / "r", PYTHONPATH=path)
    found = judged(done.run)["int8-dynamic", "time_per_caption"]
    assert (done.status, found.outcome, found.contaminated) == (status, outcome, status == 6), done.out + done.err
    again = project.vlmgate("judge", done.folder, "--suite", suite, "--strict")
    assert again.status == status and found.sentence in again.out, again.out + again.err


# red when it must be


def test_a_slow_down_after_promote_is_red(second: Done) -> None:
    found = judged(second.run)["slow", "time_per_caption"]
    assert found.outcome is Outcome.FAIL and found.change is Change.REGRESSED
    assert "misses its tolerance of 10.0% against the baseline promoted by force from" in found.sentence


def test_a_floor_too_high_is_red(second: Done) -> None:
    found = judged(second.run)["int8-dynamic", "time_per_caption"]
    assert found.outcome is Outcome.FAIL and "misses its floor of 1e+03× against fp32 in this run" in found.sentence


def test_stopping_at_the_first_failure_keeps_record_and_table(second: Done) -> None:
    assert second.status == 1 and "stopping after 1 failures" in second.out
    assert len(cases(second.results.parent / "junit.xml")) == 1
    assert second.run.status == "complete" and [block.role for block in second.run.blocks] == ["look"] * 3 + ["confirm"] * 6
    assert judged(second.run)["idle", "low_precision_share"].outcome is Outcome.FAIL  # judged, though its item never ran
    assert "tiny on scenes" in second.out and (second.folder / "comparison.md").is_file()


# Ctrl-C

CHOSEN = ["-k", "int8-dynamic and (latency or size or memory)", "--blocks=2", "--rounds=300"]


@pytest.fixture
def running(project: Project, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Two blocks of some seconds each, in a process that Ctrl-C reaches."""
    command = [sys.executable, "-m", "pytest", "benchmarks", *CHOSEN, "--results", tmp_path / "r"]
    (tmp_path / "tmp").mkdir()

    def interruptible() -> None:  # a shell's background job ignores Ctrl-C, and passes that on
        signal.signal(signal.SIGINT, signal.default_int_handler)

    with subprocess.Popen(
        [str(word) for word in command],
        cwd=project.root,
        env=project.environment(PYTHONUNBUFFERED="1", TMPDIR=str(tmp_path / "tmp")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=interruptible,
    ) as process:
        yield process
        process.kill()


def read_until(running: "subprocess.Popen[str]", words: str) -> None:
    assert running.stdout
    before = ""
    while words not in before:
        line = running.stdout.readline()
        assert line, before
        before += line


def test_an_interrupt_keeps_what_was_measured_and_resume_goes_on(
    running: "subprocess.Popen[str]", project: Project, tmp_path: Path
) -> None:
    shared = set(Path("/dev/shm").iterdir())
    read_until(running, "block 2 of 2")
    (folder,) = (tmp_path / "r").iterdir()
    (kept,) = read_run(folder).blocks  # written down already: a kill -9 would have left it
    _wait_for(lambda: workers(project))
    time.sleep(1.1 * kept.startup)  # it times by now
    load, began = busy(), time.monotonic()
    running.send_signal(signal.SIGINT)
    after = running.communicate(timeout=PATIENCE)[0]
    took, load = time.monotonic() - began, max(load, busy())
    print(f"stopped in {took:.2f} s, the machine {load:.2f} times as slow as a free one")
    assert took < 2 * load, "2 s, on a machine that does nothing else"
    assert running.returncode == pytest.ExitCode.INTERRUPTED
    _wait_for(lambda: not workers(project))
    assert not list((tmp_path / "tmp").glob("vlmgate-*")) and not list((project.root / "cache").rglob("*.partial"))
    assert set(Path("/dev/shm").iterdir()) <= shared
    run = read_run(folder)
    assert run.status == "interrupted" and run.blocks == (kept,)
    assert judged(run)["int8-dynamic", "size"].outcome is Outcome.PASS
    assert "The run is interrupted" in after and "tiny on scenes" in after and f"record: {folder}" in after
    assert (folder / "comparison.md").is_file() and (folder / "comparison.csv").is_file() and (folder / "raw.csv.gz").is_file()

    done = project.pytest("benchmarks", *CHOSEN, "--results", tmp_path / "r", "--resume=latest")
    assert done.status in (0, 1), done.out + done.err
    (new,) = (path for path in (tmp_path / "r").iterdir() if path != folder)
    whole = read_run(new)
    assert whole.status == "complete" and [block.index for block in whole.blocks if block.role == "look"] == [0, 1]
    assert whole.blocks[0] == kept and f"resumed from {folder.name}: 1 blocks" in "".join(whole.notes)
    assert f"resumed from {folder.name}" in done.out and "memory of int8-dynamic" not in done.out
    memory = [{record.id: record.memory for record in each.cases} for each in (run, whole)]
    assert memory[0] == memory[1] and all(memory[0].values())
    assert {call.worker for call in read_raw(new)} == set(range(len(whole.blocks)))


def test_resuming_with_other_settings_is_refused_and_leaves_no_run(first: Done, project: Project, tmp_path: Path) -> None:
    chosen = ["-k", "tiny/int8-dynamic/scenes and size", "--rounds=7", f"--resume={first.folder}"]
    done = project.pytest("benchmarks", *chosen, results=tmp_path / "r")
    assert done.status == pytest.ExitCode.USAGE_ERROR and "Traceback" not in done.out + done.err
    assert "cannot be resumed: tiny/fp32/scenes: rounds: 2 against 7" in done.out + done.err
    assert not list((tmp_path / "r").iterdir())


# progress on a terminal


def test_a_terminal_gets_a_live_line_that_is_overwritten(project: Project, tmp_path: Path) -> None:
    parent, child = pty.openpty()
    command = ["-m", "pytest", "benchmarks", "-k", "tiny/slow/scenes and latency", "--blocks=1", "--rounds=100"]
    with subprocess.Popen(
        [sys.executable, *command, "--results", str(tmp_path / "r")],
        cwd=project.root,
        env=project.environment(TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=child,
    ) as process:
        os.close(child)
        shown = b""
        with suppress(OSError):  # the terminal is closed from the other side
            while data := os.read(parent, 65536):
                shown += data
    os.close(parent)
    assert process.returncode in (0, 1)
    live = [line for line in shown.decode().split("\r") if line.startswith("vlmgate: tiny/scenes: block 1 of 1, ")]
    assert len(live) >= 2 and all("\n" not in line for line in live)  # each overwrites the one before
    assert any(re.search(r"(timing|warming|loading) (fp32|slow|placebo)", line) for line in live)
    assert "variants and the placebo" not in shown.decode()  # that is the line of a log


def _wait_for(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


# loading


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that makes the package look installed, with its entry point."""
    folder = tmp_path_factory.mktemp("site")
    information = folder / "vlmgate-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: vlmgate\nVersion: 0.1.0\n", encoding="utf-8")
    (information / "entry_points.txt").write_text("[pytest11]\nvlmgate.plugin = vlmgate.plugin\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("here", [False, True], ids=["conftest", "installed"])
@pytest.mark.parametrize(
    ("mode", "start"), [("prepend", "."), ("importlib", "benchmarks"), ("importlib", "elsewhere"), ("prepend", "elsewhere")]
)
def test_it_loads_once(project: Project, installed: Path, tmp_path: Path, here: bool, mode: str, start: str) -> None:
    cwd = tmp_path if start == "elsewhere" else project.root / start
    targets: dict[str, list[object]] = {".": ["benchmarks"], "benchmarks": [], "elsewhere": [project.root / "benchmarks"]}
    path = f"{installed}:{ROOT}" if here else str(ROOT)
    done = project.pytest(
        *targets[start], "--collect-only", f"--import-mode={mode}", results=tmp_path / "r", cwd=cwd, PYTHONPATH=path
    )
    assert done.status == 0, done.out + done.err
    assert f"{COLLECTED} tests collected" in done.out
    listed = "vlmgate-0.1.0" in done.out  # pytest lists plugins with an entry point
    assert listed is (here or bool(entry_points(group="pytest11", name="vlmgate.plugin")))
    assert not (tmp_path / "r").exists()


def test_collecting_starts_no_worker(project: Project, tmp_path: Path) -> None:
    shutil.copytree(project.root, tmp_path / "copy", ignore=shutil.ignore_patterns("cache", "results", ".benchmarks"))
    done = replace(project, root=tmp_path / "copy").pytest("benchmarks", "--collect-only", "-q")
    assert done.status == 0 and "test_latency[tiny/int8-dynamic/scenes]" in done.out
    assert not (tmp_path / "copy" / "cache").exists() and not (tmp_path / "copy" / "results").exists()


@pytest.mark.parametrize("here", [False, True], ids=["conftest", "installed"])
def test_it_is_inert_elsewhere(installed: Path, project: Project, tmp_path: Path, here: bool) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_mine.py").write_text("def test_mine():\n    pass\n")
    if not here:
        shutil.copy(ROOT / "conftest.py", tmp_path)
    path = f"{installed}:{ROOT}" if here else str(ROOT)
    parallel = ["-n", "2"] if find_spec("xdist") else []
    done = project.pytest("tests/", *parallel, cwd=tmp_path, PYTHONPATH=path)
    assert done.status == 0 and "1 passed" in done.out, done.out + done.err
    assert not re.search(r"=+ vlmgate =+", done.out) and not (tmp_path / "results").exists()


# bad input


@pytest.mark.skipif(not find_spec("xdist"), reason="pytest-xdist is not installed: pip install pytest-xdist")
@pytest.mark.parametrize("options", [["-n", "2"], ["--dist=load", "--tx=2*popen"]])
def test_workers_side_by_side_are_refused(project: Project, tmp_path: Path, options: list[str]) -> None:
    refused(
        project.pytest("benchmarks", *options, results=tmp_path / "r"),
        "cases that run side by side (-n) would disturb each other",
    )


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--tier=defualt", "suite.yaml: unknown tier 'defualt'; did you mean default? Known: default"),
        ("--suite=missing.yaml", "missing.yaml: cannot be read (No such file or directory)"),
        ("--model-path=tiny", "--model-path tiny: expected NAME=DIR with NAME one of scene-blip, blip-base, blip-large"),
        ("--model-path=scene-bilp=x", "--model-path: unknown model 'scene-bilp'; did you mean scene-blip?"),
        ("--blocks=0", "argument --blocks: expected a whole number above zero, got '0'"),
        ("--rounds=1.5", "argument --rounds: expected a whole number above zero, got '1.5'"),
        ("--time-budget=-1", "argument --time-budget: expected a number above zero, got '-1'"),
        ("--patience=nan", "argument --patience: expected a number above zero, got 'nan'"),
    ],
)
def test_bad_options_are_usage_errors(project: Project, tmp_path: Path, option: str, sentence: str) -> None:
    refused(project.pytest("benchmarks", option, results=tmp_path / "r"), sentence)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("tiers:", "tiers: [", "bad.yaml:9: cannot be read as YAML"),
        ("int8-dynamic, fp16", "int8-dinamic, fp16", "bad.yaml:11: tiers.default.cases[0].variants[1]: unknown variant"),
        ("[tiny.py]", "[nobody.py]", "bad.yaml:2: plugins[0]: plugin 'nobody.py' cannot be loaded"),
    ],
)
def test_a_bad_suite_is_named_with_its_line(project: Project, tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in suite_text()
    path = project.suite("bad.yaml", suite_text().replace(old, new))
    done = project.pytest("benchmarks", "--suite", path, results=tmp_path / "r")
    refused(done, sentence)
    if "variant" in sentence:
        assert "did you mean int8-dynamic, " in done.err and "`vlmgate list`" in done.err


def test_results_that_cannot_be_written(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(project.pytest("benchmarks", results=tmp_path / "file" / "r"), "cannot make a folder for the run in")
    assert (tmp_path / "file").read_text() == "mine"


def test_baselines_that_are_damaged(project: Project, first: Done, tmp_path: Path) -> None:
    folder = tmp_path / first.run.environment.name / "tiny" / "slow"
    folder.mkdir(parents=True)
    (folder / "scenes.json").write_text("{")
    refused(project.pytest("benchmarks", "--baselines", tmp_path, results=tmp_path / "r"), "scenes.json")


def refused(done: Done, sentence: str) -> None:
    """A usage error in one sentence; nothing measured, nothing written."""
    assert done.status == pytest.ExitCode.USAGE_ERROR, done.out + done.err
    assert sentence in done.err and "Traceback" not in done.out + done.err
    assert "vlmgate: " not in done.out and not done.results.exists()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: shutil.rmtree(folder), "scenes/captions.json does not exist"),
        (lambda folder: _cut(folder / "images" / "000001.jpg"), "000001.jpg is not the file"),
    ],
    ids=["missing", "truncated"],
)
def test_a_bad_dataset_is_one_sentence(project: Project, tmp_path: Path, spoil: Callable[[Path], None], sentence: str) -> None:
    shutil.copytree(project.root, tmp_path / "copy", ignore=shutil.ignore_patterns("cache", "results", ".benchmarks"))
    spoil(tmp_path / "copy" / "fixtures" / "scenes")
    done = replace(project, root=tmp_path / "copy").pytest("benchmarks")
    assert done.status == pytest.ExitCode.USAGE_ERROR and sentence in done.err
    assert "Traceback" not in done.out + done.err and not list(done.results.glob("*"))


def _cut(image: Path) -> None:
    image.write_bytes(image.read_bytes()[:2000])


FIXTURE = """\
schema: 1
settings: {images: 2, timed_images: 1, threads: 1, new_tokens: 4, max_tokens: 8}
tiers:
  default:
    cases: [{models: [scene-blip], variants: [fp32], datasets: [SET], questions: [QUESTION]}]
thresholds:
  - {cases: "*", metric: METRIC, against: limit, at_most: 1000000, reason: it must stay small}
"""


def _fixture(data: str, question: str, metric: str) -> str:
    return FIXTURE.replace("SET", data).replace("QUESTION", question).replace("METRIC", metric)


def test_a_missing_checkpoint_fails_in_one_sentence(project: Project, tmp_path: Path) -> None:
    suite = project.suite("fixture.yaml", _fixture("scenes", "size", "parameters"))
    options = ["--suite", suite, f"--model-path=scene-blip={tmp_path / 'nothing'}", f"--junitxml={tmp_path / 'j.xml'}"]
    done = project.pytest("benchmarks", *options, results=tmp_path / "r")
    assert done.status == 1 and done.run.status == "complete"
    failure = cases(tmp_path / "j.xml")["test_size[scene-blip/fp32/scenes]"].find("failure")
    assert failure is not None and failure.text
    (sentence,) = failure.text.splitlines()
    assert f"no checkpoint folder {tmp_path / 'nothing'}; expected a folder in save_pretrained layout" in sentence


def test_a_truncated_image_of_a_users_folder_fails_in_one_sentence(
    project: Project, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """Without a manifest only opening the image shows it; the weights come by --model-path."""
    data = project.root / "benchmarks" / "mine"
    shutil.copytree(project.root / "fixtures" / "scenes", data)
    (data / "manifest.json").unlink()
    _cut(data / "images" / "000001.jpg")
    suite = project.suite("mine.yaml", _fixture("mine", "quality", "degenerate_share"))
    options = ["--suite", suite, f"--model-path=scene-blip={tiny_checkpoint}"]
    done = project.pytest("benchmarks", *options, results=tmp_path / "r")
    assert done.status == 1 and "Traceback" not in done.out
    (sentence,) = {line for line in done.out.splitlines() if line.startswith("scene-blip/fp32/mine: ")}
    assert "000001.jpg is truncated or damaged" in sentence and not done.run.cases[0].captions
