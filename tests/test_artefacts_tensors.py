"""Reading tensors: the same as safetensors' own reader gives, in memory of their own; a damaged file is one sentence."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vlmgate.artefacts.tensors import TYPES, read_tensors
from vlmgate.spec import VlmgateError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tensors = {f"of {name}": (torch.randn(3, 5) * 40).to(dtype) for name, dtype in TYPES.items()}
    tensors |= {"scalar": torch.tensor(0.1, dtype=torch.float64), "empty": torch.zeros(0, 4), "one": torch.tensor([1])}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return tmp_path / "model.safetensors"


def test_it_reads_what_the_library_reads_bit_by_bit(file: Path) -> None:
    ours, theirs = read_tensors(file), load_file(file)
    assert ours.keys() == theirs.keys() and len(ours) == len(TYPES) + 3
    for name, value in theirs.items():
        assert (ours[name].dtype, ours[name].shape) == (value.dtype, value.shape)
        assert torch.equal(ours[name].reshape(-1).view(torch.uint8), value.reshape(-1).view(torch.uint8))


def test_tensors_are_their_own_and_aligned(file: Path) -> None:
    tensors = read_tensors(file)
    before = file.read_bytes()
    for value in (value for value in tensors.values() if value.numel()):
        assert value.data_ptr() % 64 == 0 and value.untyped_storage().nbytes() == value.numel() * value.element_size()
        value.zero_()
    assert file.read_bytes() == before


@pytest.mark.parametrize("kept", [4, 40, -1, -100])
def test_a_file_that_is_cut_off_is_one_sentence(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(VlmgateError, match=r"model\.safetensors is damaged .*vlmgate cache --clear"):
        read_tensors(file)


def test_large_tensors_begin_where_they_are_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    tensors = {"large": torch.randn(300, 300), "small": torch.randn(3)}
    save_file(tensors, tmp_path / "model.safetensors")
    monkeypatch.setenv("VLMGATE_ALIGN", str(1 << 21))
    read = read_tensors(tmp_path / "model.safetensors")
    assert read["large"].data_ptr() % (1 << 21) == 0 and all(torch.equal(read[name], tensors[name]) for name in tensors)
