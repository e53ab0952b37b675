"""Operations and bytes of a tiny model by hand, and what each kind of recipe makes of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import PATCH, SIDE, WIDTH
from transformers import AutoConfig

from vlmgate.artefacts.work import work
from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Step, Variant, VlmgateError
from vlmgate.variants import VARIANTS

TOKENS, LAYERS, WIDE = 6, 2, 64
PATCHES = (SIDE // PATCH) ** 2
SEEN = PATCHES + 1  # with the class token
HALF = Variant("half", (Step("layers", {"parts": ("vision", "text"), "amount": 0.5}),))

INT4 = Variant(
    "int4",
    (Step("torchao", {"parts": ("vision", "text"), "scheme": "int4-weights", "tied": True, "group_size": 32}),),
)


@pytest.fixture(scope="module")
def config(tiny_checkpoint: Path) -> Any:
    return AutoConfig.from_pretrained(tiny_checkpoint)


def phases(config: Any, variant: Variant, **settings: int) -> tuple[dict[str, Any], dict[str, Any]]:
    encoder, step = work(config, "blip", BLIP_PARTS, variant, {"batch": 1, "beams": 1, "tokens": TOKENS, **settings})
    assert (encoder["name"], encoder["times"], step["name"], step["times"]) == ("encoder", 1, "step", TOKENS)
    return encoder, step


def conv() -> int:
    return 2 * PATCHES * WIDTH * 3 * PATCH**2


def vision_matrices() -> int:
    return LAYERS * (4 * WIDTH**2 + 2 * WIDTH * WIDE)


def step_matrices(config: Any) -> int:
    """Weights of self-attention, the cross-attention's query and output, MLP, and the head with its transform."""
    return LAYERS * (6 * WIDTH**2 + 2 * WIDTH * WIDE) + WIDTH**2 + config.text_config.vocab_size * WIDTH


def test_float_by_hand(config: Any) -> None:
    encoder, step = phases(config, VARIANTS["fp32"])
    keys = LAYERS * 2 * WIDTH**2  # of the cross-attention, and as many values
    attention = LAYERS * 2 * 2 * SEEN**2 * WIDTH
    assert encoder["operations"] == {"fp32": conv() + 2 * SEEN * (vision_matrices() + keys) + attention}
    assert encoder["bytes"] == 4 * (WIDTH * 3 * PATCH**2 + vision_matrices() + keys)
    held = sum(range(1, TOKENS + 1)) / TOKENS  # tokens that a step looks back on, on average
    attention = LAYERS * 2 * 2 * (held + SEEN) * WIDTH
    assert step["operations"]["fp32"] == pytest.approx(2 * step_matrices(config) + attention)
    assert step["bytes"] == pytest.approx(4 * step_matrices(config))


def test_a_batch_multiplies_operations_and_not_bytes(config: Any) -> None:
    for one, many in zip(phases(config, VARIANTS["fp32"]), phases(config, VARIANTS["fp32"], batch=4), strict=True):
        assert many["operations"]["fp32"] == pytest.approx(4 * one["operations"]["fp32"]) and many["bytes"] == one["bytes"]
    one, beams = phases(config, VARIANTS["fp32"]), phases(config, VARIANTS["fp32"], beams=3)
    assert beams[0] == one[0] and beams[1]["operations"]["fp32"] == pytest.approx(3 * one[1]["operations"]["fp32"])


def test_int8_takes_the_matrices_and_leaves_attention_and_patches(config: Any) -> None:
    whole = phases(config, VARIANTS["fp32"])
    for name in ("int8-dynamic", "int8-dynamic-tied", "onnx-int8"):
        encoder, step = phases(config, VARIANTS[name])
        assert encoder["operations"]["int8"] == 2 * SEEN * (vision_matrices() + LAYERS * 2 * WIDTH**2)
        assert encoder["operations"]["fp32"] == conv() + LAYERS * 2 * 2 * SEEN**2 * WIDTH
        assert step["operations"]["int8"] == pytest.approx(2 * step_matrices(config))
        assert 0.24 < step["bytes"] / whole[1]["bytes"] < 0.4  # scales, a good part of so small a matrix
    encoder, step = phases(config, VARIANTS["bnb-int8"])  # which leaves the output layer, and only that, in floats
    assert encoder["operations"]["int8"] == 2 * SEEN * (vision_matrices() + LAYERS * 2 * WIDTH**2)
    assert step["operations"]["int8"] == pytest.approx(2 * (step_matrices(config) - config.text_config.vocab_size * WIDTH))
    assert set(phases(config, VARIANTS["bnb-nf4"])[1]["operations"]) == {"fp32"}  # 4 bits become floats again
    encoder, _ = phases(config, VARIANTS["openvino-int8"])  # which quantizes the patches too
    assert encoder["operations"]["fp32"] == LAYERS * 2 * 2 * SEEN**2 * WIDTH
    mixed, step = phases(config, VARIANTS["openvino-int8-bf16"])
    assert mixed["operations"] == {"int8": encoder["operations"]["int8"], "bf16": encoder["operations"]["fp32"]}
    assert set(step["operations"]) == {"int8", "fp32"}


