"""The package gives what its users need by one name each."""

from vlmgate import artefacts


def test_everything_that_is_promised_is_there() -> None:
    assert all(hasattr(artefacts, name) for name in artefacts.__all__)
