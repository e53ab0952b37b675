"""What many test files share: a tiny captioner on disk, made once a session."""

from pathlib import Path

import pytest
from tiny import save_tiny_blip

from vlmgate.models import BLIP_PARTS
from vlmgate.spec import Model, Source


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in save_pretrained layout; shared, so never written to."""
    return save_tiny_blip(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Path) -> Model:
    """The same as an entry of the registry would name it."""
    return Model("tiny", "blip", Source.LOCAL, str(tiny_checkpoint), BLIP_PARTS)
