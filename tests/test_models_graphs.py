"""Two graphs and what a decoding loop must know of them."""

import json
from pathlib import Path

import pytest

from vlmgate.artefacts import load_reference
from vlmgate.models.blip_graph import graphs
from vlmgate.models.graphs import Graphs
from vlmgate.spec import Model


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path, tiny_model: Model) -> Graphs:
    return graphs(load_reference(tiny_checkpoint, tiny_model))


def test_the_card_is_json_and_holds_what_a_loop_needs(tiny: Graphs) -> None:
    assert json.loads(json.dumps(tiny.card())) == tiny.card()
    assert tiny.card() | {"positions": 0} == {"side": 32, "start": 2, "end": 3, "pad": 0, "positions": 0, "caches": [[2, 16]] * 4}


def test_the_example_fits_the_step_and_names_fit_both(tiny: Graphs) -> None:
    example = tiny.example(batch=3, length=5)
    past, image, present = tiny.names()
    assert len(example) == 2 + len(past) + len(image)
    given = tiny.step(*example)
    assert given[0].shape[0] == 3
    assert len(given) == 1 + len(present)
    assert given[1].shape == (3, 2, 6, 16)
    assert past[:2] == ["past.key.0", "past.value.0"]
