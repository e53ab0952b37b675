"""Casting: every weight changes its type, and a cast to the same type is an error."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from vlmgate.artefacts import cannot_run
from vlmgate.spec import Step, VlmgateError
from vlmgate.variants import VARIANTS, cast


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 8), nn.LayerNorm(8))


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_every_weight_is_rounded_to_the_type(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = model(), model()
    cast.apply(after, [], {"dtype": name})
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert new.dtype == cast.DTYPES[name]
        assert torch.equal(new, old.to(cast.DTYPES[name]))
    monkeypatch.setattr(cast, "has_bfloat16", lambda: True)
    assert cast.missing({"dtype": name}) == ""


def test_there_and_back_and_no_further() -> None:
    plain = model()
    with pytest.raises(VlmgateError, match="cast: every weight is float32 already, so the step changed nothing"):
        cast.apply(plain, [], {"dtype": "float32"})
    cast.apply(plain, [], {"dtype": "bfloat16"})
    with pytest.raises(VlmgateError, match="every weight is bfloat16 already"):
        cast.apply(plain, [], {"dtype": "bfloat16"})
    cast.apply(plain, [], {"dtype": "float32"})
    assert {value.dtype for value in plain.parameters()} == {torch.float32}


def test_an_unknown_type_is_refused_before_anything_is_touched() -> None:
    plain = model()
    before = copy.deepcopy(plain.state_dict())
    with pytest.raises(VlmgateError, match="cast: unknown dtype 'int4'; known: bfloat16, float16, float32"):
        cast.apply(plain, [], {"dtype": "int4"})
    assert all(torch.equal(value, before[name]) for name, value in plain.state_dict().items())


class Two(nn.Module):
    """Parts that hand their results on in the way of a model's output."""

    def __init__(self) -> None:
        super().__init__()
        self.vision, self.text = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8)), nn.Sequential(nn.Linear(8, 8))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.text(self.vision(pixels))
        return result


def test_a_part_alone_takes_and_gives_float32() -> None:
    torch.manual_seed(0)
    plain, mixed = Two(), Two()
    mixed.load_state_dict(plain.state_dict())
    cast.apply(mixed, ["vision"], {"dtype": "bfloat16", "parts": ("vision",)})
    assert {w.dtype for w in mixed.vision.parameters()} == {torch.bfloat16}
    assert {w.dtype for w in mixed.text.parameters()} == {torch.float32}
    pixels = torch.randn(3, 8)
    seen = mixed.vision(pixels)
    assert seen.dtype == torch.float32
    assert torch.equal(seen, seen.bfloat16().float()), "it computed in bfloat16"
    assert mixed(pixels).dtype == torch.float32
    assert torch.allclose(mixed(pixels), plain(pixels), atol=0.05)
    with pytest.raises(VlmgateError, match="every weight is bfloat16 already"):
        cast.apply(mixed, ["vision"], {"dtype": "bfloat16", "parts": ("vision",)})


def test_floats_are_cast_in_any_nesting_and_nothing_else() -> None:
    ids, x = torch.tensor([1]), torch.tensor([1.0])
    found = cast.to(({"a": x, "b": [ids, None, "c"]}, 3), torch.bfloat16)
    assert found == ({"a": x.bfloat16(), "b": [ids, None, "c"]}, 3)
    assert (found[0]["a"].dtype, found[0]["b"][0].dtype) == (torch.bfloat16, torch.int64)


def test_bfloat16_needs_a_processor_that_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cast, "CPUINFO", tmp_path / "cpuinfo")
    assert cast.missing({"dtype": "bfloat16"}) == "", "a system that does not say is believed to have it"
    (tmp_path / "cpuinfo").write_text("flags : fpu avx2 avx512_vnni\n")
    why = cast.missing({"dtype": "bfloat16"})
    assert why.startswith("this processor has no bfloat16 instructions")
    assert cast.missing({"dtype": "bfloat16", "emulate": True}) == cast.missing({"dtype": "float16"}) == ""
    assert cast.missing({"dtype": "bfloat16", "device": "cuda"}) == "", "a GPU has its own"
    assert cannot_run(VARIANTS["bf16"]) == why
    assert cannot_run(replace(VARIANTS["bf16"], steps=(Step("cast", {"dtype": "bfloat16", "emulate": True}),))) == ""
    (tmp_path / "cpuinfo").write_text("flags : fpu avx512_bf16\n")
    assert cast.missing({"dtype": "bfloat16"}) == ""
