"""Estimates of caption quality, beside those of tests/test_judge_estimates.py."""

import pytest
from judging import CASE, IMAGES, baseline_of, judge, line, record, run_of, statistics

from vlmgate.judge import judge_run
from vlmgate.metrics import METRICS
from vlmgate.spec import Outcome


def test_a_retention_names_its_images_and_how_it_was_scored():
    found = judge(line("bleu_4", "reference", 0.5), record("int8", quality=statistics(hits=30))).estimate
    assert found.n == IMAGES and "tokenizer t" in found.signature and 0 < found.centre < 1


def test_a_reference_that_scores_zero_never_passes():
    nothing = record("fp32", quality=dict.fromkeys(statistics(), (0.0,) * 13))
    found = judge(line("bleu_4", "reference", 0.0), reference=nothing)
    assert found.outcome is Outcome.UNRESOLVED and "scores zero" in found.sentence


def test_a_baseline_that_scores_zero_never_passes():
    nothing = baseline_of(record("int8", quality=dict.fromkeys(statistics(), (0.0,) * 13)))
    found = judge(line("bleu_4", "baseline", 0.9), baseline=nothing)
    assert found.outcome is Outcome.UNRESOLVED and "scores zero" in found.sentence


def without_matches(order):
    """Captions of ten words in which no n-gram of ``order`` words or more is in a reference."""
    found = tuple(float(5 - n) if n < order else 0.0 for n in (1, 2, 3, 4))
    return dict.fromkeys(statistics(), (*found, 10.0, 9.0, 8.0, 7.0, 10.0, 10.0, 0.0, 0.0, 10.0))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("case", [record("int8"), record("int8", quality=without_matches(1))])
def test_a_bleu_that_smoothing_alone_keeps_above_zero_is_nothing_to_divide_by(order, case):
    """Two sets of captions that match nothing have equal smoothed scores: a ratio of exactly one."""
    nothing = without_matches(order)
    for found in (
        judge(line(f"bleu_{order}", "reference", 0.0), case, record("fp32", quality=nothing)),
        judge(line(f"bleu_{order}", "baseline", 0.9), case, baseline=baseline_of(record("int8", quality=nothing))),
    ):
        assert found.outcome is Outcome.UNRESOLVED and f"scores zero on bleu_{order}" in found.sentence
    if order > 1:  # of shorter n-grams there are matches
        less = judge(line(f"bleu_{order - 1}", "reference", 0.5), reference=record("fp32", quality=nothing))
        assert less.estimate.centre > 1


def captions(**changes):
    said = dict.fromkeys(statistics(), "a red cube") | changes
    return record("int8", captions=said)


def test_captions_that_did_not_change_are_said_to_be_equal():
    found = judge(line("cider", "baseline", 0.03), baseline=baseline_of(captions()))
    assert found.outcome is Outcome.PASS and not found.changed
    assert f"all {IMAGES} captions unchanged, exactly" in found.sentence


def test_captions_that_changed_are_listed_and_fail_only_beyond_the_tolerance():
    other = captions(**{str(i): "a cone" for i in range(5)})
    found = judge(line("cider", "baseline", 0.03), other, baseline=baseline_of(captions()))
    assert found.outcome is Outcome.PASS, "the score is the same"
    assert found.changed == {str(i): ("a red cube", "a cone") for i in range(5)}
    assert f"5 of {IMAGES} captions changed (image 0: “a red cube” → “a cone”, " in found.sentence
    assert found.sentence.count("→") == 3


def test_changed_captions_are_kept_once_a_case():
    other = captions(**{"0": "a cone"})
    lines = [line("cider", "baseline", 0.03), line("bleu_4", "baseline", 0.03)]
    first, second = (judge(order, other, baseline=baseline_of(captions())) for order in (lines, lines[::-1]))
    assert first.changed and second.changed
    run = run_of(record("fp32"), other)
    found = judge_run(run, {CASE: lines}, METRICS, {CASE: baseline_of(captions())})
    assert [bool(v.changed) for v in found] == [True, False]


SEEN = {
    "retention": (line("bleu_4", "reference", 0.5), "40 images could have shown a drop of "),
    "score": (line("cider", "limit", 0.1), "on these 40 images any drop beyond the line shows"),
    "since": (line("cider", "baseline", 0.03), "on these 40 images any drop beyond the line shows"),
    "share": (line("empty_share", "limit", 0.0), "40 images show a share of 7.2% in 19 of 20 such sets"),
    "agreement": (line("agreement", "limit", 0.1), "on these 40 images any drop beyond the line shows"),
}


@pytest.mark.parametrize("kind", SEEN)
def test_every_verdict_on_captions_says_what_it_could_have_seen(kind):
    asked, words = SEEN[kind]
    case = record("int8", quality=statistics(hits=30), exact={"empty_share": 0.0, "agreement": 0.9})
    assert words in judge(asked, case, baseline=baseline_of(record("int8"))).sentence
