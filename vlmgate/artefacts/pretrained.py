"""Folders in transformers' save_pretrained layout → models in memory, quantized ones included; nothing pickled is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageTextToText

from vlmgate.artefacts.captioner import Captioner, load_processor
from vlmgate.models import family
from vlmgate.models.decoding import check_decoding
from vlmgate.spec import VlmgateError
from vlmgate.variants.bnb import quieten

SAFE = {"local_files_only": True, "trust_remote_code": False}


def read_model(folder: Path, name: str, kind: str = "", dtype: torch.dtype | str = "auto") -> Any:
    """The model in ``folder``, on the CPU; ``kind`` is the family that is expected.

    Raises:
        VlmgateError: it is of another family, lacks weights or cannot be loaded.
    """
    try:
        config = AutoConfig.from_pretrained(folder, **SAFE)
        if kind and config.model_type != kind:
            raise VlmgateError(f"{name}: {folder} holds a {config.model_type} model where {kind} was expected")
        auto: Any = AutoModelForImageTextToText  # whose types leave out output_loading_info
        loaded, found = auto.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, in words
            **SAFE,
        )
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        why = " ".join(str(error).split())[:300]
        raise VlmgateError(f"{name}: cannot load {folder} ({type(error).__name__}: {why}); save it again") from error
    # transformers fills what is missing with random numbers and goes on
    if wrong := sorted({*found["missing_keys"], *(entry[0] for entry in found["mismatched_keys"])}):
        raise VlmgateError(
            f"{name}: {folder} lacks {len(wrong)} of the weights that its config.json describes, or has them in "
            f"another shape, such as {wrong[0]}; save it again"
        )
    asked = getattr(config, "quantization_config", None) or {}
    if asked and getattr(loaded, "hf_quantizer", None) is None:  # transformers warns, and goes on without
        method = asked.get("quant_method") if isinstance(asked, dict) else asked
        raise VlmgateError(f"{name}: {folder} asks for quant_method {method}, which transformers does not know; save it again")
    return loaded.eval()


def load_pretrained(folder: Path, image_size: int | None = None, decoding: Mapping[str, Any] | None = None) -> Captioner:
    """A captioner from a folder that ``save_pretrained`` wrote, in the types that are stored there."""
    quieten()
    model = read_model(folder, folder.name)
    kind = family(model.config.model_type)
    check_decoding(kind.generate, decoding or {}, model.config.model_type)
    where = str(next(model.parameters()).device)
    return Captioner(model, load_processor(folder), kind, where, model.dtype, image_size, decoding or {})
