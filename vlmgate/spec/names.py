"""What is said of a name that nobody knows: the nearest of the known ones, then all of them or where they are listed."""

from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import TypeVar

from vlmgate.spec.words import VlmgateError

T = TypeVar("T")
ALIKE = 0.5  # similarity (difflib's ratio) from which on a name may have been meant
SHORT = 12  # names: a list that is read at a glance; of a longer one only the nearest are shown, where it stands elsewhere
NEAR = 5  # of them
LISTED = ("model", "variant", "dataset", "tier")  # kinds that `vlmgate list` shows
LIST = "`vlmgate list`"


def nearest(name: str, names: Iterable[str], most: int = 1) -> list[str]:
    """The known names that were probably meant, the likeliest first: those that begin with ``name``, then those that hold it,
    then those of which the whole or the beginning is similar."""
    ranked = sorted((_distance(name, each), len(each), each) for each in set(names)) if name else []
    return [each for distance, _, each in ranked if distance <= 1 - ALIKE][:most]


def _distance(name: str, known: str) -> float:
    """From 0 for one that begins with ``name`` to 1 for one without anything in common."""
    if known.startswith(name):
        return -1.0
    if len(name) > 2 and name in known:
        return 0.0
    ends = (len(known), len(name)) if known[:1] == name[:1] else (len(known),)  # beginnings are alike from the first letter on
    return 1 - max(SequenceMatcher(None, known[:end], name).ratio() for end in ends)


def suggested(name: str, names: Iterable[str], where: str = "") -> str:
    """``did you mean int8-dynamic? Known: bf16, int8-dynamic``; without a near one ``known: bf16, int8-dynamic``.

    Of a long list that ``where`` shows, the five nearest: ``did you mean a, b or c? All 50: `vlmgate list```.
    """
    known = sorted(names)
    if where and len(known) > SHORT:
        near = nearest(name, known, NEAR)
        return f"{f'did you mean {_or(near)}? A' if near else 'a'}ll {len(known)}: {where}"
    best = nearest(name, known)
    return f"{f'did you mean {best[0]}? K' if best else 'k'}nown: {', '.join(known) or 'none'}"


def _or(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def unknown(kind: str, name: str, names: Iterable[str]) -> str:
    """``unknown variant 'int8'; did you mean …``: the sentence for a name that is not among ``names``."""
    return f"unknown {kind} '{name}'; {suggested(name, names, LIST if kind in LISTED else '')}"


def known(table: Mapping[str, T], name: str, kind: str) -> T:
    """What ``table`` holds under ``name``. Raises VlmgateError with the nearest of its names and where all are."""
    if name not in table:
        raise VlmgateError(unknown(kind, name, table))
    return table[name]
