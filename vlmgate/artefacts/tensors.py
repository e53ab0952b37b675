"""Tensors of a safetensors file, each read straight into memory of its own.

``safe_open`` maps the file, and copying out of the map costs a page fault every 4 KB: for the 0.9 GB of an FP32 BLIP-base
1.0 to 1.5 s against 0.15 s here, for every arm of every block. Format: https://github.com/huggingface/safetensors#format

torch aligns a tensor to 64 bytes. `VLMGATE_ALIGN` (bytes) aligns those of `LARGE` bytes and more to something else, which is for
finding out whether it matters (docs/variance.py); no variant sets it.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlmgate.spec import VlmgateError

ALIGN = "VLMGATE_ALIGN"
LARGE = 65_536  # bytes: below, a tensor fits into a cache whatever its address
TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Name → tensor, in the order of the file; aligned and private to this process.

    Raises:
        VlmgateError: the file is cut off, or is no safetensors file.
    """
    with path.open("rb", buffering=0) as file:
        try:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, path.stat().st_size)))
            header.pop("__metadata__", None)
            rows = sorted(header.items(), key=lambda row: row[1]["data_offsets"][0])
            return {name: _read(file, 8 + length, entry) for name, entry in rows}
        except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            raise VlmgateError(
                f"{path} is damaged ({error}); make it again by clearing the cache (vlmgate cache --clear)"
            ) from error


def _empty(shape: list[int], dtype: torch.dtype, align: int) -> Tensor:
    """A tensor without values; a large one begins at a multiple of ``align`` bytes, where that is not 0."""
    plain = torch.empty(shape, dtype=dtype)
    if not align or plain.nbytes < LARGE:
        return plain
    room = torch.empty(plain.nbytes + align, dtype=torch.uint8)
    start = -room.data_ptr() % align
    return room[start : start + plain.nbytes].view(dtype).reshape(shape)


def _read(file: Any, start: int, entry: dict[str, Any]) -> Tensor:
    tensor = _empty(entry["shape"], TYPES[entry["dtype"]], int(os.environ.get(ALIGN) or 0))
    first, end = entry["data_offsets"]
    file.seek(start + first)
    plain: Any = tensor.reshape(-1).view(torch.uint8).numpy() if tensor.numel() else b""
    room = memoryview(plain)
    if len(room) != end - first:
        raise ValueError(f"{end - first} bytes for a tensor of {len(room)}")
    while len(room):  # one read gives at most 2 GB
        if not (got := file.readinto(room)):
            raise ValueError("it ends within its tensors")
        room = room[got:]
    return tensor
