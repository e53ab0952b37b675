"""Is it as small as promised, and was it really compressed? Bytes of the saved artefact, which must reload to the same tokens."""

import pytest

from vlmgate.plugin import Gate


@pytest.mark.vlmgate("size")
def test_size(gate: Gate) -> None:
    gate.check()
