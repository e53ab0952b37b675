"""Does it still say the right things? BLEU, ROUGE-L and CIDEr kept of the unmodified model's, on the same images."""

import pytest

from vlmgate.plugin import Gate


@pytest.mark.vlmgate("quality")
def test_quality(gate: Gate) -> None:
    gate.check()
