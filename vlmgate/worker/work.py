"""The job that works out the operations and bytes of a caption, variant by variant, from a configuration alone."""

from typing import Any

from vlmgate.protocol import Message
from vlmgate.worker.common import Emit, register, variant_of


def work(job: Message, emit: Emit) -> None:
    """Phases of a call of each case (none, with why, where they are not known); see `vlmgate.artefacts.work`."""
    from vlmgate.artefacts.work import work as phases
    from vlmgate.spec import VlmgateError
    from vlmgate.worker.sizing import config_of

    register(job)
    parts = {part: tuple(names) for part, names in job["parts"].items()}
    found: dict[str, dict[str, Any]] = {}
    for case in job["cases"]:
        config = config_of(job)
        if case["image_size"]:
            config.vision_config.image_size = case["image_size"]
        settings = {name: case[name] for name in ("batch", "beams", "tokens")}
        try:
            told = phases(config, job["family"], parts, variant_of(case["variant"]), settings)
            found[case["id"]] = {"phases": told, "batch": case["batch"], "why": ""}
        except VlmgateError as error:
            found[case["id"]] = {"phases": [], "batch": case["batch"], "why": str(error)}
        except Exception as error:  # a recipe of a plugin may need real weights
            found[case["id"]] = {"phases": [], "batch": case["batch"], "why": f"{type(error).__name__}: {error}"}
    emit({"event": "result", "data": found})
