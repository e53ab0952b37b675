"""What many test files share: a tiny captioner on disk, made once a session."""

from pathlib import Path

import pytest

from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Source


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in save_pretrained layout; shared, so never written to."""
    import torch  # here, so that tests without a model load neither torch nor transformers
    from tiny import save_tiny_blip

    torch.set_num_threads(1)  # threads that wait for each other's crumbs make a busy machine three times slower
    return save_tiny_blip(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Path) -> Model:
    """The same as an entry of the registry would name it."""
    return Model("tiny", "blip", Source.LOCAL, str(tiny_checkpoint), BLIP_PARTS)
