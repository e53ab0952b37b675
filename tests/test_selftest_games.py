"""Runs made of drawn blocks: who plays whom, what they cost, and that the real judge ends them as it must."""

import math
import random
from dataclasses import replace

import pytest
from banks import SETTINGS, bank

from vlmgate.judge.evidence import PLACEBO, TIME, speed_values
from vlmgate.judge.levels import LOOKS
from vlmgate.selftest.arms import INT8, INT8_COPY, INT8_SLOW
from vlmgate.selftest.games import TESTED, Game, cast, judged, play, promote_drawn, run_of, seconds_of
from vlmgate.spec import Block, Outcome

BANK = bank(100, sd=0.01)


def orders(seed: int = 0) -> list[int]:
    return random.Random(seed).sample(range(100), 100)


def scaled(block: Block, arm: str, factor: float) -> Block:
    """The block with one arm's times multiplied."""
    times = tuple(tuple(factor * t for t in rounds) for rounds in block.times[arm])
    return replace(block, times={**block.times, arm: times})


def ended(game: Game, seed: int = 0) -> tuple[Outcome, int]:
    played = play(BANK, game, cast(BANK, game), orders(seed))
    return played.outcome, played.blocks


def test_each_plays_its_part() -> None:
    plain = cast(BANK, Game("", "fp32-slow10"))[3]
    real = BANK.blocks[3].times
    assert plain.times == {TESTED: real["fp32-slow10"], "fp32": real["fp32"], PLACEBO: real[PLACEBO]}
    copies = cast(BANK, Game("", INT8_COPY, INT8, shift=math.log(1.2)))[3]
    assert copies.times.keys() == {TESTED, INT8}  # nothing in the bank watches over INT8
    assert copies.times[TESTED][1][2] == pytest.approx(1.2 * real[INT8_COPY][1][2])
    assert cast(BANK, Game("", PLACEBO))[3].times.keys() == {TESTED, "fp32"}  # nor over the placebo itself


def test_seconds_leave_out_the_calls_of_the_others() -> None:
    entry = BANK.entries[0]
    every = list(entry.block.times)
    assert seconds_of(entry, every) == entry.seconds
    calls = sum(t for rounds in entry.block.times["fp32-slow20"] for t in rounds)
    calls += sum(entry.block.warmup["fp32-slow20"]) + sum(entry.block.first_token["fp32-slow20"])
    assert seconds_of(entry, [arm for arm in every if arm != "fp32-slow20"]) == pytest.approx(entry.seconds - calls)


def test_a_large_change_fails_after_confirmation_and_identical_code_passes_a_margin() -> None:
    assert ended(Game("", "fp32-slow20")) == (Outcome.FAIL, LOOKS[0] + 6)
    assert ended(Game("", INT8_COPY, INT8, line=0.9))[0] is Outcome.PASS
    assert ended(Game("", INT8_COPY, INT8)) == (Outcome.UNRESOLVED, LOOKS[-1])  # on the line itself nothing can be told


def test_a_change_that_new_blocks_do_not_show_is_not_confirmed() -> None:
    game, order = Game("", INT8_SLOW, INT8), orders()
    blocks = [block if i in order[: LOOKS[0]] else scaled(block, TESTED, 0.8) for i, block in enumerate(cast(BANK, game))]
    played = play(BANK, game, blocks, order)
    assert (played.outcome, played.confirm, played.blocks) == (Outcome.UNRESOLVED, "refuted", LOOKS[0] + 6)


def test_a_contaminated_run_is_measured_again_once() -> None:
    game, order = Game("", "fp32-slow20"), orders()
    blocks = cast(BANK, game)

    once = [scaled(block, PLACEBO, 1.2) if i in order[: LOOKS[0]] else block for i, block in enumerate(blocks)]
    played = play(BANK, game, once, order)
    assert (played.outcome, played.blocks, played.contaminated) == (Outcome.FAIL, 3 * LOOKS[0], False)
    always = play(BANK, game, [scaled(block, PLACEBO, 1.2) for block in blocks], order)
    assert always.outcome is Outcome.UNRESOLVED and always.contaminated and always.blocks > LOOKS[0]


def test_more_lines_leave_less_error_for_each() -> None:
    alone, many = Game("", "fp32-slow10"), Game("", "fp32-slow10", lines=50)
    blocks = [cast(BANK, alone)[i] for i in orders()[:6]]
    assert judged(BANK, many, blocks, {}).spent[0] == pytest.approx(judged(BANK, alone, blocks, {}).spent[0] / 50)


def test_a_promoted_run_is_what_the_next_one_is_held_against() -> None:
    game = Game("", INT8_SLOW, line=0.03, promoted=INT8, runs=5)
    order = orders()
    then = cast(BANK, game, INT8)
    left = iter(order)
    baselines = promote_drawn(BANK, game, then, left)
    case, reference = run_of(BANK, game, ()).cases[1].id, run_of(BANK, game, ()).cases[0].id
    values = speed_values([then[i] for i in order[: LOOKS[-1]]], TESTED, "fp32")
    assert baselines[case].blocks == {TIME: values} and baselines[reference].blocks.keys() == {TIME, PLACEBO}
    assert baselines[case].run == "promoted" and len(baselines[case].history) == 1 and len(baselines[case].occasions) == 5
    assert baselines[case].between_runs == 6 and 0 <= (baselines[case].between_sd or 0) < 0.02
    assert next(left) == order[LOOKS[-1] + 5 * LOOKS[1]]  # no block serves twice
    assert len(order) - LOOKS[-1] - 5 * LOOKS[1] == 16
    drawn = order[84:]
    assert play(BANK, game, cast(BANK, game), drawn, baselines).outcome is Outcome.FAIL
    assert play(BANK, replace(game, arm=INT8), then, drawn, baselines).outcome is not Outcome.FAIL


def test_what_a_run_may_need() -> None:
    assert Game("", INT8).needs == 30 and Game("", INT8, promoted=INT8, runs=6).needs == 30 + 24 + 6 * 12
    assert run_of(BANK, Game("", INT8), ()).cases[0].settings.threads == SETTINGS.threads
