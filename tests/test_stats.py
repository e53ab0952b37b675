"""What the package of statistics offers under one name."""

from vlmgate import stats


def test_every_name_offered_is_there_and_documented():
    for name in stats.__all__:
        offered = getattr(stats, name)
        assert name in ("Array", "Score", "DETECTED") or (offered.__doc__ and offered.__module__.startswith("vlmgate.stats."))
