"""``expected_bytes`` of an artefact: the closed form of torch's recipes or of exported graphs, where there is one."""

from typing import Any

from vlmgate.artefacts.expected import expected_bytes
from vlmgate.artefacts.expected_graphs import graph_bytes
from vlmgate.backends import TORCH
from vlmgate.spec import Model, Variant


def closed_form(config: Any, variant: Variant, model: Model) -> dict[str, float]:
    """Bytes of all tensors by closed form as an exact metric; empty where backend, family or a recipe have none."""
    try:
        if variant.backend == TORCH:
            return {"expected_bytes": expected_bytes(config, variant, model.parts)}
        found = graph_bytes(config, model.family, variant, model.parts)
    except Exception:  # a recipe of a plugin may do with real weights what shapes cannot
        return {}
    return {} if found is None else {"expected_bytes": found}
