"""Which blocks are measured, with answers made up: looks, failures, the time budget."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sessions
from jobs import ROOT
from sessions import CUDA, DIES, ENERGY, FP32, LATENCY, MEMORY, SECONDS, SIZE, SLOW, Made, Place, arms, records, verdicts

from vlmgate.record import read_run, write_run
from vlmgate.record.raw import write_raw
from vlmgate.running import Options, Session, preparing
from vlmgate.running.group import seed_of
from vlmgate.spec import Outcome


@pytest.mark.parametrize(("most", "near"), [(24, 24), (23, 12), (12, 12), (11, 11), (6, 6), (4, 4)])
def test_only_what_is_undecided_goes_on_to_the_next_look(place: Place, made: Callable[..., Made], most: int, near: int) -> None:
    made(SECONDS)
    run = place.session({SLOW: (LATENCY,), DIES: (LATENCY,), CUDA: (LATENCY,)}, blocks=most, floor=1.0)
    run.measure()
    assert arms(run) == {"fp32": near, "placebo": near, "slow": near, "dies": min(near, 6), "fp16-cuda": min(near, 6)}
    found = run.finish("looks")
    assert verdicts(found, SLOW)["time_per_caption"].outcome is Outcome.UNRESOLVED
    if most >= 6:
        assert verdicts(found, DIES)["time_per_caption"].outcome is Outcome.PASS
        assert verdicts(found, CUDA)["time_per_caption"].outcome is Outcome.FAIL


def test_nothing_goes_on_when_all_is_decided(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    place.session({DIES: (LATENCY,)}, floor=1.0).measure()
    assert answers.jobs["block"] == 6


def test_a_line_on_energy_that_fails_is_confirmed_too(
    place: Place, made: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = '  - {{cases: "*", metric: energy_per_caption, against: reference, floor: 0.9, reason: joules}}\n'
    monkeypatch.setattr(sessions, "SUITE", sessions.SUITE + line)
    monkeypatch.setattr(preparing, "find_meter", lambda device: (object(), ""))
    made(SECONDS)
    run = place.session({DIES: (ENERGY,)})
    run.measure()
    assert arms(run)["dies"] == arms(run, "confirm")["dies"] == 6
    found = verdicts(run.finish("energy"), DIES)["energy_per_caption"]
    assert (found.outcome, found.confirm) == (Outcome.FAIL, "confirmed")


def test_blocks_and_rounds_can_be_told(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    run = place.session({DIES: (LATENCY,)}, floor=1.0, blocks=24, rounds=3)
    run.options = replace(run.options, blocks=9)
    run.measure()
    assert arms(run)["dies"] == 9 and {job["rounds"] for job in answers.blocks} == {3}
    assert {len(rounds) for block in run.blocks for images in block.times.values() for rounds in images} == {3}
    assert records(run.finish("told"))[DIES].settings.rounds == 3


@pytest.mark.parametrize("failing", ["fp32", "placebo", "slow"])
@pytest.mark.parametrize("reference", [False, True], ids=["its reference not asked for", "its reference asked for"])
def test_nobody_is_left_to_be_timed_after_a_failure(
    place: Place, made: Callable[..., Made], failing: str, reference: bool
) -> None:
    answers = made(SECONDS, {"block": [failing]})
    run = place.session({SLOW: (LATENCY,)} | ({FP32: (LATENCY,)} if reference else {}), floor=1.0)
    run.measure()
    assert run.status == "complete"
    assert records(run.finish("failed"))[SLOW].failure is not None
    alone = 6 if reference and failing == "slow" else 0  # blocks of the reference, which has lines of its own
    assert (answers.jobs["block"], len(run.blocks)) == (1 + alone, alone)


def test_without_timing_no_block_is_measured(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    run = place.session({SLOW: (LATENCY, MEMORY)}, timing=False)
    run.measure()
    assert answers.jobs == {"prepare": 1, "memory": 2} and not run.blocks
    found = verdicts(run.finish("untimed"), SLOW)
    assert found["time_per_caption"].outcome is Outcome.SKIP and "--benchmark-disable" in found["time_per_caption"].sentence
    assert found["peak_memory"].outcome is Outcome.PASS


def test_no_block_is_measured_when_nobody_asks_for_speed(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    run = place.session({SLOW: (SIZE,)})
    run.options = Options(ROOT, run.options.cache, blocks=3)
    run.measure()
    assert answers.jobs == {"prepare": 1} and run.status == "complete"


def test_the_time_budget_cuts_and_says_so(place: Place, made: Callable[..., Made]) -> None:
    made(SECONDS)
    run = place.session({SLOW: (LATENCY,)}, time_budget=1e-6)
    run.measure()
    assert run.status == "complete" and not run.blocks
    done = run.finish("cut")
    assert done.notes == ("tiny/scenes: the time budget of 1e-06 s ended after 0 of 6 blocks; left open: slow",)
    found = verdicts(done, SLOW)["time_per_caption"]
    assert found.outcome is Outcome.UNRESOLVED and "--time-budget" in found.sentence


class Ticking:
    """A clock that each block moves on by the same seconds."""

    def __init__(self, run: Session, answers: Made, seconds: float) -> None:
        self.now = run.clock.began = 1000.0
        run.clock.now = run.tell.now = lambda: self.now
        answers.pass_time = lambda: setattr(self, "now", self.now + seconds)


def test_the_time_budget_is_kept_and_no_block_is_begun_that_would_not_end_in_time(
    place: Place, made: Callable[..., Made]
) -> None:
    run = place.session({SLOW: (LATENCY,)}, floor=1.0, time_budget=47.0)
    clock = Ticking(run, made(SECONDS), 10.0)
    run.measure()
    assert len(run.blocks) == 4 and clock.now == 1040.0  # a fifth would have ended at 50
    assert run.notes == ["tiny/scenes: the time budget of 47 s ended after 4 of 6 blocks; left open: slow"]


@pytest.mark.parametrize(("within", "budget", "blocks"), [(147.0, 47, 4), (90.0, 0, 0)])
def test_of_the_time_for_a_whole_run_timing_gets_what_the_rest_leaves(
    place: Place, made: Callable[..., Made], within: float, budget: int, blocks: int
) -> None:
    run = place.session({SLOW: (LATENCY,)}, floor=1.0, within=within)
    clock = Ticking(run, made(SECONDS), 10.0)
    clock.now += 100.0  # for all that comes before
    run.measure()
    assert len(run.blocks) == blocks
    assert run.notes == [f"tiny/scenes: the time budget of {budget} s ended after {blocks} of 6 blocks; left open: slow"]
    assert verdicts(run.finish("within"), SLOW)["time_per_caption"].outcome is Outcome.UNRESOLVED


def test_a_block_that_outlasts_the_budget_is_stopped(place: Place, made: Callable[..., Made]) -> None:
    run = place.session({SLOW: (LATENCY,)}, floor=1.0, time_budget=5.0)
    Ticking(run, made(SECONDS), 10.0)
    run.measure()
    assert not run.blocks and run.notes == ["tiny/scenes: the time budget of 5 s ended after 0 of 6 blocks; left open: slow"]


def test_a_fail_is_confirmed_by_six_new_blocks_of_the_failing_case_alone(place: Place, made: Callable[..., Made]) -> None:
    made(SECONDS)
    run = place.session({DIES: (LATENCY,), CUDA: (LATENCY,)}, floor=1.0)
    run.measure()
    assert arms(run, "confirm") == {"fp32": 6, "placebo": 6, "fp16-cuda": 6}
    assert arms(run) == {"fp32": 6, "placebo": 6, "fp16-cuda": 6, "dies": 6}
    found = verdicts(run.finish("confirmed"), CUDA)["time_per_caption"]
    assert found.outcome is Outcome.FAIL and found.confirm == "confirmed"
    assert len({block.seed for block in run.blocks}) == 12  # they take other turns


def test_a_budget_that_ends_before_the_new_blocks_do_leaves_a_fail_unresolved(place: Place, made: Callable[..., Made]) -> None:
    run = place.session({CUDA: (LATENCY,)}, floor=1.0, time_budget=75.0)
    Ticking(run, made(SECONDS), 10.0)
    run.measure()
    assert (arms(run)["fp16-cuda"], arms(run, "confirm")["fp16-cuda"]) == (6, 1)
    done = run.finish("unconfirmed")
    assert done.notes == (
        "tiny/scenes: the time budget of 75 s ended after 1 of 6 blocks that were to confirm a fail; left open: fp16-cuda",
    )
    found = verdicts(done, CUDA)["time_per_caption"]
    assert (found.outcome, found.confirm) == (Outcome.UNRESOLVED, "needed")
    assert "only 1 of the 6 new ones that were to confirm it were measured; go on with --resume" in found.sentence


def test_a_fail_is_confirmed_before_others_are_looked_at_again(place: Place, made: Callable[..., Made]) -> None:
    run = place.session({SLOW: (LATENCY,), CUDA: (LATENCY,)}, floor=1.0, time_budget=145.0)
    Ticking(run, made(SECONDS), 10.0)
    run.measure()
    assert [block.role for block in run.blocks] == ["look"] * 6 + ["confirm"] * 6 + ["look"] * 2
    assert run.notes == ["tiny/scenes: the time budget of 145 s ended after 8 of 12 blocks; left open: slow"]
    assert verdicts(run.finish("early"), CUDA)["time_per_caption"].outcome is Outcome.FAIL


def test_a_given_number_of_blocks_is_that_of_the_looks(place: Place, made: Callable[..., Made]) -> None:
    made(SECONDS)
    run = place.session({CUDA: (LATENCY,)}, floor=1.0)
    run.options = Options(ROOT, run.options.cache, blocks=4)
    run.measure()
    assert (arms(run)["fp16-cuda"], arms(run, "confirm")["fp16-cuda"]) == (4, 6)
    assert verdicts(run.finish("four"), CUDA)["time_per_caption"].outcome is Outcome.FAIL


def test_a_fail_that_new_blocks_refute_is_none(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    answers.shift = lambda arm, seed: 0.1 if arm == "fp16-cuda" and seed >= seed_of(0, "confirm") else 1.0
    run = place.session({CUDA: (LATENCY,)}, floor=1.0)
    run.measure()
    found = verdicts(run.finish("refuted"), CUDA)["time_per_caption"]
    assert found.outcome is Outcome.UNRESOLVED and found.confirm == "refuted" and arms(run, "confirm")["fp16-cuda"] == 6


def test_the_blocks_of_a_contaminated_group_are_measured_once_more(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    answers.shift = lambda arm, seed: 1.5 if arm == "placebo" and seed < seed_of(0, "confirm") else 1.0
    run = place.session({DIES: (LATENCY,)}, floor=1.0)
    run.measure()
    assert arms(run) == arms(run, "retry") == {"fp32": 6, "placebo": 6, "dies": 6}
    done = run.finish("again")
    assert verdicts(done, DIES)["time_per_caption"].outcome is Outcome.PASS  # by the new blocks
    assert done.notes == ("tiny/scenes: the placebo moved in the first 6 blocks, so they are measured once more",)


@pytest.mark.parametrize(
    ("until", "outcome", "state"), [("retry", Outcome.FAIL, "confirmed"), ("", Outcome.UNRESOLVED, "refuted")]
)
def test_confirming_blocks_in_which_the_placebo_moved_are_measured_once_more(
    place: Place, made: Callable[..., Made], until: str, outcome: Outcome, state: str
) -> None:
    answers, end = made(SECONDS), seed_of(0, until) if until else math.inf
    answers.shift = lambda arm, seed: 1.5 if arm == "placebo" and seed_of(0, "confirm") <= seed < end else 1.0
    run = place.session({CUDA: (LATENCY,)}, floor=1.0)
    run.measure()
    assert arms(run) == arms(run, "confirm") == arms(run, "reconfirm") == {"fp32": 6, "placebo": 6, "fp16-cuda": 6}
    done = run.finish("again")
    why = "the placebo moved in the blocks that were to confirm that fp16-cuda fails, so they are measured once more"
    assert done.notes == (f"tiny/scenes: {why}",)
    found = verdicts(done, CUDA)["time_per_caption"]
    assert (found.outcome, found.confirm, found.contaminated) == (outcome, state, not until)


def test_a_second_try_that_is_cut_short_replaces_nothing_until_it_is_whole(
    place: Place, made: Callable[..., Made], tmp_path: Path
) -> None:
    answers = made(SECONDS)
    answers.shift = lambda arm, seed: 1.5 if arm == "placebo" and seed < seed_of(0, "confirm") else 1.0
    run = place.session({DIES: (LATENCY,)}, floor=1.0, time_budget=95.0)
    Ticking(run, answers, 10.0)
    run.measure_into(tmp_path, lambda cut, folder: write_run(cut, folder))
    assert (arms(run)["dies"], arms(run, "retry")["dies"]) == (6, 3)
    assert run.notes[1].endswith("the time budget of 95 s ended after 3 of 6 blocks of the second try; the first ones count")
    (folder,) = tmp_path.iterdir()
    found = verdicts(read_run(folder), DIES)["time_per_caption"]
    assert found.outcome is Outcome.UNRESOLVED and found.contaminated and found.estimate and found.estimate.n == 6
    answers.pass_time = lambda: None
    again = place.session({DIES: (LATENCY,)}, floor=1.0, resume=folder / "run.json")
    again.measure()
    assert (arms(again)["dies"], arms(again, "retry")["dies"]) == (6, 6)
    assert verdicts(again.finish("again"), DIES)["time_per_caption"].outcome is Outcome.PASS
    write_raw(again.calls, tmp_path)
    once_more = place.session({DIES: (LATENCY,)}, floor=1.0, resume=write_run(again.run("again"), tmp_path))
    once_more.options = replace(once_more.options, blocks=8)
    once_more.measure()
    assert (arms(once_more)["dies"], arms(once_more, "retry")["dies"]) == (6, 8), "the new ones go on, not those they replaced"


def test_a_group_that_stays_contaminated_is_not_tried_a_third_time(place: Place, made: Callable[..., Made]) -> None:
    answers = made(SECONDS)
    answers.shift = lambda arm, seed: 1.5 if arm == "placebo" else 1.0
    run = place.session({DIES: (LATENCY,)}, floor=1.0)
    run.measure()
    assert len(run.blocks) == 12
    assert verdicts(run.finish("still"), DIES)["time_per_caption"].contaminated
