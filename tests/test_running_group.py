"""Sharing cases out over workers by memory, and a worker's answer as a block."""

from dataclasses import replace

import pytest

from vlmgate.measure import Answer
from vlmgate.models import BLIP_PARTS
from vlmgate.running.group import (
    MOST,
    RESERVE,
    ROLES,
    Group,
    block_of,
    calls_of,
    free_memory,
    how_to_run,
    in_turn,
    runtime_of,
    seed_of,
    share_out,
)
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


def test_a_worker_has_no_more_than_so_many_variants_however_much_memory_there_is() -> None:
    many = [CASES[0], *(case(f"v{n}") for n in range(MOST + 1))]
    parts = names(share_out(many, many[0], {each.id: GB for each in many}, 1000 * GB))
    assert parts == [["fp32", *(f"v{n}" for n in range(MOST))], ["fp32", f"v{MOST}"]]


def test_a_small_variant_leaves_room_for_another() -> None:
    size = {each.id: bytes_ for each, bytes_ in zip(CASES, (GB, 2 * GB, 0.2 * GB, 0.2 * GB), strict=True)}
    assert names(share_out(CASES, CASES[0], size, 4.1 * GB / RESERVE)) == [["fp32", "a"], ["fp32", "b", "c"]]


def test_arms_on_a_gpu_are_shared_out_by_its_free_memory_and_the_others_by_the_hosts() -> None:
    cuda = [replace(each, variant=replace(each.variant, device="cuda")) for each in CASES]
    size = {each.id: GB for each in CASES}
    tight = 4 * GB / RESERVE + 1  # twice the reference and two more
    assert names(share_out(cuda, cuda[0], size, 0.0, gpu_free=100 * GB)) == [["fp32", "a", "b", "c"]]
    assert names(share_out(cuda, cuda[0], size, 100 * GB, gpu_free=tight)) == [["fp32", "a", "b"], ["fp32", "c"]]
    mixed = [CASES[0], CASES[1], *cuda[2:]]  # the reference and a on the host
    assert names(share_out(mixed, mixed[0], size, 3 * GB / RESERVE + 1, gpu_free=GB / RESERVE + 1)) == [
        ["fp32", "a", "b"],
        ["fp32", "c"],
    ]


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
        "threads": 3,
        "waiting": {"GOMP_SPINCOUNT": "7"},
        "affinity": [0, 2],
    }
    block = block_of("tiny/scenes", 3, Answer(result=result, startup=7.0), batch=4)
    assert (block.model, block.index, block.seed, block.images) == ("tiny/scenes", 3, seed_of(3), (0, 1))
    assert block.times == {"fp32": ((1.0, 2.0), (0.5, 1.5)), "placebo": ((1.0, 1.0), (1.0, 1.0))}
    assert block.first_token == {"fp32": (1.0, 2.0), "placebo": (1.0, 1.0)}  # of the whole call
    assert block.warmup == {"fp32": (2.25, 1.0), "placebo": (1.25, 1.0)}
    assert (block.yardstick, block.startup) == ((0.1, 0.2), 7.0)  # of the whole machine: not divided
    assert (block.threads, block.waiting, block.affinity) == (3, {"GOMP_SPINCOUNT": "7"}, (0, 2))  # as the worker told


def test_a_worker_is_told_how_to_decode() -> None:
    assert how_to_run(Settings(threads=3))["decoding"] == {}
    assert how_to_run(Settings(threads=3))["threads"] == 3
    assert how_to_run(Settings(top_k=5, seed=2))["decoding"] == {"top_k": 5, "temperature": 1.0, "seed": 2}


@pytest.mark.parametrize(
    ("backend", "runtime"), [("torch", "torch"), ("torch-compile", "torch"), ("onnx", "onnx"), ("openvino", "openvino")]
)
def test_a_variant_is_computed_by_the_runtime_of_its_backend(backend: str, runtime: str) -> None:
    assert runtime_of(Variant("any", backend=backend)) == runtime


@pytest.mark.parametrize(("threads", "others"), [(1, [["fp32", "o", "p"]]), (2, [["fp32", "o"], ["fp32", "p"]])])
def test_runtimes_are_kept_apart_and_pools_of_threads_too(threads: int, others: list[list[str]]) -> None:
    cases = [*CASES[:3], *(replace(case(name), variant=Variant(name, backend="onnx")) for name in ("o", "p"))]
    cases = [replace(each, settings=replace(each.settings, threads=threads)) for each in cases]
    parts = names(share_out(cases, cases[0], {each.id: GB for each in cases}, 100 * GB))
    assert parts == [["fp32", "a", "b"], *others]


def test_each_worker_is_first_in_its_turn() -> None:
    parts = [[case("a")], [case("b")], [case("c")]]
    assert ["".join(name for (name,) in names(in_turn(parts, index))) for index in range(4)] == ["abc", "bca", "cab", "abc"]


def test_roles_take_other_turns() -> None:
    assert len({seed_of(index, role) for index in range(24) for role in ROLES}) == 96


def test_calls_are_named_by_kind_and_numbered_in_their_order() -> None:
    said = [
        ["warming", "fp32", None, None, 0.5],
        ["timing", "int8", 0, 1, 0.25],
        ["yardstick", "", 0, None, 0.1],
        ["timing at batch 4", "fp32", None, None, 2.0],
    ]
    result = {"times": {"fp32": [[1.0]]}, "first_token": {}, "warmup": {}, "yardstick": [], "calls": said}
    block = block_of("tiny/scenes", 3, Answer(result=result), 1, "retry")
    calls = calls_of(block, 9, Answer(result=result))
    assert [(call.turn, call.kind, call.round, call.image, call.arm, call.seconds) for call in calls] == [
        (0, "warm-up", None, None, "fp32", 0.5),
        (1, "timed", 0, 1, "int8", 0.25),
        (2, "yardstick", 0, None, "", 0.1),
        (3, "timing at batch 4", None, None, "fp32", 2.0),
    ]
    assert {(call.model, call.block, call.role, call.worker) for call in calls} == {("tiny/scenes", 3, "retry", 9)}
