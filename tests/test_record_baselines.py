"""Baselines: what is promoted comes back, what is unfit is refused, and no kill, race or hand edit loses anything."""

import json
import math
import signal
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from record_samples import ENVIRONMENT, KEY, child, make_run, record, verdict

from vlmgate.judge.since import changed_since
from vlmgate.record import files
from vlmgate.record.baselines import add_occasion, baseline_path, load_baselines, nearest, promote
from vlmgate.record.files import locked, write_run
from vlmgate.spec import Environment, Failure, Outcome, Question, Run, Settings, VlmgateError

TIME = "time_per_caption"
BOTH = ["blip/fp32/scenes", "blip/int8/scenes"]
BLOCKS = {case: {TIME: (0.1, 0.2 + 0.1, 0.2) * 8} for case in BOTH}


def put(run: Run, root: Path, **changes: Any) -> list[Path]:
    options: dict[str, Any] = {"cases": None, "reason": "first", "force": False, "block_values": BLOCKS, **changes}
    return promote(run, root, **options)


def test_what_is_promoted_comes_back(tmp_path: Path) -> None:
    run = make_run()
    paths = put(run, tmp_path)
    folder = tmp_path / ENVIRONMENT.name
    assert paths == [folder / "environment.json", folder / "blip/fp32/scenes.json", folder / "blip/int8/scenes.json"]
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(paths)  # no lock, no temporary
    found = load_baselines(tmp_path, ENVIRONMENT)
    assert list(found) == BOTH
    baseline, case = found["blip/int8/scenes"], run.cases[1]
    assert baseline.blocks == BLOCKS["blip/int8/scenes"] and list(found["blip/fp32/scenes"].blocks) == [TIME]
    assert (baseline.exact, baseline.memory, baseline.scores, baseline.captions) == (
        case.exact,
        case.memory,
        case.scores,
        case.captions,
    )
    assert (baseline.settings, baseline.dataset, baseline.questions) == (case.settings, "d" * 64, case.questions)
    assert (baseline.run, baseline.commit, baseline.reason, baseline.forced) == (run.name, "c" * 40, "first", False)


def test_the_history_keeps_levels_of_all_and_the_making_of_the_newest(tmp_path: Path) -> None:
    for reason, blocks in (("first", (0.1, 0.3)), ("second", (0.5,))):
        put(
            make_run(name=reason),
            tmp_path,
            reason=reason,
            block_values={"blip/int8/scenes": {"time_per_caption": blocks}},
            force=True,
        )
    first, second = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"].history
    assert (first["reason"], first["run"], second["reason"], second["run"]) == ("first", "first", "second", "second")
    assert first["levels"]["time_per_caption"] == {"mean": 0.2, "sd": pytest.approx(0.2 / math.sqrt(2)), "n": 2}
    assert second["levels"]["time_per_caption"] == {"mean": 0.5, "sd": None, "n": 1}
    assert "made_with" not in first
    assert second["made_with"]["versions"] == {"python": "3.11.0", "torch": "2.0"}
    assert second["made_with"]["recipe"] == make_run().cases[1].recipe


def test_an_engine_in_the_recipe_of_an_old_baseline_is_no_change_of_it(tmp_path: Path) -> None:
    run = make_run(record("fp32"), record("int8", engine="x86"))
    path = put(run, tmp_path)[-1]
    history = json.loads(path.read_text())["history"]
    made = history[-1]["made_with"]
    made["recipe"]["engine"] = made.pop("engine")
    edit(path, history=history)
    found = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"]
    assert found.history[-1]["made_with"]["recipe"] == run.cases[1].recipe
    assert changed_since(found, run) == []
    other = make_run(record("fp32"), record("int8", engine="onednn"))
    assert changed_since(found, other) == ["engine x86 → onednn"]


