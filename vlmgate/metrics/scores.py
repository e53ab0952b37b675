"""BLEU-1…4, ROUGE-L and CIDEr by pycocoevalcap's own scorers, as per-image sums: a bootstrap is one matrix product."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmgate.metrics.tokenizer import TOKENIZER, tokenize
from vlmgate.spec import VlmgateError

# The layout of one image's statistics. BLEU's are counts that add up over images; the rest are averaged.
FIELDS: tuple[str, ...] = (
    *(f"correct_{n}" for n in (1, 2, 3, 4)),  # n-grams of the caption found in a reference, clipped
    *(f"guess_{n}" for n in (1, 2, 3, 4)),  # n-grams of the caption
    "test_length",  # words BLEU counts in the caption
    "reference_length",  # words of the reference nearest in length, the shorter on a tie
    "rouge_l",  # 0 … 1
    "cider",  # 0 … 10, document frequencies from all evaluated images
    "words",  # words in the caption
)
# pycocoevalcap/bleu/bleu_scorer.py: keeps 0 ÷ 0 and the brevity penalty of an empty corpus finite.
_TINY, _SMALL = 1e-15, 1e-9
_CHUNK = 1024  # draws scored at a time: bounds the float copy of ``counts``


def statistics(captions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, tuple[float, ...]]:
    """Sufficient statistics of each caption.

    Args:
        captions: example id → caption, raw text.
        references: example id → reference captions, raw text. Ids without a caption are ignored.

    Returns:
        Example id → one float for each of ``FIELDS``, in the order of ``captions``. CIDEr's document frequencies come from
        the references of exactly these images: never compare it across different sets of images.

    Raises:
        VlmgateError: there are no captions, a caption has no references, or no reference holds a word.
    """
    tests, refs = _tokenized(captions, references)
    ciders = _cider(list(tests.values()), list(refs.values()))
    rows = ((*_bleu(test, refs[key]), _rouge(test, refs[key])) for key, test in tests.items())
    return {
        key: (*row, cider, float(len(test.split()))) for (key, test), row, cider in zip(tests.items(), rows, ciders, strict=True)
    }


def corpus(stats: NDArray[np.float64], counts: NDArray[Any] | None = None) -> dict[str, NDArray[np.float64]]:
    """Corpus scores of resampled image sets.

    Args:
        stats: (images, len(FIELDS)), float64, rows of ``statistics``.
        counts: (draws, images), any real dtype: how often each image is drawn; None: one draw with every image once.

    Returns:
        bleu_1 … bleu_4, rouge_l, cider and words (mean words in a caption), each float64 of shape (draws,). BLEU equals
        pycocoevalcap's score of the corpus with images repeated; ROUGE-L and CIDEr are means of the images' scores, CIDEr
        with the document frequencies of the whole set.

    Raises:
        VlmgateError: the shapes do not fit, or a draw holds no image.
    """
    return _scores(_sums(stats, counts))


def unsmoothed(stats: NDArray[np.float64], counts: NDArray[Any] | None = None) -> dict[str, NDArray[np.float64]]:
    """``corpus``, but a BLEU-n is 0 where no n-gram of that length is found in a reference.

    pycocoevalcap's smoothing leaves more than 0 there (up to 0.03), and a ratio of two such values would say nothing. Scores
    that are kept and judged are these; wherever something matches they are pycocoevalcap's.
    """
    sums = _sums(stats, counts)
    matched = {f"bleu_{n}": sums[:, FIELDS.index(f"correct_{n}")] > 0 for n in (1, 2, 3, 4)}
    return {name: np.where(matched[name], score, 0.0) if name in matched else score for name, score in _scores(sums).items()}


def signature(images: int, references: int) -> str:
    """How the scores were made: tokenizer, scorer version, number of images and of references an image."""
    return f"tokenizer {TOKENIZER} | pycocoevalcap {version('pycocoevalcap')} | {images} images | {references} references"


def _sums(stats: NDArray[np.float64], counts: NDArray[Any] | None) -> NDArray[np.float64]:
    """Each draw's sums of the statistics, (draws, len(FIELDS) + 1), the number of images last."""
    stats = np.asarray(stats, np.float64)
    if stats.ndim != 2 or stats.shape[1] != len(FIELDS):
        raise VlmgateError(f"statistics have shape {stats.shape}, expected (images, {len(FIELDS)}): score the captions again")
    counts = np.ones((1, len(stats))) if counts is None else np.asarray(counts)
    if counts.ndim != 2 or counts.shape[1] != len(stats):
        raise VlmgateError(f"counts have shape {counts.shape}, expected (draws, {len(stats)}): one column for each image")
    weights = np.column_stack([stats, np.ones(len(stats))])  # the last column adds up to the number of images drawn
    chunks = [counts[i : i + _CHUNK].astype(np.float64) @ weights for i in range(0, len(counts), _CHUNK)]
    sums = np.concatenate(chunks) if chunks else np.zeros((0, len(FIELDS) + 1))
    if not (sums[:, -1] > 0).all():
        raise VlmgateError("a draw holds no image, expected at least one: check the caption set and the bootstrap counts")
    return sums


def _scores(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    means = {name: sums[:, FIELDS.index(name)] / sums[:, -1] for name in ("rouge_l", "cider", "words")}
    return _corpus_bleu(sums) | means


def _tokenized(
    captions: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    if not captions:
        raise VlmgateError("there are no captions to score, expected at least one: check that the captioner ran")
    for key in captions:
        if not references.get(key):
            raise VlmgateError(f"image {key} has no reference captions, expected at least one: add them to the caption file")
    refs = {key: [tokenize(text) for text in references[key]] for key in captions}
    if not any(text for texts in refs.values() for text in texts):
        raise VlmgateError("no reference caption holds a word, expected at least one: check the caption file")
    return {key: tokenize(text) for key, text in captions.items()}, refs


def _bleu(test: str, refs: list[str]) -> tuple[float, ...]:
    """correct_1 … 4, guess_1 … 4, test length, length of the closest reference."""
    from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test  # type: ignore[import-untyped,import-not-found,unused-ignore]

    cooked = cook_test(test, cook_refs(refs), eff="closest")
    return tuple(float(x) for x in (*cooked["correct"], *cooked["guess"], cooked["testlen"], cooked["reflen"]))


def _rouge(test: str, refs: list[str]) -> float:
    from pycocoevalcap.rouge.rouge import Rouge  # type: ignore[import-untyped,import-not-found,unused-ignore]

    return float(Rouge().calc_score([test], refs))


def _cider(tests: list[str], refs: list[list[str]]) -> list[float]:
    from pycocoevalcap.cider.cider_scorer import CiderScorer  # type: ignore[import-untyped,import-not-found,unused-ignore]

    scorer = CiderScorer(n=4, sigma=6.0)
    for test, texts in zip(tests, refs, strict=True):
        scorer += (test, texts)
    return [float(score) for score in scorer.compute_score()[1]]


def _corpus_bleu(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """BLEU-1 … 4 from summed statistics (draws, …), as in BleuScorer.compute_score."""
    precision = np.cumprod((sums[:, 0:4] + _TINY) / (sums[:, 4:8] + _SMALL), axis=1)
    ratio = (sums[:, 8] + _TINY) / (sums[:, 9] + _SMALL)
    brevity = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return {f"bleu_{n}": np.asarray(precision[:, n - 1] ** (1 / n) * brevity, np.float64) for n in (1, 2, 3, 4)}
