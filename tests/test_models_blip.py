"""BLIP: the published shapes, weights that measure something, and decoding of an exact number of tokens."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, BlipForConditionalGeneration

from vlmgate.models import blip
from vlmgate.models.source import check_checkpoint
from vlmgate.spec import VlmgateError

BASE, LARGE = blip.SHAPES
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture
def small_shape(monkeypatch: pytest.MonkeyPatch) -> str:
    """A published shape made small enough to be built in a test."""
    monkeypatch.setitem(blip.SHAPES, "small", {"vision": SMALL, "text": SMALL | {"encoder_hidden_size": 32}})
    return "small"


@pytest.fixture(scope="module")
def captioner(tiny_checkpoint: Path) -> BlipForConditionalGeneration:
    return BlipForConditionalGeneration.from_pretrained(tiny_checkpoint, dtype=torch.float32).eval()


def pixels(side: int, images: int = 2) -> torch.Tensor:
    return torch.randn((images, 3, side, side), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("location", "parameters"), [(BASE, 223_971_644), (LARGE, 446_290_492)])
def test_the_published_shapes_have_the_published_number_of_parameters(location: str, parameters: int) -> None:
    with torch.device("meta"):  # shapes only, no memory
        model = BlipForConditionalGeneration(blip.config(location))
    assert sum(value.numel() for value in model.parameters()) == parameters
    assert model.config.vision_config.image_size == 384


def test_an_unknown_shape_is_refused_with_the_known_ones() -> None:
    with pytest.raises(VlmgateError, match="unknown published BLIP shape 'x/y'; known: Salesforce/blip-image-captioning-base"):
        blip.config("x/y")


def test_random_weights_spread_as_trained_ones_do() -> None:
    config = blip.config(BASE)
    config.vision_config.num_hidden_layers = config.text_config.num_hidden_layers = 1
    config.text_config.vocab_size = 8
    torch.manual_seed(0)
    model = BlipForConditionalGeneration(config)
    matrices = {name: value for name, value in model.named_parameters() if value.ndim >= 2 and "position" not in name}
    assert any("vision_model" in name for name in matrices)
    for name, value in matrices.items():
        if name != "vision_model.embeddings.class_embedding":
            assert 0.015 < float(value.detach().std()) < 0.025, name


def test_a_random_checkpoint_is_whole_seeded_and_captions(small_shape: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        blip.build_random(small_shape, tmp_path / name)
        torch.rand(7)  # the seed is the function's own
    check_checkpoint(tmp_path / "one", "small")
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == (tmp_path / "two" / "model.safetensors").read_bytes()
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "one", dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(tmp_path / "one", backend="pil")
    assert len(processor.tokenizer) == 30524
    assert processor.tokenizer.convert_tokens_to_ids(["[PAD]", "[CLS]", "[SEP]", "[DEC]"]) == [0, 101, 102, 30522]
    with torch.inference_mode():
        ids = blip.generate(model, {"pixel_values": pixels(384, 1)}, least=4, most=4)
    assert ids.shape == (1, 4)
    assert processor.batch_decode(ids)[0]


@pytest.mark.parametrize(("least", "most"), [(5, 5), (1, 1), (12, 12)])
def test_exactly_as_many_new_tokens_as_asked(captioner: BlipForConditionalGeneration, least: int, most: int) -> None:
    with torch.inference_mode():
        assert blip.generate(captioner, {"pixel_values": pixels(32)}, least=least, most=most).shape == (2, most)


def test_at_most_so_many_without_a_least_and_the_end_token_ends_it(captioner: BlipForConditionalGeneration) -> None:
    ends = captioner.config.text_config.sep_token_id
    bias = captioner.text_decoder.cls.predictions.bias
    before = bias.detach().clone()
    with torch.inference_mode():
        ids = blip.generate(captioner, {"pixel_values": pixels(32)}, least=0, most=6)
        try:
            bias[ends] = 100.0
            ended = blip.generate(captioner, {"pixel_values": pixels(32)}, least=0, most=6)
            forced = blip.generate(captioner, {"pixel_values": pixels(32)}, least=6, most=6)
        finally:
            bias.copy_(before)
    assert ids.shape[1] <= 6
    assert ended.tolist() == [[ends], [ends]]
    assert forced.shape == (2, 6), "timing needs the full number even where the model would stop"


def test_tokens_do_not_depend_on_the_neighbours_in_the_batch(captioner: BlipForConditionalGeneration) -> None:
    images = pixels(32, 3)
    with torch.inference_mode():
        together = blip.generate(captioner, {"pixel_values": images}, least=6, most=6)
        alone = [blip.generate(captioner, {"pixel_values": image[None]}, least=6, most=6) for image in images]
    assert torch.equal(together, torch.cat(alone))


def test_images_of_another_size_are_read_by_interpolated_positions(captioner: BlipForConditionalGeneration) -> None:
    with torch.inference_mode():
        assert blip.generate(captioner, {"pixel_values": pixels(48)}, least=3, most=3).shape == (2, 3)
        assert blip.generate(captioner, {"pixel_values": pixels(16)}, least=3, most=3).shape == (2, 3)
        with pytest.raises(RuntimeError, match="size of tensor"):  # what comes out without interpolation
            captioner.generate(pixel_values=pixels(48), max_new_tokens=3)
