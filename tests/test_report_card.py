"""The card of an artefact: figures come from the artefact, measured ones only from a run of the same recipe and weights."""

from dataclasses import replace
from typing import Any

import pytest
from project import Done

from vlmgate.record import fingerprint
from vlmgate.report.card import render
from vlmgate.spec import VlmgateError

EXACT = {"size": 2_500_000.0, "weight_bytes": 2e6, "parameters": 1234567.0, "low_precision_share": 0.5}


def card_of(first: Done, **changes: Any) -> dict[str, Any]:
    record = next(record for record in first.run.cases if record.variant == "int8-dynamic")
    card = {"model": "tiny", "variant": record.recipe, "checkpoint": record.checkpoint, "exact": EXACT}
    return card | changes


def test_without_a_run_nothing_measured_is_said(first: Done) -> None:
    text = render(card_of(first), fingerprint(1))
    assert "| all files [MB] | 2.50 |" in text and "| parameters | 1,234,567 |" in text
    assert "Measured" not in text and "sparsity" not in text and "speed-up" not in text


def test_engine_and_seconds_of_compiling_are_told(first: Done) -> None:
    text = render(card_of(first, engine="onednn", exact={**EXACT, "compile_seconds": 34.16}), fingerprint(1))
    assert "| engine of INT8 | onednn |" in text
    assert "| seconds that the first call compiles, once a process | 34.2 |" in text
    plain = {"name": "fp32", "steps": [], "backend": "torch", "device": "cpu", "dtype": "float32", "about": ""}
    assert "engine" not in render(card_of(first, engine="x86", variant=plain), fingerprint(1)), "nothing is packed"


def test_an_unmodified_model_says_so(first: Done) -> None:
    plain = {"name": "fp32", "steps": [], "backend": "torch", "device": "cpu", "dtype": "float32", "about": ""}
    assert "Nothing was changed." in render(card_of(first, variant=plain), fingerprint(1))


@pytest.mark.parametrize("changes", [{"checkpoint": "other"}, {"variant": "other steps"}], ids=["weights", "recipe"])
def test_a_run_of_something_else_is_refused(first: Done, changes: dict[str, Any]) -> None:
    card = card_of(first)
    if "variant" in changes:
        changes = {"variant": {**card["variant"], "steps": [{"recipe": "l1_prune", "parameters": {}}]}}
    with pytest.raises(VlmgateError, match="another recipe or checkpoint under that name"):
        render(card | changes, fingerprint(1), first.run)
    assert "Measured in run" in render(card, replace(fingerprint(1), info=first.run.environment.info), first.run)
