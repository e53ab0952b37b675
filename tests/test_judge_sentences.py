"""The words of a verdict: the case, the number, the line, what it is against, and what to do."""

import math
import re
from dataclasses import replace

import pytest
from judging import CASE, baseline_of, blocks, judge, line, record, statistics, wobble

from vlmgate.judge.sentences import detects_phrase, failure_sentence
from vlmgate.metrics import METRICS
from vlmgate.spec import Failure, Outcome

SPEED, PEAK, BLEU = "time_per_caption", "peak_memory", "bleu_4"
INT8 = record("int8")
THEN = baseline_of(INT8, [math.log(1.5) + w for w in wobble(24, turn=4)])


def sentence(metric, against, number, **given):
    return judge(line(metric, against, number), **given).sentence


SEEN = "; on these 40 images any drop beyond the line shows"
ALSO = "; 6 blocks like these find a slow-down of 3.9% beyond the line in 90% of runs"
SPOKEN = {
    "m/int8/d: speed-up 1.5× (1.46× to 1.55×, 6 blocks) holds its floor of 1.3× against fp32 in this run" + ALSO: (
        SPEED, "reference", 1.3, {"timed": blocks(1.5)},
    ),
    "m/int8/d: time per caption 0.06667 s (0.06451 s to 0.0684 s, 6 blocks) holds its limit of 0.08 s against suite.yaml"
    + ALSO: (
        SPEED, "limit", 0.08, {"timed": blocks(1.5)},
    ),
    "m/int8/d: peak memory reduction 50.0% (48.6% to 51.4%, 1 process) holds its floor of 40.0% against fp32 in this run": (
        PEAK, "reference", 0.4, {},
    ),
    "m/int8/d: peak memory 200 MB (196 MB to 204 MB, 1 process) holds its limit of 250 MB against suite.yaml": (
        PEAK, "limit", 2.5e8, {},
    ),
    "m/int8/d: size reduction 75.0% holds its floor of 70.0% against fp32 in this run": ("size", "reference", 0.7, {}),
    "m/int8/d: size 25 MB holds its limit of 30 MB against suite.yaml": ("size", "limit", 30e6, {}),
    "m/int8/d: low precision share 0.9 holds its floor of 0.5 against suite.yaml": ("low_precision_share", "limit", 0.5, {}),
    "m/int8/d: BLEU-4 1 holds its floor of 0.5 against suite.yaml" + SEEN: (BLEU, "limit", 0.5, {}),
    "m/int8/d: CIDEr retention 100.0% holds its floor of 95.0% against fp32 in this run" + SEEN: ("cider", "reference", 0.95, {}),
    "m/int8/d: size since the baseline +0.0% holds its tolerance of 1.0% against the baseline promoted from r0": (
        "size", "baseline", 0.01, {"baseline": THEN},
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", SPOKEN)
def test_sentences_of_a_pass_in_full(words):
    metric, against, number, given = SPOKEN[words]
    assert sentence(metric, against, number, **given) == words


@pytest.mark.parametrize(
    ("metric", "against", "number", "given", "todo"),
    [
        (SPEED, "reference", 1.7, {"timed": blocks(1.5)}, "profile the variant"),
        (SPEED, "limit", 0.05, {"timed": blocks(1.5)}, "profile the variant"),
        (SPEED, "baseline", 0.03, {"timed": blocks(1.0), "baseline": THEN}, "profile the variant"),
        (PEAK, "reference", 0.7, {}, "see where it is allocated with `vlmgate memory m/int8/d --tier smoke`"),
        ("size", "limit", 1e6, {}, "list the largest tensors"),
        ("size", "baseline", 0.1, {"case": record("int8", exact={"size": 3e7}), "baseline": THEN}, "list the largest tensors"),
        (BLEU, "reference", 0.95, {"case": record("int8", quality=statistics(5))}, "look at the captions"),
    ],
)
def test_a_fail_says_what_was_missed_and_what_to_do(metric, against, number, given, todo):
    found = judge(line(metric, against, number), **given)
    assert found.outcome is Outcome.FAIL
    assert found.sentence.startswith(f"{CASE}: ")
    whom = {"reference": "fp32 in this run", "limit": "suite.yaml", "baseline": "the baseline promoted from r0"}[against]
    assert re.search(rf"misses its (floor|limit|tolerance) of [\d.]+(×|%| s| MB)? against {whom}; ", found.sentence)
    assert todo in found.sentence
    assert found.sentence.endswith("or change the line in suite.yaml and write down the reason")


@pytest.mark.parametrize("floor", [1.494, 1.495, 1.51, 0.1 / 1.5])
@pytest.mark.parametrize("n", [2, 6, 12])
def test_an_unresolved_speed_says_how_many_blocks_would_decide_and_they_do(floor, n):
    against = "limit" if floor < 1 else "reference"
    number = floor * 1.006 if against == "limit" else floor
    found = judge(line(SPEED, against, number), timed=blocks(1.5, n=n))
    assert found.outcome is Outcome.UNRESOLVED
    if "too near" in found.sentence:
        assert n == 2
        return
    match = re.search(r"about (\d+) blocks would decide \(--blocks (\d+)\)", found.sentence)
    assert match is not None and match[1] == match[2], found.sentence
    more = int(match[1])
    assert n < more <= 400
    enough = math.ceil(1.2 * more)  # a later look is a little stricter
    assert judge(line(SPEED, against, number), timed=blocks(1.5, n=enough)).outcome is not Outcome.UNRESOLVED


def test_on_the_line_no_number_of_blocks_decides():
    assert "too near to the line" in sentence(SPEED, "reference", 1.5, timed=blocks(1.5))


def test_one_block_asks_for_more():
    assert "measure more blocks (--blocks 6 or more)" in sentence(SPEED, "reference", 1.3, timed=blocks(1.5, n=1))


def test_a_tolerance_below_what_two_runs_differ_by_is_said_to_be_so():
    words = sentence(SPEED, "baseline", 0.03, timed=blocks(1.5, n=24), baseline=THEN)
    assert "cannot be told from its tolerance of 3.0%" in words
    assert "more blocks will not decide: allow a larger tolerance" in words


def test_quality_says_the_drop_it_could_have_shown():
    words = sentence(BLEU, "reference", 0.8, case=record("int8", quality=statistics(37)))
    assert re.search(r"40 images could have shown a drop of \d+\.\d%", words)
    unresolved = sentence(BLEU, "reference", 0.95, case=record("int8", quality=statistics(37)))
    more = re.search(
        r"about ([\d,]+) images would decide \(settings: images\), or accept a lower floor with its reason$", unresolved
    )
    assert more is not None and int(more[1].replace(",", "")) > 40


def test_no_number_of_images_decides_a_retention_on_its_line():
    case = record("int8", quality=statistics(37))
    kept = judge(line(BLEU, "reference", 0.95), case=case).estimate.centre
    assert "too near to the line for any sensible number of images" in sentence(BLEU, "reference", kept, case=case)


def test_a_baseline_that_was_promoted_by_force_is_named_so():
    forced = replace(THEN, forced=True)
    assert "against the baseline promoted by force from r0" in sentence("size", "baseline", 0.1, baseline=forced)
    assert "by force" not in sentence("size", "baseline", 0.1, baseline=THEN)


@pytest.mark.parametrize(("size", "grown"), [(50e6, "+100.0%"), (12.5e6, "-50.0%"), (25.1e6, "+0.4%")])
def test_a_size_that_grew_is_said_to_have_grown(size, grown):
    words = sentence("size", "baseline", 0.1, case=record("int8", exact={"size": size}), baseline=THEN)
    assert f"size since the baseline {grown} " in words


@pytest.mark.parametrize(("now", "sign"), [(1.0, "-33.3%"), (2.0, "+33.3%")])
def test_a_speed_since_the_baseline_is_called_speed(now, sign):
    assert f"speed since the baseline {sign}" in sentence(SPEED, "baseline", 0.1, timed=blocks(now), baseline=THEN)


def test_unresolved_memory_asks_for_processes():
    assert "±2% at best, a wider interval narrows with more processes (settings: processes)" in sentence(PEAK, "reference", 0.5)


@pytest.mark.parametrize("metric", [SPEED, PEAK, "size", BLEU])
@pytest.mark.parametrize("against", ["reference", "baseline", "limit"])
def test_every_sentence_is_one_line_about_the_case(metric, against):
    for given in ({}, {"timed": blocks(), "baseline": THEN}, {"case": record("int8", skip="why")}, {"timing": False}):
        words = sentence(metric, against, 0.5, **given)
        assert words.startswith(f"{CASE}: ")
        assert "\n" not in words and "nan" not in words and "None" not in words
        assert "skip: " not in words.replace(f"{metric} skip: ", "", 1)


def test_numbers_are_rounded_for_reading():
    case = record("int8", exact={"sparsity": 0.123456789})
    assert "sparsity 0.1235 holds its floor of 0.1 " in sentence("sparsity", "limit", 0.1, case=case)


@pytest.mark.parametrize(
    ("kind", "todo"),
    [("SIGKILL", "free some memory"), ("hang", "raise --patience"), ("ValueError", "run `vlmgate caption`")],
)
def test_a_worker_that_broke_is_named_with_its_last_words_and_what_to_do(kind, todo):
    words = failure_sentence(INT8, Failure("int8", "loading", kind, "it went away", "first\nlast words\n"))
    assert words.startswith(f"{CASE}: {kind} while loading: it went away; the last line of its log: last words; {todo}")
    assert "log" not in failure_sentence(INT8, Failure("int8", "loading", kind, "it went away", " \n"))


def test_a_gain_is_to_be_promoted():
    said = sentence(SPEED, "baseline", 0.15, timed=blocks(2.0), baseline=THEN)
    assert said.endswith("keep the gain with `vlmgate promote r1 --cases 'm/int8/d'`")
    assert "keep the gain" not in sentence(SPEED, "baseline", 0.15, timed=blocks(1.5), baseline=THEN)
    smaller = sentence("size", "baseline", 0.1, baseline=baseline_of(record("int8", exact={"size": 50e6})))
    assert "keep the gain" in smaller


def test_a_loss_that_could_have_been_found_is_cut_short_where_it_says_nothing():
    found = judge(line(SPEED, "reference", 1.3), timed=blocks(1.5)).estimate
    assert detects_phrase(found, METRICS[SPEED], None) == ""
    assert " a slow-down of over 1,000% beyond the line in 90% of runs" in detects_phrase(found, METRICS[SPEED], 1e9)
    assert " a rise of 12.3% beyond " in detects_phrase(found, METRICS["energy_per_caption"], 0.1234)