def test_a_step_in_int4_is_read_as_such_and_multiplied_in_int8(config: Any) -> None:
    (_, int8), (_, int4) = (phases(config, VARIANTS[name]) for name in ("openvino-int8", "openvino-int4"))
    rest = step_matrices(config) - config.text_config.vocab_size * WIDTH  # the output layer stays in INT8
    assert int8["bytes"] - int4["bytes"] == pytest.approx(rest * (1 - 0.5 - 2 / 64))
    assert int8["operations"] == int4["operations"]


def test_int4_multiplies_in_bfloat16_and_its_head_as_it_is(config: Any) -> None:
    encoder, step = phases(config, INT4)
    attention = LAYERS * 2 * 2 * SEEN**2 * WIDTH  # counted in the narrowest float of its phase
    assert encoder["operations"]["bf16"] == 2 * SEEN * (vision_matrices() + LAYERS * 2 * WIDTH**2) + attention
    head = config.text_config.vocab_size * WIDTH  # shares its matrix with the embedding, which INT4 puts in INT8
    held = sum(range(1, TOKENS + 1)) / TOKENS
    attention = LAYERS * 2 * 2 * (held + SEEN) * WIDTH
    rest = pytest.approx(2 * (step_matrices(config) - head) + attention)
    assert step["operations"] == {"int8": pytest.approx(2 * head), "bf16": rest}
    untied = replace(INT4, steps=(Step("torchao", {**INT4.steps[0].parameters, "tied": False}),))  # which leaves it alone
    assert phases(config, untied)[1]["operations"] == {"fp32": pytest.approx(2 * head), "bf16": rest}


def test_parts_in_other_types(config: Any) -> None:
    encoder, step = phases(config, VARIANTS["int8-dynamic-vision"])
    assert encoder["operations"]["int8"] == 2 * SEEN * vision_matrices()  # the keys and values belong to the text part
    assert set(step["operations"]) == {"fp32"}
    encoder, step = phases(config, VARIANTS["mixed-bf16-vision-int8-text"])
    assert encoder["operations"]["bf16"] == conv() + 2 * SEEN * vision_matrices() + LAYERS * 2 * 2 * SEEN**2 * WIDTH
    assert set(step["operations"]) == {"int8", "fp32"}


@pytest.mark.parametrize(("name", "kind"), [("bf16", "bf16"), ("fp16", "fp16"), ("openvino-bf16", "bf16"), ("onnx-fp32", "fp32")])
def test_whole_models_in_one_type(config: Any, name: str, kind: str) -> None:
    whole, found = phases(config, VARIANTS["fp32"]), phases(config, VARIANTS[name])
    for one, other in zip(whole, found, strict=True):
        assert other["operations"] == {kind: pytest.approx(one["operations"]["fp32"])}
        assert other["bytes"] == pytest.approx(one["bytes"] * (1 if kind == "fp32" else 0.5))


def test_what_is_taken_out_is_not_counted_and_zeros_are(config: Any) -> None:
    whole, half = phases(config, VARIANTS["fp32"]), phases(config, HALF)
    assert half[0]["operations"]["fp32"] - conv() == (whole[0]["operations"]["fp32"] - conv()) / 2
    assert phases(config, VARIANTS["pruned"]) == whole == phases(config, VARIANTS["fp32-compile"])


def test_weights_that_are_only_stored_in_int8_are_multiplied_as_floats(config: Any) -> None:
    variant = Variant("w8", (Step("graph", {"encoder": "static-int8", "step": "int8"}),), backend="openvino")
    _, step = phases(config, variant)
    assert set(step["operations"]) == {"fp32"} and step["bytes"] == pytest.approx(step_matrices(config))


@pytest.mark.parametrize(
    ("variant", "why"),
    [
        (VARIANTS["fp16-cuda"], "it runs on cuda"),
        (Variant("shipped", (Step("artefact", {"folder": "x"}),)), "has no recipe to count by"),
    ],
)
def test_what_cannot_be_counted_says_why(config: Any, variant: Variant, why: str) -> None:
    with pytest.raises(VlmgateError, match=why):
        phases(config, variant)
