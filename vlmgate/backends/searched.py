"""Beam search and sampling with exported graphs: transformers' own ``generate`` drives the two graphs in place of a model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from vlmgate.models.decoding import arguments


class Driven(PreTrainedModel, GenerationMixin):
    """A runner that has looked at ``images`` images, as a language model for transformers.

    It is called with all tokens so far, and the runner keeps the caches of the last call: each row goes on from a row of the same
    image that said the same until then, whatever the search kept, dropped or doubled.
    """

    config_class = PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self, runner: Any, images: int) -> None:
        super().__init__(PretrainedConfig())
        self.runner, self.images = runner, images
        self.generation_config = GenerationConfig()
        self.said = torch.zeros((images, 0), dtype=torch.long)

    @property
    def device(self) -> torch.device:
        """Where the tokens are; transformers would ask a weight, and there is none."""
        return torch.device("cpu")

    def prepare_inputs_for_generation(self, input_ids: Any, *unused: Any, **more: Any) -> dict[str, Any]:
        """What `forward` takes."""
        return {"input_ids": input_ids}

    def forward(self, input_ids: Tensor, **unused: Any) -> Any:
        """All tokens so far (rows × n), the rows of an image next to each other → logits (rows × 1 × vocabulary)."""
        rows, length = input_ids.shape
        if length == 1:
            self.runner.spread(rows // self.images)
        else:
            self.runner.reorder(parents(self.said, input_ids[:, :-1], self.images))
        self.said = input_ids.clone()
        logits = self.runner.step(np.ascontiguousarray(input_ids[:, -1].numpy()), length - 1)
        return CausalLMOutput(logits=torch.from_numpy(logits)[:, None])


def parents(before: Tensor, now: Tensor, images: int) -> np.ndarray:
    """For each row of ``now`` (rows × n) the number of a row of ``before``, of the same image, with the same tokens."""
    beams = len(now) // images
    same = (now[:, None] == before[None]).all(-1).numpy()  # rows now × rows before
    image = np.arange(len(now)) // beams
    found = same & (image[:, None] == image[None])
    assert found.any(1).all()  # a search only goes on from what was said
    return np.asarray(found.argmax(1))


def generate(runner: Any, images: int, *, least: int, most: int, decoding: Mapping[str, Any]) -> Tensor:
    """Token ids (images × n) without the start token, as transformers finds them with the settings of ``decoding``.

    The runner has looked at the images already.
    """
    graphs = runner.graphs
    start = torch.full((images, 1), graphs["start"], dtype=torch.long)
    model: Any = Driven(runner, images)
    ids: Tensor = model.generate(
        input_ids=start,
        eos_token_id=graphs["end"],
        pad_token_id=graphs["pad"],
        min_new_tokens=least or None,
        max_new_tokens=most,
        use_cache=False,
        **arguments(decoding),
    )
    return ids[:, 1:]
