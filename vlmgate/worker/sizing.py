"""The job that tells what the variants of a model should weigh, without its weights."""

from pathlib import Path
from typing import Any

from vlmgate.protocol import Message
from vlmgate.worker.common import Emit, register, variant_of


def size(job: Message, emit: Emit) -> None:
    """Bytes of the tensors of every variant by closed form, from a configuration alone (None, with why, where there is none)."""
    from vlmgate.artefacts.expected import expected_bytes, parts_of, skeleton
    from vlmgate.artefacts.expected_graphs import graph_bytes
    from vlmgate.backends import TORCH
    from vlmgate.spec import VlmgateError

    register(job)
    config = config_of(job)
    model = skeleton(config)
    parts = {part: tuple(names) for part, names in job["parts"].items()} or parts_of(model)
    parameters = sum(value.numel() for value in model.parameters())
    found: dict[str, list[Any]] = {}
    for variant in map(variant_of, job["variants"]):
        try:
            weight: float | None = None
            if variant.backend == TORCH:
                weight = expected_bytes(config, variant, parts)
            elif job["family"]:
                weight = graph_bytes(config, job["family"], variant, parts)
            why = f"graphs of {variant.backend} have no closed form here" if weight is None else ""
            found[variant.name] = [weight, why]
        except VlmgateError as error:
            found[variant.name] = [None, str(error)]
        except Exception as error:  # a recipe of a plugin may need real weights
            found[variant.name] = [None, f"no closed form ({type(error).__name__}: {error})"]
    emit({"event": "result", "data": {"parameters": parameters, "parts": parts, "variants": found}})


def config_of(job: Message) -> Any:
    """The configuration of a folder, of a published shape, or as the job gives it."""
    from transformers import AutoConfig

    from vlmgate.models import family
    from vlmgate.spec import VlmgateError

    if job["location"]:
        return family(job["family"]).config(job["location"])
    if job.get("config"):
        return AutoConfig.for_model(**job["config"])
    try:
        return AutoConfig.from_pretrained(Path(job["folder"]), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = " ".join(str(error).split())[:300]
        raise VlmgateError(f"no configuration in {job['folder']} ({why}); give a folder that holds a config.json") from error
