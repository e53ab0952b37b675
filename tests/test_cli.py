"""The command line on the record of a real run of a tiny model; the bodies of commands run in this process, models in workers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from project import Done, Project, first_run, shared_project, suite_text

from vlmgate.cli import main
from vlmgate.record import load_baselines
from vlmgate.spec import Outcome

COMMANDS = ["list", "caption", "judge", "report", "promote", "env"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Project:
    return shared_project(tmp_path_factory.getbasetemp(), tiny_checkpoint)


@pytest.fixture(scope="session")
def first(project: Project) -> Done:
    return first_run(project)


@pytest.fixture
def vlmgate(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command at the root of the project: status, what it printed, what it complained of."""
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def lenient(project: Project) -> Path:
    """A suite whose lines all hold."""
    head = suite_text().partition("thresholds:")[0]
    line = '  - {cases: "tiny/*", metric: parameters, against: limit, at_most: 1000000, reason: small}\n'
    return project.suite("lenient.yaml", f"{head}thresholds:\n{line}")


# help and usage


def test_help_names_every_command(vlmgate: Run) -> None:
    status, out, _ = vlmgate("--help")
    assert status == 0 and all(f"    {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(vlmgate: Run, name: str) -> None:
    status, out, _ = vlmgate(name, "--help")
    assert status == 0 and out.startswith(f"usage: vlmgate {name}") and "--suite FILE" in out


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["caption"], ["env", "--threads=0"], ["caption", "x", "--max-tokens=-1"]]
)
def test_bad_usage(vlmgate: Run, arguments: list[str]) -> None:
    status, out, err = vlmgate(*arguments)
    assert status == 2 and not out and "usage: vlmgate" in err


def test_it_runs_as_a_module(project: Project) -> None:
    done = project.vlmgate("env")
    assert done.status == 0 and "isa" in done.out


@pytest.mark.parametrize("command", [["list"], ["judge"], ["caption", "fixtures/scenes/images/000000.jpg"]])
def test_a_suite_that_is_not_there(vlmgate: Run, command: list[str]) -> None:
    status, out, err = vlmgate(*command, "--suite", "nowhere.yaml")
    assert (status, out) == (4, "")
    assert err == "vlmgate: nowhere.yaml: cannot be read (No such file or directory), expected a suite file such as suite.yaml\n"


# list and env


def test_list_shows_what_is_there_and_what_would_be_skipped(vlmgate: Run) -> None:
    status, out, _ = vlmgate("list")
    assert status == 0
    rows = {line.split()[0]: line for line in out.partition("\nTier")[0].splitlines() if line.strip()}
    assert rows["tiny"].split() == ["tiny", "local"] and "fixture" in rows["scene-blip"]
    assert rows["int8-dynamic"].endswith("runs here") and rows["slow"].endswith("runs here")
    assert "skipped here: fp16-cuda needs an NVIDIA GPU with CUDA" in rows["fp16-cuda"]
    assert "scenes:N" in rows
    assert "Tier default: every outcome" in out
    assert "tiny on scenes: fp32 (reference), int8-dynamic, fp16-cuda (skipped here), slow, idle, pruned" in out


def test_env_prints_the_name_and_the_baselines(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    environment = first.run.environment
    status, out, _ = vlmgate("env", "--threads", "1", "--baselines", tmp_path)
    assert status == 0 and environment.name in out.splitlines()[0]
    assert f"0 baselines for this environment in {tmp_path}" in out
    vlmgate("promote", "latest", "--baselines", tmp_path, "--cases", "tiny/slow/*")
    assert "1 baselines for this environment" in vlmgate("env", "--threads", "1", "--baselines", tmp_path)[1]
    other = vlmgate("env", "--threads", "2", "--baselines", tmp_path)[1]
    assert "0 baselines" in other and f"{environment.name} differs: " in other and "threads: 1 against 2" in other


# caption


def test_caption_prints_caption_seconds_and_speed_up(vlmgate: Run, project: Project) -> None:
    image = project.root / "fixtures" / "scenes" / "images" / "000000.jpg"
    options = ["--model", "tiny", "--variants", "slow", "fp16-cuda", "--threads=1", "--max-tokens=6", "--new-tokens=4"]
    status, out, err = vlmgate("caption", image, *options)
    assert status == 0 and err.startswith("vlmgate: fp16-cuda skipped: fp16-cuda needs an NVIDIA GPU with CUDA")
    head, columns, _, *rows = out.splitlines()
    assert head == str(image) and columns.split() == ["variant", "caption", "time", "[s]", "for", "4", "tokens", "speed-up"]
    cells = {row.split()[0]: row.split()[1:] for row in rows if row}
    assert cells.keys() == {"fp32", "slow"}
    for words in cells.values():
        assert 1 <= len(words[:-2]) <= 6 and float(words[-2]) > 0 and words[-1].endswith("×")
    assert cells["fp32"][-1] == "1.00×" and cells["fp32"][:-2] == cells["slow"][:-2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("cut", "is truncated or damaged"),
        (b"", "is empty (0 bytes); expected an image"),
        (b"some words", "is not an image, or its header is damaged"),
        (None, "does not exist; expected an image file"),
    ],
    ids=["truncated", "empty", "text", "missing"],
)
def test_a_bad_image_is_one_sentence(vlmgate: Run, project: Project, tmp_path: Path, content: bytes | str, sentence: str) -> None:
    good, bad = project.root / "fixtures" / "scenes" / "images" / "000000.jpg", tmp_path / "bad.jpg"
    if content is not None:
        bad.write_bytes(content if isinstance(content, bytes) else good.read_bytes()[:2000])
    status, out, err = vlmgate("caption", good, bad, "--model", "tiny")
    assert (status, out) == (4, "")
    assert err.startswith(f"vlmgate: {bad} {sentence}") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "tyni"], "unknown model 'tyni', known: blip-base, blip-large, scene-blip, tiny; the nearest is 'tiny'"),
        (["--model", "tiny", "--variants", "int8"], "unknown variant 'int8', known: "),
    ],
)
def test_unknown_names_of_caption(vlmgate: Run, options: list[str], sentence: str) -> None:
    status, out, err = vlmgate("caption", "fixtures/scenes/images/000000.jpg", *options)
    assert (status, out) == (4, "") and sentence in err and err.count("\n") == 1


