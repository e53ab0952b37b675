"""BLIP as two graphs says what transformers' BLIP says, token for token, alone and in a batch."""

from pathlib import Path

import pytest
import torch
from tiny import SIDE

from vlmgate.artefacts import load_reference
from vlmgate.models import family
from vlmgate.models.blip_graph import attend, graphs, thirds
from vlmgate.spec import Model


@pytest.mark.parametrize("room", [0, 20, 33], ids=["growing", "just enough", "more than enough"])
@pytest.mark.parametrize("batch", [1, 3])
def test_it_gives_the_logits_of_transformers(tiny_checkpoint: Path, tiny_model: Model, batch: int, room: int) -> None:
    loaded = load_reference(tiny_checkpoint, tiny_model)
    made, new = graphs(loaded), 20
    pixels = torch.randn((batch, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        theirs = family("blip").generate(loaded, {"pixel_values": pixels}, least=new, most=new)
        said = torch.cat([torch.full((batch, 1), made.start), theirs], 1)
        states = loaded.vision_model(pixels).last_hidden_state
        expected = loaded.text_decoder(said[:, :new], encoder_hidden_states=states, use_cache=False).logits
        made.step.fixed = bool(room)  # what stands behind the last token must not matter
        image, past = made.encoder(pixels), [torch.full((batch, heads, room, size), 7.0) for heads, size in made.caches]
        for position in range(new):
            logits, *past = made.step(said[:, position : position + 1], torch.tensor([position]), *past, *image)
            torch.testing.assert_close(logits, expected[:, position], atol=1e-5, rtol=1e-4)


def test_attention_spelled_out_is_attention() -> None:
    query, key, value = torch.randn(2, 3, 1, 8), torch.randn(2, 3, 17, 8), torch.randn(2, 3, 17, 8)
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attend(query.mT, key, value, 8**-0.5), expected)


def test_products_apart_are_the_products_together(tiny_checkpoint: Path, tiny_model: Model) -> None:
    encoder = graphs(load_reference(tiny_checkpoint, tiny_model)).encoder
    pixels = torch.randn((2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together = encoder(pixels)
        encoder.apart = True
        torch.testing.assert_close(encoder(pixels), together)


@pytest.mark.parametrize("bias", [True, False])
def test_a_third_with_and_without_a_bias(bias: bool) -> None:
    joined, states = torch.nn.Linear(8, 12, bias=bias), torch.randn(2, 5, 8)
    torch.testing.assert_close(torch.cat(thirds(joined, states), -1), joined(states))
