"""Published configurations are those of the models: their parameters are counted on shapes."""

import llava
from transformers import AutoConfig

from vlmgate.artefacts.expected import skeleton
from vlmgate.models import MODELS
from vlmgate.models.published import PUBLISHED


def test_llava_has_as_many_parameters_as_published() -> None:
    config = dict(PUBLISHED["llava-1.5-7b"])
    model = skeleton(AutoConfig.for_model(**config))
    assert sum(value.numel() for value in model.parameters()) == llava.PARAMETERS
    assert "llava" in type(model).__name__.lower()


def test_no_name_is_taken() -> None:
    assert not set(PUBLISHED) & set(MODELS)
