"""Checkpoints and artefacts on disk → models in memory; nothing is loaded that was pickled."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.initialization import no_init_weights

from vlmgate.artefacts.captioner import Captioner, load_processor
from vlmgate.artefacts.pretrained import load_pretrained, read_model
from vlmgate.artefacts.tensors import read_tensors
from vlmgate.backends import TORCH, backend, greedy
from vlmgate.models import family
from vlmgate.models.decoding import check_decoding
from vlmgate.spec import Model, Step, Variant, VlmgateError
from vlmgate.variants import recipe
from vlmgate.variants.artefact import CARD, MADE_BY, engine_of
from vlmgate.variants.cast import DTYPES
from vlmgate.variants.packed import restore
from vlmgate.variants.shapes import differences, reshape

ARTEFACT_VERSION = 3  # raised with what an artefact holds; one in the cache is then made again
OLDEST_READABLE = 3  # of an export or a fixture, which are never made again: raise it only when the reader for older ones goes


def load_reference(checkpoint: Path, model: Model) -> Any:
    """The unmodified model in float32, on the CPU.

    Raises:
        VlmgateError: the checkpoint is of another family, lacks weights or cannot be loaded.
    """
    return read_model(checkpoint, model.name, model.family, torch.float32)


def load_artefact(folder: Path, image_size: int | None = None, decoding: Mapping[str, Any] | None = None) -> Captioner:
    """Load what `build_artefact` or ``save_pretrained`` wrote; weights of the former are copied into memory of their own
    (aligned, private to this process).

    Raises:
        VlmgateError: the folder is not an artefact, was made by a newer vlmgate, or its family decodes only greedily.
    """
    if not (folder / CARD).exists() and (folder / "config.json").exists():
        return load_pretrained(folder, image_size, decoding)
    card = read_card(folder)
    variant = variant_of(card["variant"])
    if variant.backend != TORCH:
        runner = backend(variant.backend).load(folder, card["graphs"], variant)
        captioner = Captioner(runner, load_processor(folder), greedy, "cpu", torch.float32, image_size, decoding or {})
        return _attached(captioner, variant)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with no_init_weights(), _shapes_only():
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    tensors = read_tensors(folder / "model.safetensors")
    reshape(model, card.get("shapes", {}), tensors)
    if restore(model, tensors, card["layout"], engine_of(card)):
        model.tie_weights()
    model = model.to(variant.device).eval()
    kind, dtype = family(card["family"]), DTYPES[variant.dtype]
    check_decoding(kind.generate, decoding or {}, card["family"])
    captioner = Captioner(model, load_processor(folder), kind, variant.device, dtype, image_size, decoding or {})
    return _attached(captioner, variant)


@contextmanager
def _shapes_only() -> Iterator[None]:
    """Parameters that are made meanwhile take no memory (device meta): the artefact's take their place. Buffers are made
    for real, since a state need not hold them."""

    def register(_: nn.Module, name: str, value: nn.Parameter) -> nn.Parameter | None:
        return None if value is None else nn.Parameter(value.to("meta"), requires_grad=value.requires_grad)

    hook = register_module_parameter_registration_hook(register)  # type: ignore[arg-type]  # typed as if it could give nothing
    try:
        yield
    finally:
        hook.remove()


def _attached(captioner: Captioner, variant: Variant) -> Captioner:
    """The captioner with what recipes attach to it when it is loaded."""
    for step in variant.steps:
        module = recipe(step.recipe)
        if hasattr(module, "attach"):
            module.attach(captioner, step.parameters)
    return captioner


def shapes_of(loaded: Any) -> dict[str, Any]:
    """What the configuration of a model does not tell of its shapes (see `reshape`)."""
    with torch.device("meta"), no_init_weights():
        skeleton = AutoModelForImageTextToText.from_config(deepcopy(loaded.config), dtype=torch.float32)
    return differences(loaded, skeleton)


def read_card(folder: Path) -> Mapping[str, Any]:
    """The card of an artefact; VlmgateError where there is none, or none of a version that can be read here."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VlmgateError(f"{folder} is not an artefact ({CARD}: {error}); make it again by clearing the cache") from error
    version = card.get("version") if isinstance(card, dict) else None
    if version not in range(OLDEST_READABLE, ARTEFACT_VERSION + 1):
        raise VlmgateError(f"{folder} has artefact version {version!r}; {_readable()}: {_again(card, version)}")
    return card


def _readable() -> str:
    oldest = f"{OLDEST_READABLE} to " if OLDEST_READABLE < ARTEFACT_VERSION else ""
    return f"this vlmgate reads {oldest}{ARTEFACT_VERSION}"


def _again(card: Any, version: Any) -> str:
    """What to do about an artefact that cannot be read."""
    if isinstance(version, int) and version > ARTEFACT_VERSION:
        return "update vlmgate"
    known: dict[str, Any] = card if isinstance(card, dict) else {}
    variant = known.get("variant")
    name = variant.get("name") if isinstance(variant, dict) else None
    command = known.get(MADE_BY) or f"vlmgate export {known.get('model') or 'MODEL'} {name or 'VARIANT'} DIR"
    return f"make it again ({command}), or clear the cache if it lies there"


def variant_of(card: Mapping[str, Any]) -> Variant:
    """The variant from its JSON form."""
    steps = tuple(Step(step["recipe"], step["parameters"]) for step in card["steps"])
    return Variant(**{**card, "steps": steps})
