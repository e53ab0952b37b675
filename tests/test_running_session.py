"""A whole run for real on a tiny model."""

import json
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from ends import ENDS, LAST, WELL, session_of_bad_ends
from sessions import CUDA, DIES, FP32, LATENCY, SECONDS, SLOW, Made, Place, records, verdicts

from vlmgate.record import read_run
from vlmgate.record.raw import NO_BLOCK, Call, read_raw
from vlmgate.running.group import seed_of
from vlmgate.spec import Outcome, Run, VlmgateError
from vlmgate.stats import block_value
from vlmgate.worker.turns import loading_order, schedule


def test_a_whole_run_holds_everything_measured(whole: tuple[Run, list[str]]) -> None:
    run, found = whole[0], records(whole[0])
    assert (run.name, run.tier, run.status) == ("whole", "smoke", "complete")
    assert found.keys() == {FP32, SLOW, DIES, CUDA}
    for case in (FP32, SLOW):
        record = found[case]
        assert record.failure is None and not record.skip and record.skips.keys() <= {"energy"}  # the machine may have no counter
        assert record.exact["reloads"] == record.exact["agreement"] == 1.0
        assert record.exact["parameters"] > 1000 and record.checkpoint
        assert all(len(record.memory[name]) == 1 and record.memory[name][0] > 0 for name in ("peak_memory", "heap_peak"))
        assert len(record.captions) == len(record.quality) == 4 and record.scores.keys() >= {"bleu_4", "cider"}
        assert "4 images" in record.signature
    assert found[SLOW].captions == found[FP32].captions
    assert run.datasets.keys() == {"scenes"} and run.environment.key["threads"] == 1


def test_the_time_is_accounted_for(whole: tuple[Run, list[str]]) -> None:
    run = whole[0]
    measured = {"start-up", "preparing", "quality", "memory", "warm-up", "measuring"}
    assert run.phases.keys() - {"writing"} == measured | {"judging", "other"}
    assert all(seconds > 0 for seconds in run.phases.values())
    assert math.isclose(sum(run.phases.values()), run.seconds, rel_tol=0.02)
    assert run.parent_cpu is not None and 0 < run.parent_cpu < 0.5  # of a core, with calls of milliseconds


def test_the_block_values_come_from_the_raw_values_to_the_last_digit(raw_run: tuple[Run, list[Call]]) -> None:
    run, calls = raw_run
    for place, block in enumerate(run.blocks):
        mine = [call for call in calls if call.worker == place]
        assert [call.turn for call in mine] == list(range(len(mine)))
        timed: dict[str, dict[int, dict[int, float]]] = {}
        for call in (call for call in mine if call.kind == "timed"):
            assert call.image is not None and call.round is not None
            timed.setdefault(call.arm, {}).setdefault(call.image, {})[call.round] = call.seconds
        times = {
            arm: tuple(tuple(of[n] for n in sorted(of)) for _, of in sorted(images.items())) for arm, images in timed.items()
        }
        assert times == block.times
        for arm in block.times:
            assert block_value(times["fp32"], times[arm]) == block_value(block.times["fp32"], block.times[arm])
        assert {arm: tuple(c.seconds for c in mine if (c.kind, c.arm) == ("warm-up", arm)) for arm in block.times} == block.warmup
        assert tuple(call.seconds for call in mine if call.kind == "yardstick") == block.yardstick
        assert {call.kind for call in mine} == {"warm-up", "timed", "first token", "yardstick"}


