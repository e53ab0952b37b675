"""Signs of a collapsed captioner: empty captions, loops, a changed length, captions that differ from the reference model's."""

from collections import Counter
from collections.abc import Mapping

from vlmgate.metrics.tokenizer import tokenize
from vlmgate.spec import VlmgateError

REPEATS = 4  # as many equal words, or pairs of words, in a row are a loop
MIN_WORDS = 6  # shorter captions are not judged by their commonest word


def is_degenerate(caption: str) -> bool:
    """Whether a caption loops.

    True when a word or a pair of words stands ``REPEATS`` or more times in a row, or when one word makes up more than half
    of a caption of at least ``MIN_WORDS`` words. Words are those of the tokenizer. An empty caption is not degenerate: it is
    counted by ``empty_share``.
    """
    words = tokenize(caption).split()
    if _loops(words, 1) or _loops(words, 2):
        return True
    return len(words) >= MIN_WORDS and max(Counter(words).values()) * 2 > len(words)


def _loops(words: list[str], width: int) -> bool:
    """Whether ``width`` words stand ``REPEATS`` times in a row."""
    span = width * REPEATS
    return any(
        words[i : i + span] == words[i : i + width] * REPEATS  # the same few words over and over
        for i in range(len(words) - span + 1)
    )


def empty_share(captions: Mapping[str, str]) -> float:
    """Share (0 … 1) of captions without a word. Raises VlmgateError when there are no captions."""
    _need(captions)
    return sum(not tokenize(text) for text in captions.values()) / len(captions)


def degenerate_share(captions: Mapping[str, str]) -> float:
    """Share (0 … 1) of captions that loop. Raises VlmgateError when there are no captions."""
    _need(captions)
    return sum(is_degenerate(text) for text in captions.values()) / len(captions)


def length_ratio(captions: Mapping[str, str], reference_captions: Mapping[str, str]) -> float:
    """Mean words of ``captions`` ÷ mean words of ``reference_captions``.

    Raises VlmgateError when the two are not of the same images or the reference captions hold no word.
    """
    _need_same(captions, reference_captions)
    words, reference_words = (sum(len(tokenize(t).split()) for t in texts.values()) for texts in (captions, reference_captions))
    if not reference_words:
        raise VlmgateError("the reference model's captions hold no word, expected some: check that the reference model works")
    return words / reference_words


def agreement(captions: Mapping[str, str], reference_captions: Mapping[str, str]) -> float:
    """Share (0 … 1) of captions equal to the reference model's, blanks apart. Raises VlmgateError when images differ."""
    _need_same(captions, reference_captions)
    equal = sum(text.split() == reference_captions[key].split() for key, text in captions.items())
    return equal / len(captions)


def _need(captions: Mapping[str, str]) -> None:
    if not captions:
        raise VlmgateError("there are no captions to look at, expected at least one: check that the captioner ran")


def _need_same(captions: Mapping[str, str], reference_captions: Mapping[str, str]) -> None:
    _need(captions)
    odd = sorted(captions.keys() ^ reference_captions.keys())
    if odd:
        raise VlmgateError(
            f"image {odd[0]} has a caption from only one of the two models ({len(odd)} such images): "
            "caption the same images with both"
        )
