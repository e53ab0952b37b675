"""Sharing cases out over workers by memory, and a worker's answer as a block."""

import pytest

from vlmgate.measure import Answer
from vlmgate.models import BLIP_PARTS
from vlmgate.run.group import RESERVE, Group, block_of, free_memory, seed_of, share_out
from vlmgate.spec import Case, Dataset, Model, Settings, Source, Variant

MODEL = Model("tiny", "blip", Source.LOCAL, "here", BLIP_PARTS)
GB = 1e9


def case(name: str) -> Case:
    return Case(MODEL, Variant(name), "scenes", Settings(), ())


CASES = [case("fp32"), case("a"), case("b"), case("c")]


def names(parts: list[list[Case]]) -> list[list[str]]:
    return [[each.variant.name for each in part] for part in parts]


@pytest.mark.parametrize(
    ("free", "shared"),
    [
        (100 * GB, [["fp32", "a", "b", "c"]]),
        (5 * GB / RESERVE + 1, [["fp32", "a", "b", "c"]]),  # twice the reference (2 × 1) and three times 1
        (5 * GB / RESERVE - 1, [["fp32", "a", "b"], ["fp32", "c"]]),
        (3 * GB / RESERVE + 1, [["fp32", "a"], ["fp32", "b"], ["fp32", "c"]]),
        (0.0, [["fp32", "a"], ["fp32", "b"], ["fp32", "c"]]),  # nothing fits: tried one by one all the same
    ],
)
def test_cases_are_shared_out_by_memory_with_the_reference_in_each_part(free: float, shared: list[list[str]]) -> None:
    assert names(share_out(CASES, CASES[0], {each.id: GB for each in CASES}, free)) == shared


def test_a_small_variant_leaves_room_for_another() -> None:
    size = {each.id: bytes_ for each, bytes_ in zip(CASES, (GB, 2 * GB, 0.2 * GB, 0.2 * GB), strict=True)}
    assert names(share_out(CASES, CASES[0], size, 4.1 * GB / RESERVE)) == [["fp32", "a"], ["fp32", "b", "c"]]


def test_a_reference_alone_has_a_worker() -> None:
    assert names(share_out(CASES[:1], CASES[0], {CASES[0].id: GB})) == [["fp32"]]


def test_the_free_memory_is_a_sensible_number() -> None:
    assert 1e6 < free_memory() < 1e15


def test_a_group_is_named_by_model_and_dataset() -> None:
    assert Group(CASES, CASES[0], Dataset("scenes", (), "0" * 64)).name == "tiny/scenes"


def test_blocks_are_seeded_apart() -> None:
    assert len({seed_of(index) for index in range(24)}) == 24


def test_a_block_holds_seconds_a_caption_whatever_the_batch() -> None:
    result = {
        "times": {"fp32": [[4.0, 8.0], [2.0, 6.0]], "placebo": [[4.0, 4.0], [4.0, 4.0]]},
        "first_token": {"fp32": [1.0, 2.0], "placebo": [1.0, 1.0]},
        "warmup": {"fp32": [9.0, 4.0], "placebo": [5.0, 4.0]},
        "yardstick": [0.1, 0.2],
    }
    block = block_of("tiny/scenes", 3, Answer(result=result, startup=7.0), batch=4)
    assert (block.model, block.index, block.seed, block.images) == ("tiny/scenes", 3, seed_of(3), (0, 1))
    assert block.times == {"fp32": ((1.0, 2.0), (0.5, 1.5)), "placebo": ((1.0, 1.0), (1.0, 1.0))}
    assert block.first_token == {"fp32": (1.0, 2.0), "placebo": (1.0, 1.0)}  # of the whole call
    assert block.warmup == {"fp32": (2.25, 1.0), "placebo": (1.25, 1.0)}
    assert (block.yardstick, block.startup) == ((0.1, 0.2), 7.0)  # of the whole machine: not divided
