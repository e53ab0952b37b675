"""A verdict carries all that it rests on."""

from judging import blocks, judge, line, record, statistics

from vlmgate.judge.levels import LOOKS, levels_of
from vlmgate.spec import Outcome


def test_a_noisy_verdict_says_what_it_spent():
    found, levels = judge(line("time_per_caption", "reference", 1.3), timed=blocks()), levels_of(1, LOOKS, 0)
    assert found.spent == (levels.fail, levels.good)
    assert (found.line, found.estimate.n, found.reason) == (1.3, 6, "because")


def test_an_exact_verdict_spends_nothing():
    assert judge(line("size", "limit", 30e6)).spent == ()
    assert judge(line("cider", "limit", 0.1)).spent == ()


def test_a_retention_spends_the_errors_of_its_own_family():
    lines = [line("cider", "reference", 0.5), line("time_per_caption", "reference", 1.3)]
    found = judge(lines, record("int8", quality=statistics(hits=30)), timed=blocks())
    assert found.outcome is Outcome.PASS and found.spent == (0.01, 0.05)
