"""Model + Variant → something that can caption, by way of an artefact on disk: what is measured is what would ship."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from transformers.initialization import no_init_weights

from vlmgate.models import family
from vlmgate.models.source import fingerprint
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import ALL_PARTS, recipe
from vlmgate.variants.cast import DTYPES
from vlmgate.variants.packed import linear_zeros, low_precision_weights, restore, tensors_of

ARTEFACT_VERSION = 1
CARD = "vlmgate.json"


@dataclass
class Captioner:
    """A loaded model with its processor. Calls take PIL images (RGB) and give token ids or strings."""

    model: Any
    processor: Any
    family: Any
    device: str
    dtype: torch.dtype
    image_size: int | None = None  # pixels; None: the checkpoint's own

    def inputs(self, images: Sequence[Image.Image]) -> dict[str, torch.Tensor]:
        """Pixel values (B × 3 × H × W) on the model's device and in its type."""
        size = {"size": {"height": self.image_size, "width": self.image_size}} if self.image_size else {}
        pixels = self.processor.image_processor(images=list(images), return_tensors="pt", **size)["pixel_values"]
        return {"pixel_values": pixels.to(self.device, self.dtype)}

    def tokens(self, inputs: Mapping[str, torch.Tensor], *, least: int, most: int) -> torch.Tensor:
        """Greedy token ids (B × n), n between ``least`` and ``most``."""
        with torch.inference_mode():
            ids: torch.Tensor = self.family.generate(self.model, dict(inputs), least=least, most=most)
        return ids

    def caption(self, images: Sequence[Image.Image], most: int = 24) -> list[str]:
        """One caption an image, decoded together as one batch."""
        ids = self.tokens(self.inputs(images), least=0, most=most)
        return [text.strip() for text in self.processor.batch_decode(ids, skip_special_tokens=True)]

    def synchronise(self) -> None:
        """Wait until the device has finished; a no-op on the CPU."""
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()


def cannot_run(variant: Variant) -> str:
    """Why this machine cannot run the variant, or an empty string."""
    if variant.device.startswith("cuda") and not torch.cuda.is_available():
        return f"{variant.name} needs an NVIDIA GPU with CUDA; torch {torch.__version__} sees none"
    return next((why for step in variant.steps if (why := recipe(step.recipe).missing(step.parameters))), "")


def load_reference(checkpoint: Path, model: Model) -> Any:
    """The unmodified model in float32, on the CPU.

    Raises:
        VlmgateError: the checkpoint is of another family, lacks weights or cannot be loaded.
    """
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(checkpoint, **safe)
        if config.model_type != model.family:
            raise VlmgateError(f"{model.name}: {checkpoint} holds a {config.model_type} model where {model.family} was expected")
        auto: Any = AutoModelForImageTextToText  # whose types leave out output_loading_info
        loaded, found = auto.from_pretrained(
            checkpoint,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, in words
            **safe,
        )
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        why = " ".join(str(error).split())[:300]
        raise VlmgateError(f"{model.name}: cannot load {checkpoint} ({type(error).__name__}: {why}); save it again") from error
    # transformers fills what is missing with random numbers and goes on
    if wrong := sorted({*found["missing_keys"], *(entry[0] for entry in found["mismatched_keys"])}):
        raise VlmgateError(
            f"{model.name}: {checkpoint} lacks {len(wrong)} of the weights that its config.json describes, or has them in "
            f"another shape, such as {wrong[0]}; save it again"
        )
    return loaded.eval()


