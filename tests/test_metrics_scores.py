"""Scores against pycocoevalcap's own, and the bootstrap by matrix product against scoring the repeated corpus."""

import random

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from vlmgate.metrics.scores import FIELDS, corpus, signature, statistics, unsmoothed
from vlmgate.metrics.tokenizer import tokenize
from vlmgate.spec import VlmgateError

WORDS = ["a", "the", "red", "blue", "dog", "cat", "runs", "sits", "on", "under", "big", "small", "table"]
Captions = dict[str, str]
References = dict[str, list[str]]


def _random_set(seed: int, images: int = 12) -> tuple[Captions, References]:
    rng = random.Random(seed)

    def sentence(shortest: int) -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(shortest, 9)))

    references = {str(i): [sentence(2) for _ in range(rng.randint(1, 5))] for i in range(images)}
    captions = {k: r[0] if rng.random() < 0.3 else sentence(0) for k, r in references.items()}
    return captions, references


def _bleu(captions: Captions, references: References, keys: list[str]) -> list[float]:
    scorer = BleuScorer(n=4)
    for key in keys:
        scorer += (tokenize(captions[key]), [tokenize(text) for text in references[key]])
    return list(scorer.compute_score(option="closest")[0])


def _array(captions: Captions, references: References) -> NDArray[np.float64]:
    return np.array(list(statistics(captions, references).values()))


@pytest.mark.parametrize("seed", range(20))
def test_equals_pycocoevalcap(seed: int) -> None:
    captions, references = _random_set(seed)
    scores = corpus(_array(captions, references))
    tests = {k: [tokenize(v)] for k, v in captions.items()}
    refs = {k: [tokenize(t) for t in v] for k, v in references.items()}
    assert [scores[f"bleu_{n}"][0] for n in (1, 2, 3, 4)] == pytest.approx(
        _bleu(captions, references, list(captions)), rel=1e-12, abs=1e-12
    )
    assert scores["rouge_l"][0] == pytest.approx(Rouge().compute_score(refs, tests)[0], rel=1e-12, abs=1e-12)
    assert scores["cider"][0] == pytest.approx(Cider().compute_score(refs, tests)[0], rel=1e-12, abs=1e-12)
    assert scores["words"][0] == pytest.approx(np.mean([len(v.split()) for v in captions.values()]))


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_equals_the_repeated_corpus(seed: int) -> None:
    captions, references = _random_set(seed)
    stats = _array(captions, references)
    counts = np.random.default_rng(seed).multinomial(len(captions), [1 / len(captions)] * len(captions), size=1500)
    scores = corpus(stats, counts)  # more draws than are scored at a time
    for row in (0, 1, 1023, 1024, 1499):
        keys = [key for key, n in zip(captions, counts[row], strict=True) for _ in range(n)]
        expected = _bleu(captions, references, keys)
        assert [scores[f"bleu_{n}"][row] for n in (1, 2, 3, 4)] == pytest.approx(expected, rel=1e-12, abs=1e-12)
        for name in ("rouge_l", "cider", "words"):
            mean = np.average(stats[:, FIELDS.index(name)], weights=counts[row])
            assert scores[name][row] == pytest.approx(mean, rel=1e-12, abs=1e-12)
    assert all(values.shape == (1500,) for values in scores.values())


def test_identical_captions_are_perfect() -> None:
    captions = {"1": "A red dog runs on the table.", "2": "the small blue cat sits here", "3": "nobody can't see a big tree"}
    scores = corpus(_array(captions, {k: [v] for k, v in captions.items()}))
    assert [scores[f"bleu_{n}"][0] for n in (1, 2, 3, 4)] == pytest.approx([1.0] * 4, abs=1e-9)  # smoothing: not exactly 1
    assert scores["rouge_l"][0] == pytest.approx(1.0)
    assert scores["cider"][0] == pytest.approx(10.0)


def test_worked_example() -> None:
    row = dict(zip(FIELDS, statistics({"7": "a cat sat"}, {"7": ["the cat sat", "a cat"]})["7"], strict=True))
    assert [row[f"correct_{n}"] for n in (1, 2, 3, 4)] == [3, 2, 0, 0]
    assert [row[f"guess_{n}"] for n in (1, 2, 3, 4)] == [3, 2, 1, 0]
    assert (row["test_length"], row["reference_length"], row["words"]) == (3, 3, 3)
    assert row["cider"] == 0  # a single image: every word is in every document


def test_closest_reference_is_the_shorter_on_a_tie() -> None:
    row = statistics({"1": "a b c"}, {"1": ["a b c d", "a b"]})["1"]
    assert row[FIELDS.index("reference_length")] == 2


def test_empty_captions_score_zero_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    scores = corpus(_array({"1": "", "2": "  "}, {"1": ["a dog runs"], "2": ["the cat sits"]}))
    assert {name: float(v[0]) for name, v in scores.items()} == pytest.approx(dict.fromkeys(scores, 0.0), abs=1e-12)
    assert not recwarn.list


def test_without_smoothing_only_what_matches_nothing_is_other() -> None:
    captions, references = {"1": "a red dog sits", "2": "big table"}, {"1": ["a red cat runs"], "2": ["the blue cat"]}
    stats = _array(captions, references)
    counts = np.array([[1, 1], [0, 2]])
    smooth, plain = corpus(stats, counts), unsmoothed(stats, counts)
    assert all(smooth[f"bleu_{n}"].all() for n in (1, 2, 3, 4)), "pycocoevalcap's scores are never zero here"
    assert [(plain[f"bleu_{n}"] > 0).tolist() for n in (1, 2, 3, 4)] == [[True, False]] * 2 + [[False, False]] * 2
    for name, values in plain.items():
        assert all(value in (0, same) for value, same in zip(values, smooth[name], strict=True))
    assert unsmoothed(stats)["bleu_1"] == corpus(stats)["bleu_1"]


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    corpus(_array(*_random_set(1)))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("references", [{"1": ["a dog"]}, {"1": ["a dog"], "2": []}])
def test_missing_references_are_an_error(references: References) -> None:
    with pytest.raises(VlmgateError, match="image 2 has no reference captions"):
        statistics({"1": "a dog", "2": "a cat"}, references)


def test_other_bad_input_is_an_error() -> None:
    with pytest.raises(VlmgateError, match="no captions to score"):
        statistics({}, {})
    with pytest.raises(VlmgateError, match="no reference caption holds a word"):
        statistics({"1": "a"}, {"1": ["."]})
    stats = _array(*_random_set(0))
    with pytest.raises(VlmgateError, match="counts have shape"):
        corpus(stats, np.ones((3, len(stats) + 1)))
    with pytest.raises(VlmgateError, match="statistics have shape"):
        corpus(stats[:, :5])
    with pytest.raises(VlmgateError, match="a draw holds no image"):
        corpus(stats, np.zeros((1, len(stats))))


def test_signature_names_what_moves_the_numbers() -> None:
    text = signature(320, 5)
    assert text.startswith("tokenizer ptb-py-1 | pycocoevalcap ")
    assert text.endswith(" | 320 images | 5 references")
