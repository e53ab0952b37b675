"""The slow-down of self-checks: it takes as long as it says and changes nothing else."""

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from vlmgate.prepare import Captioner, build_artefact, load_artefact
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
    """The total time of each, taken in turns."""
    pixels = {"pixel_values": torch.randn((1, 3, 32, 32), generator=torch.Generator().manual_seed(0))}
    totals = [0.0] * len(captioners)
    for n in range(-2, CALLS):
        for i, captioner in enumerate(captioners):
            began = time.perf_counter()
            captioner.tokens(pixels, least=8, most=8)
            totals[i] += (time.perf_counter() - began) * (n >= 0)  # the first two rounds warm up
    return totals


def test_a_share_of_one_makes_it_about_twice_as_slow(folders: dict[str, Path]) -> None:
    plain, double = seconds([load_artefact(folders["plain"]), load_artefact(folders["double"])])
    assert 1.5 < double / plain < 3.0


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
