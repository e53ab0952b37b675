"""What the package of statistics offers under one name."""

from vlmgate import stats


def test_every_name_offered_is_there_and_documented():
    assert sorted(stats.__all__, key=lambda name: (not name.isupper(), name)) == stats.__all__  # constants first, as ruff has it
    for name in stats.__all__:
        offered = getattr(stats, name)
        assert name in ("Array", "Score", "DETECTED") or (offered.__doc__ and offered.__module__.startswith("vlmgate.stats."))