def test_a_promotion_with_other_settings_or_images_says_so(tmp_path: Path) -> None:
    """The levels before it are levels of something else: judging drops them from the sustained level."""
    run = make_run()
    batched = tuple(replace(case, settings=replace(case.settings, batch=3)) for case in run.cases)
    for each in (run, run, replace(run, cases=batched), replace(run, cases=batched, datasets={"scenes": "e" * 64})):
        put(each, tmp_path, force=True)
    history = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"].history
    assert [entry.get("other") for entry in history] == [None, None, ["batch (1 then, 3 now)"], ["image files (sha256)"]]
    assert all("levels" in entry for entry in history), "kept for whoever reads the history"


def test_the_files_review_well(tmp_path: Path) -> None:
    path = put(make_run(), tmp_path)[2]
    text = path.read_text()
    data = json.loads(text)
    assert list(data) == sorted(data) and list(data["settings"]) == sorted(data["settings"])
    assert '    "time_per_caption": [0.1, 0.30000000000000004, 0.2, 0.1' in text and "ein roter Würfel" in text
    put(make_run(), tmp_path)
    again = path.read_text().splitlines()
    changed = [line for line in text.splitlines() if line not in again]
    assert len(changed) <= 2, changed  # the time of promotion, and where a history entry began to have a successor


def test_the_environment_is_stored_without_what_is_true_of_one_moment(tmp_path: Path) -> None:
    path = put(make_run(), tmp_path)[0]
    before = path.read_bytes()
    info = {**ENVIRONMENT.info, "load_average": [9.0], "commit": "e" * 40}
    put(make_run(environment=replace(ENVIRONMENT, info=info)), tmp_path)
    assert path.read_bytes() == before
    assert json.loads(before)["key"] == KEY


def test_only_the_chosen_cases_and_never_the_skipped(tmp_path: Path) -> None:
    run = make_run(record("fp32"), record("int8"), record("cuda", skip="no GPU"))
    put(run, tmp_path / "a", cases=["*/int8/*"])
    assert list(load_baselines(tmp_path / "a", ENVIRONMENT)) == ["blip/int8/scenes"]
    put(run, tmp_path / "b")
    assert list(load_baselines(tmp_path / "b", ENVIRONMENT)) == BOTH
    with pytest.raises(
        VlmgateError, match=r"no measured case .* matches '\*/cuda/\*'; (did you mean .*\? K|k)nown: blip/fp32/scenes, blip/int8"
    ):
        put(run, tmp_path, cases=["*/fp32/*", "*/cuda/*"])
    for cases, message in (
        (["*"], "known: none"),
        (None, "has no measured case to promote"),
        ([], "has no measured case"),
    ):
        with pytest.raises(VlmgateError, match=message):
            put(make_run(record("cuda", skip="no GPU")), tmp_path, cases=cases)


def unfit() -> list[Any]:
    failed = record("int8", failure=Failure("int8", "loading", "SIGSEGV", "crashed"))
    fp32 = verdict("blip/fp32/scenes")
    return [
        pytest.param(
            make_run(verdicts=(fp32, verdict("blip/int8/scenes", Outcome.FAIL))),
            ["fail speedup against reference"],
            BOTH[1:],
            id="fail",
        ),
        pytest.param(
            make_run(verdicts=(verdict("blip/int8/scenes", Outcome.UNRESOLVED),)), ["unresolved speedup"], BOTH[1:], id="tie"
        ),
        pytest.param(
            make_run(verdicts=(fp32, verdict("blip/int8/scenes", Outcome.WAIVED))), ["waived speedup"], BOTH[1:], id="waived"
        ),
        pytest.param(make_run(record("fp32"), failed), ["SIGSEGV while loading"], BOTH[1:], id="crash"),
        pytest.param(make_run(status="interrupted"), ["the run is interrupted", "blip/fp32/scenes"], BOTH, id="interrupted"),
    ]


