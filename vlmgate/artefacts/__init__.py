"""Artefacts: a model transformed by a variant's recipe, as files that are measured and would ship."""

from vlmgate.artefacts.build import artefact_key, build_artefact, cannot_run, transform
from vlmgate.artefacts.captioner import Captioner, load_processor
from vlmgate.artefacts.external import figures, flaw
from vlmgate.artefacts.load import load_artefact, load_reference, read_card
from vlmgate.variants.artefact import CARD

__all__ = [
    "CARD",
    "Captioner",
    "artefact_key",
    "build_artefact",
    "cannot_run",
    "figures",
    "flaw",
    "load_artefact",
    "load_processor",
    "load_reference",
    "read_card",
    "transform",
]
