"""Decoding: settings become generate's own words, sampling is seeded, and what decodes only greedily says so."""

from pathlib import Path

import pytest
import torch

from vlmgate.artefacts import build_artefact, load_artefact
from vlmgate.artefacts.captioner import Captioner
from vlmgate.models import decoding, family
from vlmgate.running.group import decoding_of
from vlmgate.spec import Model, Settings, VlmgateError
from vlmgate.variants import VARIANTS
from vlmgate.worker.common import load as load_arm


@pytest.fixture(scope="module")
def folder(tiny_checkpoint: Path, tiny_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("decoding") / "fp32"
    build_artefact(tiny_model, VARIANTS["fp32"], tiny_checkpoint, where)
    return where


def captioner(folder: Path, **settings: int | float) -> Captioner:
    return load_artefact(folder, decoding=decoding_of(Settings(**settings)))  # type: ignore[arg-type]


def tokens(one: Captioner, most: int = 8, least: int = 8) -> torch.Tensor:
    pixels = torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    return one.tokens({"pixel_values": pixels}, least=least, most=most)


def test_settings_say_only_what_departs_from_greedy() -> None:
    assert decoding_of(Settings()) == decoding_of(Settings(temperature=0.5, seed=3)) == {}
    assert decoding_of(Settings(beams=4)) == {"beams": 4}
    assert decoding_of(Settings(top_k=5, seed=3)) == {"top_k": 5, "temperature": 1.0, "seed": 3}
    assert decoding.arguments({}) == decoding.arguments(None) == {"do_sample": False, "num_beams": 1}


def test_beams_find_a_likelier_sentence_than_greedy_decoding(folder: Path) -> None:
    greedy, beams = captioner(folder), captioner(folder, beams=6)

    def likelihood(ids: torch.Tensor) -> torch.Tensor:
        model = greedy.model
        pixels = torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(1))
        start = torch.full((2, 1), model.decoder_input_ids)
        with torch.inference_mode():
            seen = model.vision_model(pixels)[0]
            logits = model.text_decoder(torch.cat([start, ids[:, :-1]], 1), encoder_hidden_states=seen).logits
        return logits.log_softmax(-1).gather(2, ids[:, :, None]).sum((1, 2))  # type: ignore[no-any-return]

    plain, searched = tokens(greedy), tokens(beams)
    assert plain.shape == searched.shape == (2, 8), "timing asks for exactly so many, beams or not"
    assert bool((likelihood(searched) >= likelihood(plain) - 1e-4).all())
    assert float(likelihood(searched).sum()) > float(likelihood(plain).sum()) + 1e-3


def test_sampling_begins_at_its_seed_with_every_call(folder: Path) -> None:
    one = captioner(folder, top_k=20, temperature=2.0, seed=1)
    first = tokens(one)
    torch.rand(7)  # whatever else draws in between
    assert torch.equal(first, tokens(one))
    assert not torch.equal(first, tokens(captioner(folder, top_k=20, temperature=2.0, seed=2)))
    assert torch.equal(tokens(captioner(folder, top_k=1, seed=5)), tokens(captioner(folder))), "the likeliest one only: greedy"


def test_who_decodes_greedily_refuses_the_rest() -> None:
    def old(model: object, inputs: object, *, least: int, most: int) -> None: ...

    decoding.check_decoding(old, {}, "mine")
    decoding.check_decoding(family("blip").generate, {"beams": 2}, "blip")
    with pytest.raises(VlmgateError, match=r"^mine decodes only greedily, and the settings ask for top_k: 5, seed: 1; take them"):
        decoding.check_decoding(old, {"top_k": 5, "seed": 1}, "mine")


def test_a_family_that_decodes_only_greedily_is_refused_when_it_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = family("blip").generate
    monkeypatch.setattr(
        family("blip"), "generate", lambda model, inputs, *, least, most: plain(model, inputs, least=least, most=most)
    )
    assert tokens(captioner(folder)).shape == (2, 8)
    with pytest.raises(VlmgateError, match="blip decodes only greedily, and the settings ask for beams: 2"):
        captioner(folder, beams=2)


def test_a_worker_decodes_as_its_job_says(folder: Path) -> None:
    arm = {"name": "fp32", "folder": str(folder)}
    sampled = load_arm(arm, {"image_size": None, "decoding": decoding_of(Settings(top_k=20, seed=1))})
    assert torch.equal(tokens(sampled), tokens(captioner(folder, top_k=20, seed=1)))
    assert torch.equal(tokens(load_arm(arm, {"image_size": None})), tokens(captioner(folder))), "an older parent says nothing"