def test_a_missing_checkpoint_is_one_sentence(vlmgate: Run, tmp_path: Path) -> None:
    image = "fixtures/scenes/images/000000.jpg"
    status, out, err = vlmgate("caption", image, "--model-path", tmp_path / "nothing", "--variants", "fp32")
    assert (status, out) == (4, "")
    where = f"scene-blip: no checkpoint folder {tmp_path / 'nothing'}"
    assert err == f"vlmgate: {where}; expected a folder in save_pretrained layout (config.json, *.safetensors)\n"


# judge


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
        assert (status, out) == (4, "") and err == f"vlmgate: no run '{name[:-1]}' in results; known are {name}\n"
    status, _, err = vlmgate("judge", "latest", "--results", "none")
    assert status == 4 and "there is none yet: make one with `pytest benchmarks/`" in err


@pytest.mark.parametrize("spoiled", ["", "{", '{"schema": 1}', '{"schema": 99}'])
def test_a_damaged_record_is_one_sentence(vlmgate: Run, tmp_path: Path, spoiled: str) -> None:
    (tmp_path / "run.json").write_text(spoiled)
    status, out, err = vlmgate("judge", tmp_path)
    assert (status, out) == (4, "") and str(tmp_path / "run.json") in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["judge"], ["report"], ["env"], ["promote", "--cases", "tiny/slow/*", "--baselines", "light"]]
)
def test_no_torch_is_needed(project: Project, first: Done, command: list[str]) -> None:
    code = (
        "import sys; from vlmgate.cli import main; main(sys.argv[1:]); "
        "print([name for name in ('torch', 'transformers') if name in sys.modules], file=sys.stderr)"
    )
    done = project.python("-c", code, *command)
    assert done.status == 0 and done.out and done.err == "[]\n"


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


# promote


def test_promoted_values_are_judged_against(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    assert "no baseline yet" in vlmgate("judge", "--baselines", tmp_path)[1]
    status, out, _ = vlmgate("promote", "--baselines", tmp_path, "--cases", "tiny/slow/*", "--reason", "the first")
    assert status == 0
    environment = first.run.environment
    assert out.split() == [str(tmp_path / environment.name / name) for name in ("environment.json", "tiny/slow/scenes.json")]
    baseline = load_baselines(tmp_path, environment)["tiny/slow/scenes"]
    assert (baseline.run, baseline.reason, baseline.forced) == (first.folder.name, "the first", False)
    assert len(baseline.blocks["time_per_caption"]) == 2 and baseline.exact["parameters"] > 1000
    again = vlmgate("judge", "--baselines", tmp_path)[1]
    assert "no baseline yet" not in again


def test_promoting_a_failed_run_is_refused(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    failed = {verdict.case for verdict in first.run.verdicts if verdict.outcome is Outcome.FAIL}
    status, out, err = vlmgate("promote", "--baselines", tmp_path)
    assert (status, out) == (4, "") and err.startswith(f"vlmgate: run {first.folder.name} is not promoted: ")
    assert failed and all(f"{case} (" in err for case in failed) and "fail agreement against limit" in err
    assert not list(tmp_path.rglob("*.json"))


def test_force_takes_a_failed_run_and_marks_it(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    assert vlmgate("promote", "--baselines", tmp_path, "--force")[0] == 0
    found = load_baselines(tmp_path, first.run.environment)
    assert found.keys() == {record.id for record in first.run.cases if not record.skip}
    assert found["tiny/idle/scenes"].forced and not found["tiny/slow/scenes"].forced


def test_a_pattern_that_matches_nothing(vlmgate: Run, first: Done, tmp_path: Path) -> None:
    status, _, err = vlmgate("promote", "--baselines", tmp_path, "--cases", "tiny/slwo/*")
    assert status == 4 and "no measured case of run" in err and "tiny/slow/scenes" in err
    assert first.run.name and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["env", "judge"])  # less and more than what Python keeps before it writes
def test_output_that_nobody_reads_ends_quietly(project: Project, first: Done, command: str) -> None:
    line = f"{sys.executable} -m vlmgate {command} --results {first.results} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=project.root, env=project.environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")
