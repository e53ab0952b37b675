"""Artefacts that somebody else made: what speaks against one, and its exact figures, measured and never believed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from vlmgate.artefacts.build import apart
from vlmgate.artefacts.load import load_artefact, read_card, variant_of
from vlmgate.artefacts.proof import promised
from vlmgate.backends import TORCH, backend
from vlmgate.models.source import check_checkpoint, weight_files
from vlmgate.spec import Variant, VlmgateError
from vlmgate.variants.artefact import CARD, digests, folder_of, size_of
from vlmgate.variants.packed import linear_zeros

LOW = ("int8", "uint8", "float8_e4m3fn", "float8_e5m2")  # types of single tensors
# of the machine that exported it
OF_CALLS = ("reloads", "low_precision_kernels", "bf16_kernels", "compile_seconds", "compiled_graphs")
OF_FILES = ("size", "weight_bytes", "container_bytes", "tokenizer_bytes")  # weighed again


def flaw(variant: Variant) -> str:
    """What is wrong with the artefact that a variant names, seen without reading its weights; empty where nothing is."""
    folder = folder_of(variant)
    if folder is None:
        return ""
    if not folder.is_dir():
        return f"there is no folder {folder}; export it (vlmgate export), or mend its path in suite.yaml"
    try:
        if (folder / CARD).exists():
            if read_card(folder)["variant"]["backend"] == TORCH:
                check_checkpoint(folder, variant.name)
        elif (folder / "config.json").exists():
            check_checkpoint(folder, variant.name)
        else:
            return f"{folder} is no artefact: it has neither {CARD} (of vlmgate export) nor config.json (of save_pretrained)"
    except (VlmgateError, LookupError, TypeError) as error:
        return str(error)
    return ""


def figures(variant: Variant, kind: str) -> dict[str, float]:
    """Exact metrics of the artefact that a variant names, of the family ``kind``; its weights are read.

    Raises:
        VlmgateError: it is missing, damaged, of another family, or not as it was exported.
    """
    folder = folder_of(variant)
    if folder is None or (why := flaw(variant)):
        raise VlmgateError(f"{variant.name}: {why if folder else 'it names no artefact'}")
    card = read_card(folder) if (folder / CARD).exists() else {}
    found = str(card.get("family") or _json(folder / "config.json").get("model_type"))
    if found != kind:
        raise VlmgateError(
            f"{variant.name}: {folder} holds a {found} model where {kind} was expected; "
            "name the artefact under a model of its family, or give another one"
        )
    _unchanged(folder, card, variant.name)
    captioner = load_artefact(folder)
    if not card:
        return _counted(captioner.model, folder, variant.name)
    own = variant_of(card["variant"])
    exact: dict[str, float] = {name: value for name, value in card["exact"].items() if name not in (*OF_CALLS, *OF_FILES)}
    exact["size"] = size_of(folder)
    torchs = own.backend == TORCH
    exact |= {"weight_bytes": tensor_bytes(folder, variant.name)} if torchs else backend(own.backend).weighed(folder)
    return exact | (apart(folder, exact) if "weight_bytes" in exact else {}) | promised(own, captioner)


def tensor_bytes(folder: Path, name: str) -> float:
    """Bytes of all tensors in the safetensors files of a folder, from their headers."""
    total = 0
    for path in weight_files(folder, name):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(
            entry["data_offsets"][1] - entry["data_offsets"][0] for key, entry in header.items() if key != "__metadata__"
        )
    return float(total)


def _unchanged(folder: Path, card: Mapping[str, Any], name: str) -> None:
    """Whether the files are those that were exported, where the export wrote that down."""
    if not (wanted := card.get("files")):
        return
    found = digests(folder)
    if odd := sorted(file for file in {*wanted, *found} if wanted.get(file) != found.get(file)):
        what = "is missing" if odd[0] not in found else "is not the one that was exported"
        raise VlmgateError(f"{name}: {folder / odd[0]} {what}; export it again (vlmgate export)")


def _counted(model: Any, folder: Path, name: str) -> dict[str, float]:
    """Figures of a save_pretrained folder, from its files and from the model that transformers makes of them."""
    weights, low = 0, 0
    for value in model.parameters():
        state = getattr(value, "quant_state", None)  # of bitsandbytes: two weights of 4 bits a byte
        count = state.shape.numel() if state is not None else value.numel()
        weights += count
        low += count if state is not None or _is_low(value) else 0
    found, (zeros, linear) = tensor_bytes(folder, name), (0, 0) if low else linear_zeros(model)  # packed zeros cannot be counted
    return {
        "size": size_of(folder),
        "weight_bytes": found,
        "parameters": float(weights),
        "bits_per_weight": 8 * found / weights,
        "low_precision_share": low / weights,
        "sparsity": zeros / linear if linear else 0.0,
    }


def _is_low(value: nn.Parameter) -> bool:
    """8 bits or fewer: by its type, or a tensor of torchao's, which hides them behind the type it stands for."""
    return str(value.dtype).removeprefix("torch.") in LOW or type(value.data).__module__.startswith("torchao.")


def _json(path: Path) -> Mapping[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