def test_the_order_of_the_raw_values_is_that_of_the_seeded_turns(raw_run: tuple[Run, list[Call]]) -> None:
    run, calls = raw_run
    for place, block in enumerate(run.blocks):
        order = [(call.round, call.image, call.arm) for call in calls if (call.worker, call.kind) == (place, "timed")]
        turns = schedule(block.seed, 2, len(block.images), list(block.times))
        assert order == [(n // len(block.images), image, arm) for n, (image, arms) in enumerate(turns) for arm in arms]


def test_the_calls_of_a_worker_that_died_are_kept_and_marked(raw_run: tuple[Run, list[Call]]) -> None:
    run, calls = raw_run
    lost = [call for call in calls if call.worker == NO_BLOCK]
    assert records(run)[DIES].failure and {call.kind for call in lost} == {"warm-up"}
    assert [call.turn for call in lost] == list(range(len(lost)))
    order = loading_order(seed_of(0), ["fp32", "slow", "dies", "placebo"])
    assert {call.arm for call in lost} == set(order[: order.index("dies")]), "it died when its turn to warm up came"
    assert {(call.model, call.block, call.role) for call in lost} == {("tiny/scenes", 0, "look")}
    assert all(call.seconds > 0 for call in lost)


def test_blocks_have_the_placebo_and_not_the_arm_that_died(whole: tuple[Run, list[str]]) -> None:
    run = whole[0]
    assert [block.index for block in run.blocks] == [0, 1]
    assert len({block.seed for block in run.blocks}) == 2
    for block in run.blocks:
        assert block.model == "tiny/scenes"
        assert block.times.keys() == {"fp32", "slow", "placebo"}
        assert list(block.affinity) == sorted(os.sched_getaffinity(0)), "no worker is pinned unless it is asked for"
        assert all(len(images) == 2 and all(len(rounds) == 2 for rounds in images) for images in block.times.values())
        slow, fast = (sum(map(sum, block.times[name])) for name in ("slow", "placebo"))
        assert slow > 1.3 * fast  # it is made to take twice as long


def test_a_deselected_reference_is_measured_and_not_judged(whole: tuple[Run, list[str]]) -> None:
    run = whole[0]
    assert records(run)[FP32].questions == () and not verdicts(run, FP32)
    assert records(run)[SLOW].reference == FP32 and records(run)[FP32].reference == ""


def test_an_arm_that_dies_fails_alone(whole: tuple[Run, list[str]]) -> None:
    run, lines = whole
    failure = records(run)[DIES].failure
    assert run.failures == (failure,) and failure is not None
    assert (failure.arm, failure.stage, failure.kind) == ("dies", "warming", "SIGKILL")
    assert len(records(run)[DIES].captions) == 4  # what was measured before is kept
    assert {verdict.outcome for verdict in verdicts(run, DIES).values()} == {Outcome.FAIL}
    assert any("dies failed while warming" in line for line in lines)
    kept = verdicts(run, SLOW)
    assert kept.keys() == {"time_per_caption", "peak_memory", "parameters", "agreement"}
    assert all(kept[metric].outcome is Outcome.PASS for metric in ("peak_memory", "parameters", "agreement"))
    assert kept["time_per_caption"].estimate is not None


@pytest.mark.parametrize(
    "bad",
    [("misreads", "hangs", "grows"), pytest.param(("raises", "exits", "segfaults", "writes"), marks=pytest.mark.slow)],
    ids="+".join,
)
def test_a_bad_end_of_an_arm_fails_it_alone_and_leaves_nothing(
    bad: tuple[str, ...], tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All arms share a worker, so the block is done again after each bad end; the slow ones end as quick tests elsewhere do."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    session = session_of_bad_ends(bad, tmp_path, tiny_checkpoint, tmp_path / "notes")
    session.measure()
    run = session.finish("bad ends")

    assert {failure.arm for failure in run.failures} == set(bad) and len(run.failures) == len(bad)
    for failure in run.failures:
        stage, kind, words = ENDS[failure.arm]
        assert (failure.stage, failure.kind) == (stage, kind) and words in failure.message
        assert f"{LAST}{failure.arm}" in failure.log or failure.log.splitlines()[-1].startswith(f"{kind}: ")  # of its traceback
        found = verdicts(run, f"tiny/{failure.arm}/scenes").values()
        assert {verdict.metric for verdict in found} >= {"time_per_caption", "parameters"}
        for verdict in found:
            said = f"tiny/{failure.arm}/scenes: {kind} while {stage}: {failure.message}; the last line of its log: "
            assert verdict.outcome is Outcome.FAIL and verdict.sentence.startswith(said)
            assert verdict.sentence.partition(said)[2].count("; ") >= 1, "what to do comes last"
    (block,) = run.blocks
    assert block.times.keys() == {"fp32", WELL, "placebo"}
    kept = verdicts(run, f"tiny/{WELL}/scenes")
    assert kept["parameters"].outcome is Outcome.PASS
    assert kept["time_per_caption"].estimate is not None and kept["time_per_caption"].outcome is not Outcome.FAIL

    left = [json.loads(line) for line in (tmp_path / "notes").read_text(encoding="utf-8").splitlines()]
    assert len(left) == len(bad)
    for worker, child, *files in left:
        assert not psutil.pid_exists(worker) and not psutil.pid_exists(child)
        assert not [path for path in files if Path(path).exists()]
    assert not list(temporary.iterdir()) and not list((tmp_path / "cache").rglob("*.partial"))


@pytest.fixture(scope="module")
def raw_run(place: Place, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Call]]:
    """Two real blocks, written down, before which a worker died of one arm."""
    folder = tmp_path_factory.mktemp("raw")
    run = place.session({SLOW: (LATENCY,), DIES: (LATENCY,)}, blocks=2, folder=folder)
    run.measure()
    return read_run(folder), read_raw(folder)


def test_what_was_measured_is_kept_however_it_ends(place: Place, made: Callable[..., Made], tmp_path: Path) -> None:
    answers, kept = made(SECONDS), []
    session = place.session({SLOW: (LATENCY,)}, blocks=6)
    assert session.measure_into(tmp_path, lambda *what: kept.append(what)) == kept[0][1]
    assert (kept[0][0].status, kept[0][0].name) == ("complete", kept[0][1].name) and len(kept[0][0].verdicts) == 1

    def stop() -> None:
        if len(answers.workers) > 8:
            raise KeyboardInterrupt

    answers.pass_time = stop
    with pytest.raises(KeyboardInterrupt):
        place.session({SLOW: (LATENCY,)}, blocks=6).measure_into(tmp_path, lambda *what: kept.append(what))
    run, folder = kept[1]
    assert (run.status, len(run.blocks)) == ("interrupted", 2) and read_run(folder).blocks == run.blocks


def test_a_folder_with_nothing_in_it_is_removed(place: Place, tmp_path: Path) -> None:
    session = place.session({SLOW: (LATENCY,)}, against="nowhere")
    with pytest.raises(VlmgateError, match="--against nowhere"):
        session.measure_into(tmp_path, lambda run, folder: pytest.fail("there is nothing to keep"))
    assert not list(tmp_path.iterdir())
