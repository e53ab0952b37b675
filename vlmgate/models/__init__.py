"""The registry of models, and the module of each family (imported only where weights are touched)."""

from importlib import import_module
from typing import Any

from vlmgate.spec import Model, Source

BLIP_PARTS = {"vision": ("vision_model",), "text": ("text_decoder",)}

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="scene-blip",
            family="blip",
            source=Source.FIXTURE,
            location="scene-blip",
            parts=BLIP_PARTS,
            about="9 M parameters, trained on rendered scenes; ships with the repository and really captions",
        ),
        Model(
            name="blip-base",
            family="blip",
            source=Source.RANDOM,
            location="Salesforce/blip-image-captioning-base",
            parts=BLIP_PARTS,
            about="224 M parameters; random weights unless --model-source says otherwise",
        ),
        Model(
            name="blip-large",
            family="blip",
            source=Source.RANDOM,
            location="Salesforce/blip-image-captioning-large",
            parts=BLIP_PARTS,
            about="446 M parameters; random weights unless --model-source says otherwise",
        ),
    )
}

FAMILIES: dict[str, str] = {"blip": "vlmgate.models.blip"}


def family(name: str) -> Any:
    """The module that knows how a family is built, fed and decoded; imports torch and transformers."""
    return import_module(FAMILIES[name])