@pytest.mark.parametrize(("run", "words", "unfit_cases"), unfit())
def test_the_unfit_are_refused_and_marked_when_forced(tmp_path: Path, run: Run, words: list[str], unfit_cases: list[str]) -> None:
    with pytest.raises(VlmgateError, match=r"blip/int8/scenes \(.*--cases.*--force") as caught:
        put(run, tmp_path)
    assert all(word in str(caught.value) for word in words)
    assert not list(tmp_path.rglob("*.json"))
    put(run, tmp_path, force=True)
    assert [case for case, baseline in load_baselines(tmp_path, ENVIRONMENT).items() if baseline.forced] == unfit_cases
    put(make_run(), tmp_path, force=True)  # nothing needed the force: not marked, but the history remembers
    baseline = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"]
    assert (baseline.forced, [entry["forced"] for entry in baseline.history]) == (False, [True, False])


def test_fit_cases_of_a_run_with_unfit_ones_can_be_chosen(tmp_path: Path) -> None:
    run = make_run(verdicts=(verdict("blip/int8/scenes", Outcome.FAIL), verdict("blip/fp32/scenes", Outcome.SKIP)))
    put(run, tmp_path, cases=["*/fp32/*"])
    assert list(load_baselines(tmp_path, ENVIRONMENT)) == ["blip/fp32/scenes"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_block_values_that_are_no_numbers_are_never_promoted(tmp_path: Path, value: float) -> None:
    with pytest.raises(VlmgateError, match="blip/int8/scenes is not promoted: its block values of speedup are not all finite"):
        put(make_run(), tmp_path, force=True, block_values={"blip/int8/scenes": {"speedup": (0.1, value)}})
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"scores": {"cider": math.nan}}, r"scores\.cider is nan"),
        ({"exact": {"size": math.inf}}, r"exact\.size is inf"),
        ({"memory": {"peak_memory": (1e9, math.nan)}}, r"memory\.peak_memory\[1\] is nan"),
    ],
)
def test_what_is_no_number_is_never_promoted(tmp_path: Path, changes: dict[str, Any], place: str) -> None:
    message = (
        f"scenes\\.json: case blip/int8/scenes: {place}, expected a finite number; it is not promoted: measure the case again"
    )
    with pytest.raises(VlmgateError, match=message):
        put(make_run(record("int8", **changes)), tmp_path, force=True)
    assert not list(tmp_path.rglob("*.json"))


def test_a_dirty_tree_shows_in_the_commit_and_a_lost_dataset_is_refused(tmp_path: Path) -> None:
    info = {**ENVIRONMENT.info, "dirty": True}
    put(make_run(environment=replace(ENVIRONMENT, info=info)), tmp_path)
    assert load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"].commit == "c" * 40 + "-dirty"
    with pytest.raises(VlmgateError, match="has no sha256 of the dataset scenes"):
        put(make_run(datasets={}), tmp_path)


