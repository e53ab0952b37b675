"""`vlmgate size`: closed forms of a registered model and of a model that is too big to load, and mistakes as sentences."""

from collections.abc import Callable
from pathlib import Path

import llava
import pytest

from vlmgate.variants import VARIANTS

Run = Callable[..., tuple[int, str, str]]


def cells(out: str) -> dict[str, list[str]]:
    return {row.split()[0]: row.split()[1:] for row in out.splitlines()[4:]}


def test_size_of_a_model_of_the_suite(vlmgate: Run) -> None:
    status, out, err = vlmgate("size", "blip-base", "--variants", "int8-dynamic", "int8-dynamic-tied", "onnx-fp32")
    assert (status, err) == (0, "")
    assert out.startswith("blip-base: 223,971,644 parameters; parts: vision vision_model; text text_decoder\n")
    found = cells(out)
    assert found["fp32"] == ["895.89", "1.0000"] and found["int8-dynamic"][0].startswith("323.")
    assert 224 < float(found["int8-dynamic-tied"][0]) < 230
    assert found["onnx-fp32"] == ["895.89", "1.0000"]  # every weight once, as in the model


def test_size_of_a_model_too_big_to_load(vlmgate: Run, tmp_path: Path) -> None:
    status, out, err = vlmgate("size", "--config", llava.write_config(tmp_path), "--variants", "bf16", "int8-dynamic-vision")
    assert (status, err) == (0, "") and f"{llava.PARAMETERS:,} parameters" in out
    assert (
        vlmgate("size", "llava-1.5-7b", "--variants", "bf16", "int8-dynamic-vision")[1].splitlines()[1:] == out.splitlines()[1:]
    )
    found = cells(out)
    assert found["bf16"] == ["14,125.81", "0.5000"] and found["fp32"] == ["28,251.61", "1.0000"]
    assert 0.96 < float(found["int8-dynamic-vision"][1]) < 0.97  # the vision tower is a twenty-third of it


def test_every_variant_of_torch_has_a_size_for_a_model_too_big_to_load(vlmgate: Run) -> None:
    status, out, err = vlmgate("size", "llava-1.5-7b")
    assert (status, err) == (0, "")
    found = cells(out)
    for name, variant in VARIANTS.items():
        if variant.backend == "torch":
            assert float(found[name][1]) <= 1.0, found[name]
    assert float(found["neurons-30-nf4"][1]) < float(found["bnb-nf4"][1]) < 0.2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a model of the suite, or a folder with a config.json"),
        (["tiny", "--config", "."], "name a model of the suite, or a folder with a config.json"),
        (["tyni"], "unknown model 'tyni'"),
        (["tiny", "--variants", "int9"], "unknown variant 'int9'"),
        (["--config", "nowhere"], "no configuration in nowhere"),
    ],
)
def test_mistakes_are_sentences(vlmgate: Run, arguments: list[str], sentence: str) -> None:
    status, out, err = vlmgate("size", *arguments)
    assert (status, out) == (4, "") and sentence in err and err.count("\n") == 1
