"""Useless bytes: the artefact grows by what was asked for, and the model stays what it was."""

from pathlib import Path

import pytest
from torch import nn

from vlmgate.artefacts import build_artefact
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import inflated


def test_the_artefact_grows_by_the_share_and_reloads(tiny_checkpoint: Path, tiny_model: Model, tmp_path: Path) -> None:
    plain = build_artefact(tiny_model, Variant("plain"), tiny_checkpoint, tmp_path / "plain")
    fat = build_artefact(tiny_model, Variant("fat", (Step("inflated", {"share": 0.5}),)), tiny_checkpoint, tmp_path / "fat")
    assert fat["weight_bytes"] == pytest.approx(1.5 * plain["weight_bytes"], rel=0.01)
    assert fat["size"] > plain["size"] + 0.49 * plain["weight_bytes"]
    assert fat["reloads"] == 1.0 and fat["parameters"] == plain["parameters"]


def test_nothing_is_not_an_inflation() -> None:
    with pytest.raises(VlmgateError, match="share is 0; expected a share"):
        inflated.apply(nn.Linear(2, 2), [], {"share": 0})