def test_colons_and_slashes_in_names_are_kept_apart(tmp_path: Path) -> None:
    run = make_run(*(record("int8", dataset=name) for name in ("scenes:2000", "scenes@2000", "photos/small", "scenes")))
    paths = put(run, tmp_path, block_values={case.id: BLOCKS[BOTH[0]] for case in run.cases})
    assert tmp_path / ENVIRONMENT.name / "blip/int8/scenes@2000.json" in paths
    assert set(load_baselines(tmp_path, ENVIRONMENT)) == {case.id for case in run.cases}


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "made by a newer vlmgate: schema 2, this one reads up to 1; upgrade"),
        ({"forced": "no"}, r'at \$\.forced expected type "boolean", found "no"'),
        (
            {"blocks": {"speedup": [0.1, "nan"]}},
            r"case blip/int8/scenes: blocks\.speedup\[1\] is nan, expected a finite number; restore",
        ),
        ({"scores": {"cider": math.nan}}, r"case blip/int8/scenes: scores\.cider is nan, expected a finite number; restore"),
        ({"exact": {"size": math.inf}}, r"case blip/int8/scenes: exact\.size is inf, expected a finite number; restore"),
        ({"between_sd": "inf"}, r"case blip/int8/scenes: between_sd is inf, expected a finite number; restore"),
        ({"exact": {"size": "big"}}, r"at \$\.exact\.size expected type"),
        ({"settings": {"bach": 1}}, r"at \$\.settings: unknown key 'bach'; did you mean batch\? Known: "),
        ({"history": [{"run": "x"}]}, r"\$\.history\[0\] lacks the key 'commit'"),
        ({"environment": "another"}, "is of environment another, but lies in the folder of"),
        ({"case": "blip/int8/other"}, "holds the case blip/int8/other, which its path does not name"),
        ({"case": "blip"}, r"at \$\.case expected pattern"),
    ],
)
def test_a_file_edited_into_nonsense_is_named_and_never_overwritten(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = put(make_run(), tmp_path)[2]
    edit(path, **changes)
    nonsense = path.read_bytes()
    with pytest.raises(VlmgateError, match=message) as caught:
        load_baselines(tmp_path, ENVIRONMENT)
    assert str(path) in str(caught.value)
    with pytest.raises(VlmgateError, match=message):
        put(make_run(), tmp_path)
    assert path.read_bytes() == nonsense


def test_a_conflict_left_by_a_merge_is_named_with_its_line(tmp_path: Path) -> None:
    path = put(make_run(), tmp_path)[2]
    path.write_text(path.read_text().replace('  "captions"', '<<<<<<< HEAD\n  "captions"'))
    with pytest.raises(VlmgateError, match=r"scenes\.json is not JSON: line \d+, column 1"):
        load_baselines(tmp_path, ENVIRONMENT)


def test_the_folder_must_be_of_the_environment_it_is_named_after(tmp_path: Path) -> None:
    edit(put(make_run(), tmp_path)[0], key={**KEY, "isa": "amx_int8"})
    with pytest.raises(VlmgateError, match=r"environment\.json does not describe .*isa: amx_int8 against avx2"):
        load_baselines(tmp_path, ENVIRONMENT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, r"environment\.json was made by a newer vlmgate: schema 2, this one reads up to 1; upgrade"),
        ({"key": {**KEY, "isa": "amx_int8"}}, r"environment\.json does not describe .*isa: amx_int8 against avx2"),
        ({"key": 3}, r"environment\.json"),
    ],
)
def test_an_environment_file_that_cannot_be_read_is_never_overwritten(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """Whoever calls `promote` from a program has not read the baselines before, as the command line has."""
    paths = put(make_run(), tmp_path)
    edit(paths[0], **changes)
    before = [path.read_bytes() for path in paths]
    for force in (False, True):
        with pytest.raises(VlmgateError, match=message):
            put(make_run(name="later"), tmp_path, force=force)
    assert [path.read_bytes() for path in paths] == before


def test_the_nearest_environments_come_first(tmp_path: Path) -> None:
    assert load_baselines(tmp_path, ENVIRONMENT) == {} == nearest(tmp_path / "none", ENVIRONMENT)
    for name, changes in (("far", {"isa": "avx2", "cores": 64, "threads": 8}), ("near", {"isa": "amx_int8"})):
        put(make_run(environment=Environment({**KEY, **changes}, {}, name)), tmp_path)
    put(make_run(), tmp_path)
    expected = {"near": ["isa: amx_int8 against avx2"], "far": ["cores: 64 against 2", "threads: 8 against 2"]}
    assert list(nearest(tmp_path, ENVIRONMENT).items()) == list(expected.items())
    (tmp_path / "far" / "environment.json").write_text("{")
    assert "is truncated" in nearest(tmp_path, ENVIRONMENT)["far"][0]


def test_no_room_changes_nothing(tmp_path: Path) -> None:
    paths = put(make_run(), tmp_path)
    before = [path.read_bytes() for path in paths]
    many = {str(i): "a caption of some length" for i in range(500)}
    run = write_run(make_run(record("fp32"), record("int8", captions=many)), tmp_path / "run")
    code = """
import sys
from pathlib import Path
from vlmgate.record import promote, read_run
from vlmgate.spec import VlmgateError
try:
    promote(read_run(Path(sys.argv[1])), Path(sys.argv[2]), cases=None, reason="big", force=True, block_values={})
except VlmgateError as error:
    print(error)
"""
    out, err = child(code, run, tmp_path, limit=10_000).communicate()
    assert "cannot write scenes.json in" in out, err
    assert [path.read_bytes() for path in paths] == before
    assert sorted(p for p in (tmp_path / ENVIRONMENT.name).rglob("*") if p.is_file()) == sorted(paths)


def test_a_file_in_place_of_the_folder_is_not_taken_for_no_baselines(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VlmgateError, match=r"file is no folder; give the folder of promoted baselines"):
        load_baselines(tmp_path / "file", ENVIRONMENT)
    assert load_baselines(tmp_path / "nowhere", ENVIRONMENT) == {}, "none yet is no mistake"


@pytest.mark.parametrize("at", [0, 1])
def test_an_interrupt_while_promoting_leaves_the_old_files_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    put(make_run(), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    calls, real = [], files._write_synced

    def stop(path: Path, content: bytes) -> None:
        if len(calls) == at:
            raise KeyboardInterrupt
        calls.append(path)
        real(path, content)

    monkeypatch.setattr(files, "_write_synced", stop)
    with pytest.raises(KeyboardInterrupt):
        put(make_run(name="later"), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VlmgateError, match=r"cannot write \.promote\.lock in .*file.*; give a folder that can be written"):
        put(make_run(), tmp_path / "file")


KILLED = """
import os, signal, sys
from pathlib import Path
from record_samples import make_run
from vlmgate.record import promote
real, done = Path.replace, []
def replace(*paths):
    if len(done) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(real(*paths))
Path.replace = replace
promote(make_run(name="new"), Path(sys.argv[1]), cases=None, reason="second", force=True, block_values={})
"""


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_kill_between_replacements_leaves_each_file_whole(tmp_path: Path, after: int) -> None:
    paths = put(make_run(name="old"), tmp_path)
    process = child(KILLED, tmp_path, after)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.rglob("*.tmp"))  # killed where it was meant to be
    runs = [baseline.run for baseline in load_baselines(tmp_path, ENVIRONMENT).values()]
    assert runs == {0: ["old", "old"], 1: ["old", "old"], 2: ["new", "old"]}[after]
    assert put(make_run(name="next"), tmp_path) == paths  # neither the lock nor the rest is in the way
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(paths)
    histories = [[entry["run"] for entry in b.history] for b in load_baselines(tmp_path, ENVIRONMENT).values()]
    assert histories[1] == ["old", "next"]


PROMOTE = """
import sys
from pathlib import Path
from record_samples import make_run
from vlmgate.record import promote
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    run = make_run(name=f"{sys.argv[2]}{number}")
    timed = {case.id: {"time_per_caption": (0.1, 0.2) * 12} for case in run.cases}
    promote(run, Path(sys.argv[1]), cases=None, reason="r", force=False, block_values=timed, patience=60)
"""


def test_promotions_at_once_lose_none(tmp_path: Path) -> None:
    processes = [child(PROMOTE, tmp_path, name) for name in "ab"]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
    first, second = (b.history for b in load_baselines(tmp_path, ENVIRONMENT).values())
    assert sorted(entry["run"] for entry in first) == [f"{name}{number}" for name in "ab" for number in range(10)]
    assert [entry["run"] for entry in first] == [entry["run"] for entry in second]  # they did not interleave


def test_a_promotion_that_waits_too_long_says_for_whom(tmp_path: Path) -> None:
    message = r"is being written by another vlmgate \(process \d+\); wait for it to end"
    with locked(tmp_path / ".promote.lock"), pytest.raises(VlmgateError, match=message):
        put(make_run(), tmp_path, patience=0.1)
    put(make_run(), tmp_path)


def test_the_path_of_a_case(tmp_path: Path) -> None:
    assert baseline_path(tmp_path, "env", "m/v/d:1") == tmp_path / "env" / "m" / "v" / "d@1.json"


def timed(mean: float, n: int = 24) -> dict[str, dict[str, tuple[float, ...]]]:
    """Block values of both cases around ``mean``: ± 0.01 in turn."""
    return {case: {TIME: tuple(mean + 0.01 * (-1) ** i for i in range(n))} for case in BOTH}


def test_too_few_blocks_are_refused_with_the_way_to_more(tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match=r"blip/int8/scenes \(6 blocks of time_per_caption where 24 are needed.*--top-up"):
        put(make_run(), tmp_path, block_values=timed(0.1, 6))
    put(make_run(), tmp_path, block_values=timed(0.1, 6), force=True)
    (entry,) = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"].history
    assert entry["forced"] and entry["unfit"] == ["6 blocks of time_per_caption where 24 are needed, which --top-up measures"]
    put(make_run(), tmp_path, block_values=timed(0.1))
    history = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"].history
    assert [entry.get("unfit", []) == [] for entry in history] == [False, True]  # the mark stays


def test_a_case_that_was_to_be_timed_and_was_not_is_refused(tmp_path: Path) -> None:
    """Timing was switched off, or the time budget was spent before its first block."""
    with pytest.raises(VlmgateError, match=r"blip/int8/scenes \(0 blocks of time_per_caption where 24 are needed"):
        put(make_run(), tmp_path, block_values={})
    put(make_run(), tmp_path, block_values={}, force=True)
    assert load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"].forced


def test_a_case_that_was_not_to_be_timed_needs_no_blocks(tmp_path: Path) -> None:
    put(make_run(record("int8", questions=(Question.SIZE,))), tmp_path, block_values={})
    assert not load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"].forced


def test_a_run_that_measured_less_does_not_replace_one_that_measured_more(tmp_path: Path) -> None:
    put(make_run(), tmp_path, block_values=timed(0.1))
    for case, block_values, lost in (
        (record("int8", questions=(Question.SIZE,)), {}, TIME),
        (record("int8", scores={}), timed(0.1), "cider"),
        (record("int8", memory={}), timed(0.1), "peak"),
    ):
        with pytest.raises(VlmgateError, match=f"it did not measure {lost}, which the baseline holds"):
            put(make_run(case), tmp_path, block_values=block_values)


def test_what_others_know_makes_a_case_unfit_too(tmp_path: Path) -> None:
    doubt = {"blip/int8/scenes": ["the placebo moved"]}
    with pytest.raises(VlmgateError, match=r"blip/int8/scenes \(the placebo moved\)"):
        put(make_run(), tmp_path, also_unfit=doubt)
    put(make_run(), tmp_path, also_unfit=doubt, force=True)
    assert load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"].history[-1]["unfit"] == ["the placebo moved"]


def occasion(root: Path, name: str, mean: float, **changes: Any) -> list[Path]:
    options: dict[str, Any] = {"cases": ["*/int8/*"], "block_values": timed(mean, 6), **changes}
    return add_occasion(make_run(name=name), root, **options)


def test_occasions_give_the_spread_between_runs_and_replace_nothing(tmp_path: Path) -> None:
    put(make_run(), tmp_path, block_values=timed(0.10))
    before = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"]
    assert (before.between_sd, before.between_runs, before.tier) == (None, 0, "smoke")
    means = (0.12, 0.08, 0.14, 0.06)
    for number, mean in enumerate(means):
        assert occasion(tmp_path, f"again{number}", mean) == [tmp_path / ENVIRONMENT.name / "blip/int8/scenes.json"]
    after = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"]
    assert (after.blocks, after.run, after.history) == (before.blocks, before.run, before.history)
    assert [entry["of"] for entry in after.occasions] == [before.run] * 4
    within = 0.01**2 * 24 / 23  # of block values; a run of six shows six fifths of it
    noise = (within * 23 + 4 * 5 * 0.01**2 * 6 / 5) / 43 * (1 / 24 + 4 / 6) / 5
    assert after.between_runs == 5
    assert after.between_sd == pytest.approx(math.sqrt(statistics.variance((0.10, *means)) - noise), rel=1e-9)


def test_a_promotion_carries_occasions_on_and_is_not_mixed_with_what_came_before(tmp_path: Path) -> None:
    put(make_run(name="old"), tmp_path, block_values=timed(0.1))
    occasion(tmp_path, "again", 0.12)
    one = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"]
    put(make_run(name="new"), tmp_path, block_values=timed(0.9))  # a change, which is no spread between runs
    two = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"]
    assert (two.between_sd, two.between_runs, two.occasions) == (one.between_sd, 2, one.occasions)
    occasion(tmp_path, "again of new", 0.92)
    three = load_baselines(tmp_path, ENVIRONMENT)["blip/int8/scenes"]
    assert three.between_runs == 3 and three.between_sd == pytest.approx(one.between_sd, rel=1e-9)


def test_what_is_no_other_occasion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match="it has no baseline yet: promote a run first"):
        occasion(tmp_path, "early", 0.1)
    put(make_run(name="first"), tmp_path, block_values=timed(0.1))
    occasion(tmp_path, "again", 0.1)
    path = tmp_path / ENVIRONMENT.name / "blip/int8/scenes.json"
    before = path.read_bytes()
    crash = record("int8", failure=Failure("int8", "loading", "SIGSEGV", "crashed"))
    for changes, words in (
        ({"run": make_run(name="again")}, "this run counts already"),
        ({"run": make_run(name="first")}, "this run counts already"),
        ({"run": make_run(record("int8", settings=Settings(threads=2)))}, "it was measured with other threads"),
        ({"run": make_run(datasets={"scenes": "e" * 64})}, "with other image files"),
        ({"run": make_run(crash)}, "SIGSEGV while loading"),
        ({"run": make_run(status="interrupted")}, "the run is interrupted"),
        ({"block_values": timed(0.1, 1)}, "it has fewer than 2 blocks"),
        ({"also_unlike": {"blip/int8/scenes": ["torch 1 → 2"]}}, "torch 1 → 2"),
    ):
        options: dict[str, Any] = {"run": make_run(name="x"), "cases": ["*/int8/*"], "block_values": timed(0.1, 6), **changes}
        with pytest.raises(VlmgateError, match=words):
            add_occasion(root=tmp_path, **options)
    assert path.read_bytes() == before


