"""What the package offers by its own name."""

from vlmgate import selftest


def test_what_it_offers_is_there() -> None:
    assert all(hasattr(selftest, name) for name in selftest.__all__)
