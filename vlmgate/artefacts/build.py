"""Model + Variant → an artefact on disk, made once and renamed into place when whole: what is measured is what would ship."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import safetensors
import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from vlmgate.artefacts.captioner import load_processor
from vlmgate.artefacts.closed_form import closed_form
from vlmgate.artefacts.happened import keeps_weights, state_of
from vlmgate.artefacts.load import ARTEFACT_VERSION, load_artefact, load_reference, read_card, shapes_of
from vlmgate.artefacts.proof import fixed_pixels, promised
from vlmgate.backends import TORCH, backend
from vlmgate.backends.calibration import training_pixels
from vlmgate.models import family
from vlmgate.models.source import fingerprint
from vlmgate.spec import Model, Variant, VlmgateError
from vlmgate.variants import ALL_PARTS, recipe
from vlmgate.variants.artefact import CARD, folder_of, size_of, steps_of
from vlmgate.variants.cast import DTYPES
from vlmgate.variants.packed import all_weights, linear_zeros, low_precision_weights, tensors_of

# Files with tensors and graphs; others are tokenizer, configuration …
WEIGHED = (".safetensors", ".onnx", ".xml", ".bin")


def cannot_run(variant: Variant) -> str:
    """Everything that this machine lacks to run the variant, or an empty string."""
    reasons, there = [], folder_of(variant)
    if variant.device.startswith("cuda") and not torch.cuda.is_available():
        reasons.append(f"{variant.name} needs an NVIDIA GPU with CUDA; torch {torch.__version__} sees none")
    if variant.backend != TORCH:
        made = replace(variant, steps=steps_of(there)) if there else variant
        reasons.append(str(backend(variant.backend).missing(made, build=not there)))
    reasons += [str(recipe(step.recipe).missing({**step.parameters, "device": variant.device})) for step in variant.steps]
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def transform(loaded: nn.Module, model: Model, variant: Variant) -> int:
    """Carry out the variant's steps on ``loaded`` in place; each step knows parts, never families.

    Returns:
        the number of parameters: of the model as it came, less what a step that shrinks it took out (quantizing takes none).

    Raises:
        VlmgateError: a step names a part that the model has not, or changed no weight.
    """
    parameters = _parameters(loaded)
    for step in variant.steps:
        parts = step.parameters.get("parts", tuple(model.parts))
        if odd := sorted(set(parts) - {*ALL_PARTS, *model.parts}):
            raise VlmgateError(
                f"{variant.name}: {step.recipe} names the part {odd[0]!r}; {model.name} has {', '.join(model.parts)}"
            )
        prefixes = [prefix for part in parts for prefix in model.parts.get(part, ())]
        module, before = recipe(step.recipe), _parameters(loaded)
        weights = None if keeps_weights(module) else state_of(loaded)
        module.apply(loaded, prefixes, step.parameters)
        if weights is not None and state_of(loaded) == weights:
            raise VlmgateError(
                f"{variant.name}: {step.recipe} changed no weight of {model.name}, so it did not happen; mend it, or say "
                "KEEPS_WEIGHTS = True in its module where that is meant"
            )
        if getattr(module, "SHRINKS", False):
            parameters += _parameters(loaded) - before
    return parameters


def _parameters(loaded: nn.Module) -> int:
    return sum(value.numel() for value in loaded.parameters())


def build_artefact(model: Model, variant: Variant, checkpoint: Path, folder: Path) -> dict[str, float]:
    """Prepare the variant, save it to ``folder`` (renamed into place when whole) and return its exact metrics.

    Returns:
        bytes (size, weight_bytes), counts (parameters) and shares (low_precision_share, sparsity), as in METRICS,
        and ``reloads``: 1.0 when the reloaded artefact gives the same tokens as the model it was saved from.
    """
    if (folder / CARD).exists():
        return _exact(folder)
    loaded = load_reference(checkpoint, model)
    expected = closed_form(loaded.config, variant, model)
    parameters = transform(loaded, model, variant)
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had this id
        partial.mkdir(parents=True)
        if variant.backend == TORCH:
            found, ready = _save(loaded, model, variant, checkpoint, partial), loaded.to(variant.device).eval()
        else:
            found, ready = _save_graphs(loaded, model, variant, checkpoint, partial)
        exact = {"parameters": float(parameters), "size": _size(partial)} | found
        exact |= apart(partial, exact)
        exact |= _proven(ready, partial, variant) | expected
        _write_card(partial, model, variant, checkpoint, exact)
        if folder.exists() and not (folder / CARD).exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    except (OSError, SafetensorError) as error:  # a full disk is either, depending on who was writing
        if (folder / CARD).exists():  # another process was faster
            return _exact(folder)
        why = getattr(error, "strerror", None) or error
        raise VlmgateError(f"cannot write {folder}: {why}; free some space or set VLMGATE_CACHE to another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return exact


def artefact_key(model: Model, variant: Variant, checkpoint: Path) -> Mapping[str, Any]:
    """All that an artefact depends on; a changed key means that it is made again."""
    return {
        "version": ARTEFACT_VERSION,
        "family": model.family,
        "parts": {part: list(prefixes) for part, prefixes in model.parts.items()},
        "variant": asdict(variant) | {"about": ""},
        "checkpoint": fingerprint(checkpoint, model.name),
        "processor": _processor_fingerprint(checkpoint),
        "torch": torch.__version__,
        "transformers": transformers.__version__,  # it loads, reshapes and saves the model
        "safetensors": safetensors.__version__,
        "engine": torch.backends.quantized.engine,
        "runtime": {} if variant.backend == TORCH else _runtime(variant.backend),
        "libraries": {step.recipe: found for step in variant.steps if (found := _libraries(step.recipe))},
    }


def _libraries(name: str) -> Mapping[str, str]:
    """Versions of the libraries that a recipe packs weights with."""
    module = recipe(name)
    return dict(module.versions()) if hasattr(module, "versions") else {}


def _runtime(name: str) -> Mapping[str, Any]:
    return {"version": backend(name).VERSION, **backend(name).versions()}


def _processor_fingerprint(checkpoint: Path) -> str:
    """SHA-256 over the small files of a checkpoint (processor, vocabulary …), which an artefact holds copies of."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in ("*.json", "*.txt", "*.model") for file in checkpoint.glob(pattern)):
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _save(loaded: Any, model: Model, variant: Variant, checkpoint: Path, folder: Path) -> dict[str, float]:
    tensors, layout = tensors_of(loaded)
    loaded.config.dtype = DTYPES[variant.dtype]  # so that from_pretrained of transformers loads what is stored
    loaded.config.save_pretrained(folder)
    load_processor(checkpoint).save_pretrained(folder)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    card = {"version": ARTEFACT_VERSION, "family": model.family, "variant": asdict(variant), "layout": layout, "exact": {}}
    card |= {"engine": _engine(variant), "shapes": shapes_of(loaded) if _shrinks(variant) else {}}
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    low, weights = low_precision_weights(loaded), all_weights(loaded, tensors, layout)
    zeros, linear = linear_zeros(loaded)
    weight_bytes = sum(value.numel() * value.element_size() for value in tensors.values())
    return {
        "weight_bytes": float(weight_bytes),
        "bits_per_weight": 8 * weight_bytes / weights,
        "low_precision_share": low / weights,
        "sparsity": zeros / linear if linear else 0.0,
    }


