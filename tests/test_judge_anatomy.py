"""The anatomy of latency, by hand from blocks whose times are known."""

from dataclasses import replace

import pytest
from runs import record

from vlmgate.judge.anatomy import Anatomy, anatomy, per_token, throughput
from vlmgate.spec import Block, CaseRecord

# two images of three rounds: whole captions of 17 tokens, and calls for one token
TIMES = ((1.0, 1.0, 9.0), (2.0, 2.0, 2.0))
FIRST = (0.2, 0.4)
BLOCK = Block("m/d", 0, 1, (0, 1), {"int8": TIMES}, {"int8": FIRST}, {}, (0.01,), 1.0)


def case(**settings: int) -> CaseRecord:
    made = record("m", "int8")
    return replace(made, settings=replace(made.settings, new_tokens=17, **settings))


def test_a_further_token_is_the_rest_of_the_same_images_call() -> None:
    rest = [(1.0 - 0.2) / 16, (2.0 - 0.4) / 16]  # one slow round moves nothing
    assert per_token(BLOCK, "int8", 17) == pytest.approx(sum(rest) / 2)
    assert per_token(BLOCK, "int8", 1) is None


def test_times_are_a_caption_and_first_tokens_a_call() -> None:
    assert per_token(BLOCK, "int8", 17, batch=4) == pytest.approx(((4.0 - 0.2) / 16 + (8.0 - 0.4) / 16) / 2)


def test_quantiles_are_of_all_single_calls() -> None:
    found = anatomy(case(), [BLOCK])
    assert found is not None
    assert (found.p50, found.tokens) == (2.0, 17) and 2.0 < found.p90 < 9.0
    assert found.first_token == pytest.approx(0.3)
    double = anatomy(case(batch=2), [BLOCK])
    assert double is not None and double.p50 == 4.0


def test_throughput_is_images_a_second_over_blocks() -> None:
    blocks = [replace(BLOCK, throughput={"int8": {"8": seconds, "1": 0.5}, "fp32": {"8": 99.0}}) for seconds in (1.0, 3.0)]
    assert throughput(blocks, "int8") == {1: 2.0, 8: 4.0}
    assert list(throughput(blocks, "int8")) == [1, 8]  # in order
    assert throughput([BLOCK], "int8") == {}


def test_energy_is_the_mean_of_the_blocks_that_have_it() -> None:
    found = anatomy(case(), [replace(BLOCK, energy={"int8": 4.0}), replace(BLOCK, energy={"int8": 6.0}), BLOCK])
    assert found is not None and found.energy == 5.0


def test_a_case_that_was_not_timed_has_none() -> None:
    assert anatomy(replace(case(), variant="fp32"), [BLOCK]) is None
    assert anatomy(case(), []) is None
    assert isinstance(anatomy(case(), [BLOCK]), Anatomy)