def load_processor(folder: Path) -> Any:
    """Tokenizer and image processor with the PIL backend, which needs no torchvision and is the same everywhere."""
    try:
        return AutoProcessor.from_pretrained(folder, backend="pil", local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises plain Exception for a damaged file
        why = " ".join(str(error).split())[:300]
        raise VlmgateError(f"cannot load the processor in {folder} ({type(error).__name__}: {why}); save it again") from error


def transform(loaded: nn.Module, model: Model, variant: Variant) -> None:
    """Carry out the variant's steps on ``loaded`` in place; each step knows parts, never families."""
    for step in variant.steps:
        parts = step.parameters.get("parts", tuple(model.parts))
        if odd := sorted(set(parts) - {*ALL_PARTS, *model.parts}):
            raise VlmgateError(
                f"{variant.name}: {step.recipe} names the part {odd[0]!r}; {model.name} has {', '.join(model.parts)}"
            )
        prefixes = [prefix for part in parts for prefix in model.parts.get(part, ())]
        recipe(step.recipe).apply(loaded, prefixes, step.parameters)


def build_artefact(model: Model, variant: Variant, checkpoint: Path, folder: Path) -> dict[str, float]:
    """Prepare the variant, save it to ``folder`` (renamed into place when whole) and return its exact metrics.

    Returns:
        bytes (size, weight_bytes), counts (parameters) and shares (low_precision_share, sparsity), as in METRICS,
        and ``reloads``: 1.0 when the reloaded artefact gives the same tokens as the model it was saved from.
    """
    if (folder / CARD).exists():
        return _exact(folder)
    loaded = load_reference(checkpoint, model)
    parameters = sum(value.numel() for value in loaded.parameters())
    transform(loaded, model, variant)
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had this id
        partial.mkdir(parents=True)
        exact = {"parameters": float(parameters)} | _save(loaded, model, variant, checkpoint, partial)
        exact["reloads"] = float(_same_tokens(loaded, partial))
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


def load_artefact(folder: Path, image_size: int | None = None) -> Captioner:
    """Load what `build_artefact` wrote; weights are copied into memory of their own (aligned, private to this process).

    Raises:
        VlmgateError: the folder is not an artefact, or was made by a newer vlmgate.
    """
    card = _read_card(folder)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with no_init_weights():
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    with safe_open(folder / "model.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
    if restore(model, tensors, card["layout"]):
        model.tie_weights()
    variant = _variant(card["variant"])
    model = model.to(variant.device).eval()
    captioner = Captioner(
        model, load_processor(folder), family(card["family"]), variant.device, DTYPES[variant.dtype], image_size
    )
    for step in variant.steps:
        module = recipe(step.recipe)
        if hasattr(module, "attach"):
            module.attach(captioner, step.parameters)
    return captioner


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
        "engine": torch.backends.quantized.engine,
    }


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
    (folder / CARD).write_text(json.dumps(card), encoding="utf-8")
    low = low_precision_weights(loaded)
    extra = tuple(f"{name}.{part}" for name in layout for part in ("scale", "zero_point"))
    weights = sum(value.numel() for name, value in tensors.items() if name not in extra)
    zeros, linear = linear_zeros(loaded)
    weight_bytes = sum(value.numel() * value.element_size() for value in tensors.values())
    return {
        "size": float(sum(file.stat().st_size for file in folder.iterdir() if file.name != CARD)),
        "weight_bytes": float(weight_bytes),
        "bits_per_weight": 8 * weight_bytes / weights,
        "low_precision_share": low / weights,
        "sparsity": zeros / linear if linear else 0.0,
    }


def _write_card(folder: Path, model: Model, variant: Variant, checkpoint: Path, exact: Mapping[str, float]) -> None:
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    card |= {"model": model.name, "checkpoint": fingerprint(checkpoint, model.name), "torch": torch.__version__, "exact": exact}
    (folder / CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")


def _read_card(folder: Path) -> Mapping[str, Any]:
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VlmgateError(f"{folder} is not an artefact ({CARD}: {error}); make it again by clearing the cache") from error
    version = card.get("version") if isinstance(card, dict) else None
    if version != ARTEFACT_VERSION:
        raise VlmgateError(f"{folder} has artefact version {version!r}; this vlmgate reads {ARTEFACT_VERSION}: clear the cache")
    return card


def _exact(folder: Path) -> dict[str, float]:
    return dict(_read_card(folder)["exact"])


def _variant(card: Mapping[str, Any]) -> Variant:
    steps = tuple(Step(step["recipe"], step["parameters"]) for step in card["steps"])
    return Variant(**{**card, "steps": steps})


def _same_tokens(loaded: Any, folder: Path) -> bool:
    """Whether the saved artefact gives the tokens of the model it came from, on fixed noise images."""
    again = load_artefact(folder)
    side = again.inputs([Image.new("RGB", (32, 32))])["pixel_values"].shape[-1]
    pixels = torch.randn((2, 3, side, side), generator=torch.Generator().manual_seed(0)).to(again.device, again.dtype)
    before = Captioner(loaded.to(again.device).eval(), again.processor, again.family, again.device, again.dtype)
    calls = [captioner.tokens({"pixel_values": pixels}, least=8, most=8) for captioner in (before, again)]
    return bool(torch.equal(*calls))