def _save_graphs(loaded: Any, model: Model, variant: Variant, checkpoint: Path, folder: Path) -> tuple[dict[str, float], Any]:
    """The graphs of a backend other than torch, with their exact metrics and what runs them from memory."""
    processor = load_processor(checkpoint)
    processor.save_pretrained(folder)
    graphs = family(model.family).graphs(loaded)
    found, ready = backend(variant.backend).build(graphs, variant, folder, training_pixels(processor))
    card = {"version": ARTEFACT_VERSION, "family": model.family, "variant": asdict(variant), "graphs": graphs.card(), "exact": {}}
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    zeros, linear = linear_zeros(loaded)
    return found | {"sparsity": zeros / linear if linear else 0.0}, ready


def _size(folder: Path) -> float:
    """Bytes of all files that ship; the card is ours and stays out."""
    return size_of(folder)


def apart(folder: Path, exact: Mapping[str, float]) -> dict[str, float]:
    """What of the size is no tensor: graph and headers in the files that hold the tensors, and all other files."""
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.suffix in WEIGHED)
    return {"container_bytes": held - exact["weight_bytes"], "tokenizer_bytes": exact["size"] - held}


def _write_card(folder: Path, model: Model, variant: Variant, checkpoint: Path, exact: Mapping[str, float]) -> None:
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    card |= {"model": model.name, "checkpoint": fingerprint(checkpoint, model.name), "torch": torch.__version__, "exact": exact}
    (folder / CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")


def _exact(folder: Path) -> dict[str, float]:
    return dict(read_card(folder)["exact"])


def _shrinks(variant: Variant) -> bool:
    return any(getattr(recipe(step.recipe), "SHRINKS", False) for step in variant.steps)


def _engine(variant: Variant) -> str:
    """The engine that packs INT8 weights: the last one a step names, or torch's own choice."""
    named = [str(step.parameters["engine"]) for step in variant.steps if step.parameters.get("engine")]
    return named[-1] if named else str(torch.backends.quantized.engine)


def _proven(ready: Any, folder: Path, variant: Variant) -> dict[str, float]:
    """Whether the saved artefact gives the tokens of what it was saved from, and what else only calls can tell."""
    again = load_artefact(folder)
    found: dict[str, float] = promised(variant, again)
    both = replace(again, model=ready), again
    numbers = (2,) if variant.backend == TORCH else (1, 2)  # a runtime may have other kernels for one image
    calls = [[each.tokens(fixed_pixels(again, number), least=8, most=8) for each in both] for number in numbers]
    return found | {"reloads": float(all(torch.equal(*each) for each in calls))}
