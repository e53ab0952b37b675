"""An artefact that is there already, named by its folder: never rebuilt, measured as it is. Needs no torch.

It is our own export (vlmgate.json beside the weights), or a folder of transformers' ``save_pretrained``, whose config.json may
hold a quantization_config.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vlmgate.spec import Step, Variant, VlmgateError
from vlmgate.variants import RECIPES, recipe

CARD = "vlmgate.json"
MADE_BY = "made_by"  # key of a card: the command that makes the artefact again, where that is not vlmgate export
README = "README.md"
RECIPE = "artefact"
BROKEN = "broken: "  # begins what is said of an artefact that is missing or damaged
LIBRARIES = {  # quant_method → import names of what transformers needs for it
    "torchao": ("torchao",),
    "bitsandbytes": ("bitsandbytes", "accelerate"),
    "compressed-tensors": ("compressed_tensors",),
}


def named(name: str, folder: Path, written: str) -> Variant:
    """The variant that is the artefact in ``folder``; it runs where and how its card says, else on the CPU with torch."""
    own = _object(folder / CARD).get("variant")
    how = {key: str(own[key]) for key in ("backend", "device", "dtype") if key in own} if isinstance(own, dict) else {}
    return Variant(name, (Step(RECIPE, {"folder": str(folder)}),), about=f"the artefact in {written}, as it is", **how)


def engine_of(card: Mapping[str, Any]) -> str:
    """torch's engine that packs and multiplies the INT8 of an artefact; empty where no step of its recipe has one."""
    return str(card.get("engine", "")) if any("engine" in step["parameters"] for step in card["variant"]["steps"]) else ""


def folder_of(variant: Variant) -> Path | None:
    """The folder of a variant that is an artefact; None for all that are built."""
    return next((Path(step.parameters["folder"]) for step in variant.steps if step.recipe == RECIPE), None)


def missing(parameters: Mapping[str, Any]) -> str:
    """Why this cannot run here, or an empty string: what our export was made by, or the folder's quantization_config, needs."""
    folder, device = Path(parameters.get("folder", "")), str(parameters.get("device", "cpu"))
    reasons = (recipe(step.recipe).missing({**step.parameters, "device": device}) for step in steps_of(folder))
    if why := next(filter(None, reasons), ""):
        return str(why)
    config = _object(folder / "config.json").get("quantization_config")
    method = str(config.get("quant_method", "")) if isinstance(config, dict) else ""
    lacks = " ".join(library for library in LIBRARIES.get(method, ()) if find_spec(library) is None)
    return f"its config.json says quant_method {method}, which needs {lacks}: pip install {lacks}" if lacks else ""


def steps_of(folder: Path) -> tuple[Step, ...]:
    """The steps of our own export that are known here, with the engine that packed it; none without a card that says them."""
    card = _object(folder / CARD)
    own, packed = card.get("variant"), {"engine": card.get("engine", "")}
    steps = own.get("steps", []) if isinstance(own, dict) else []
    known = [step for step in steps if isinstance(step, dict) and step.get("recipe") in RECIPES.keys() - {RECIPE}]
    found = [Step(step["recipe"], step.get("parameters", {})) for step in known]
    return tuple(replace(s, parameters={**s.parameters, **packed}) if "engine" in s.parameters else s for s in found)


def apply(model: Any, prefixes: Sequence[str], parameters: Mapping[str, Any]) -> None:
    """Never: an artefact is loaded from its folder."""
    raise VlmgateError(f"the artefact in {parameters['folder']} is never built; list it as a variant of its own")


def digests(folder: Path) -> dict[str, str]:
    """File → SHA-256 of everything in an artefact that ships; our cards are none of it."""
    found = {}
    for file in _shipped(folder):
        with file.open("rb") as stream:
            found[str(file.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of everything in an artefact that ships; empty where there is nothing to read."""
    try:
        found = digests(folder)
    except OSError:
        return ""
    return hashlib.sha256(json.dumps(found).encode()).hexdigest() if found else ""


def size_of(folder: Path) -> float:
    """Bytes of everything in an artefact that ships."""
    return float(sum(file.stat().st_size for file in _shipped(folder)))


def _shipped(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name not in (CARD, README)]


def _object(path: Path) -> Mapping[str, Any]:
    """The JSON object of a file; empty where there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
