"""Two jobs: which variants can run here, and artefacts of all arms."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vlmgate.protocol import Message
from vlmgate.variants.artefact import BROKEN, engine_of, folder_of
from vlmgate.worker.common import Emit, register, set_threads, variant_of


def probe(job: Message, emit: Emit) -> None:
    """Which variants cannot run here, and why; of an artefact that is missing or damaged, the words begin with BROKEN."""
    from vlmgate.artefacts import cannot_run, flaw

    register(job)
    variants = [variant_of(raw) for raw in job["variants"]]
    broken = {variant.name: f"{BROKEN}{why}" for variant in variants if (why := flaw(variant))}
    emit({"event": "result", "data": {variant.name: cannot_run(variant) or broken.get(variant.name, "") for variant in variants}})


def gpu_free(devices: Iterable[str], cuda: Any = None) -> int | None:
    """Bytes that are free on the GPU, before anything is loaded; None where no arm runs on one, or there is none."""
    if not any(device.startswith("cuda") for device in devices):
        return None
    if cuda is None:
        import torch

        cuda = torch.cuda
    return int(cuda.mem_get_info()[0]) if cuda.is_available() else None


def prepare(job: Message, emit: Emit) -> None:
    """Make sure that the artefact of every arm exists; artefacts are keyed by all that they depend on."""
    import hashlib
    import json

    from vlmgate.artefacts import CARD, artefact_key, build_artefact, cannot_run, figures, read_card
    from vlmgate.models.source import checkpoint_folder, fingerprint
    from vlmgate.spec import Model, Source

    register(job)
    set_threads(job)
    if (free := gpu_free([raw["device"] for raw in job["variants"]])) is not None:
        emit({"event": "result", "data": {"gpu_free": free}})
    emit({"event": "stage", "arm": "", "stage": "fetching"})
    fields = job["model"] | {"parts": {part: tuple(names) for part, names in job["model"]["parts"].items()}}
    model = Model(**{**fields, "source": Source(fields["source"])})
    cache = Path(job["cache"])
    checkpoint = checkpoint_folder(model, Path(job["root"]), cache)
    weights = fingerprint(checkpoint, model.name)
    for raw in job["variants"]:
        variant = variant_of(raw)
        if skip := cannot_run(variant):
            emit({"event": "arm", "arm": variant.name, "data": {"skip": skip}})
            continue
        emit({"event": "stage", "arm": variant.name, "stage": "preparing"})
        if there := folder_of(variant):
            data = {"folder": str(there), "exact": figures(variant, model.family), "checkpoint": weights}
            if (there / CARD).exists():
                data["engine"] = engine_of(read_card(there))
            emit({"event": "arm", "arm": variant.name, "data": data})
            continue
        key = hashlib.sha256(json.dumps(artefact_key(model, variant, checkpoint), sort_keys=True, default=list).encode())
        folder = cache / "artefacts" / model.name / f"{variant.name}-{key.hexdigest()[:16]}"
        exact = build_artefact(model, variant, checkpoint, folder)
        data = {"folder": str(folder), "exact": exact, "checkpoint": weights, "engine": engine_of(read_card(folder))}
        emit({"event": "arm", "arm": variant.name, "data": data})
