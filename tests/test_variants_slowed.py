"""The slow-down of self-checks: it takes as long as it says and changes nothing else."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from vlmgate.artefacts import Captioner, build_artefact, load_artefact
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS, slowed

CALLS = 12


@pytest.fixture(scope="module")
def folders(tiny_checkpoint: Path, tiny_model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("slowed")
    steps = {"plain": (), "none": (Step("slowed", {"share": 0.0}),), "double": (Step("slowed", {"share": 1.0}),)}
    for name in steps:
        build_artefact(tiny_model, Variant(name, steps[name]), tiny_checkpoint, root / name)
    return {name: root / name for name in steps}


def seconds(captioners: list[Captioner]) -> list[float]:
    """The shortest time of each, taken in turns: what else the machine does can only add to a time."""
    pixels = {"pixel_values": torch.randn((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))}
    shortest = [float("inf")] * len(captioners)
    for _ in range(CALLS):
        for i, captioner in enumerate(captioners):
            began = time.perf_counter()
            captioner.tokens(pixels, least=8, most=8)
            shortest[i] = min(shortest[i], time.perf_counter() - began)
    return shortest


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_every_call_takes_the_share_longer_than_it_would_have(folders: dict[str, Path], share: float) -> None:
    """Wall and CPU seconds of this thread, which computes alone here: who slept would have none of the latter to show."""
    captioner = load_artefact(folders["plain"])
    plain, own, ratios, busy = captioner.tokens, [0.0, 0.0], [], []

    def timed(*args: Any, **kwargs: Any) -> torch.Tensor:
        began, before = time.perf_counter(), time.thread_time()
        result = plain(*args, **kwargs)
        own[:] = time.perf_counter() - began, time.thread_time() - before
        return result

    captioner.tokens = timed  # type: ignore[method-assign]
    slowed.attach(captioner, {"share": share})
    pixels = captioner.inputs([Image.new("RGB", (32, 32))])
    for _ in range(CALLS):
        began, before = time.perf_counter(), time.thread_time()
        captioner.tokens(pixels, least=8, most=8)
        wall, computed = time.perf_counter() - began, time.thread_time() - before
        ratios.append(wall / own[0])
        busy.append((computed - own[1]) / (wall - own[0]))
    assert 1 + share * 0.99 <= min(ratios) < 1 + share * 1.5
    assert max(busy) > 0.5, "what is added is computing, of which another program can only take a part"


def test_a_share_of_one_makes_an_artefact_about_twice_as_slow(folders: dict[str, Path]) -> None:
    plain, double = seconds([load_artefact(folders["plain"]), load_artefact(folders["double"])])
    assert double / plain > 1.5


def test_the_tokens_and_the_weights_are_the_same(folders: dict[str, Path]) -> None:
    pixels = {"pixel_values": torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))}
    tokens = [load_artefact(folder).tokens(pixels, least=8, most=8) for folder in folders.values()]
    assert all(torch.equal(tokens[0], other) for other in tokens)
    payloads = {(folder / "model.safetensors").read_bytes() for folder in folders.values()}
    assert len(payloads) == 1


def test_it_comes_after_other_steps(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    step = Step("slowed", {"share": 1.0})
    fast = VARIANTS["int8-dynamic"]
    build_artefact(tiny_model, fast, tiny_checkpoint, tmp_path / "fast")
    build_artefact(tiny_model, Variant("slow-int8", (*fast.steps, step)), tiny_checkpoint, tmp_path / "slow")
    plain, slow = seconds([load_artefact(tmp_path / "fast"), load_artefact(tmp_path / "slow")])
    assert slow / plain > 1.5


def test_a_negative_share_is_refused() -> None:
    with pytest.raises(VlmgateError, match=r"slowed: share is -0\.5; expected a share of the model's own time"):
        slowed.apply(nn.Linear(1, 1), [], {"share": -0.5})
    assert slowed.missing({}) == ""