def test_a_run_that_missed_a_line_is_an_occasion_all_the_same(tmp_path: Path) -> None:
    put(make_run(name="first"), tmp_path, block_values=timed(0.1))
    slow = make_run(name="slow", verdicts=(verdict("blip/int8/scenes", Outcome.FAIL),))
    assert add_occasion(slow, tmp_path, cases=["*/int8/*"], block_values=timed(-0.1, 6))


def test_a_level_edited_into_nonsense_is_named(tmp_path: Path) -> None:
    path = put(make_run(name="first"), tmp_path, block_values=timed(0.1))[2]
    history = json.loads(path.read_text())["history"]
    history[0]["levels"][TIME]["mean"] = "nan"
    edit(path, history=history)
    with pytest.raises(VlmgateError, match=r"history\[0\]\.levels\.time_per_caption\.mean is nan, expected a finite number"):
        occasion(tmp_path, "again", 0.1)


def test_the_committed_baselines_of_before_are_read() -> None:
    """They have six blocks and none of the newer fields."""
    root = Path(__file__).parents[1] / "baselines"
    for path in sorted(root.glob("*/environment.json")):
        stored = json.loads(path.read_text())
        found = load_baselines(root, Environment(stored["key"], stored["info"], stored["name"]))
        assert found and all(baseline.history for baseline in found.values())
