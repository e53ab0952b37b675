"""What is said of a name that nobody knows: the nearest of the known ones first, then all of them."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from vlmgate.spec.words import VlmgateError

T = TypeVar("T")
ALIKE = 0.5  # similarity (difflib's ratio) from which on a name may have been meant


def nearest(name: str, names: Iterable[str]) -> str:
    """The known name that was probably meant, or an empty string: one that begins with ``name``, else the most similar one."""
    known = sorted(names)
    begun = [each for each in known if name and each.startswith(name)]
    return min(begun, key=len) if begun else next(iter(get_close_matches(name, known, 1, ALIKE)), "")


def suggested(name: str, names: Iterable[str]) -> str:
    """``did you mean int8-dynamic? Known: bf16, int8-dynamic``; without a near one ``known: bf16, int8-dynamic``."""
    known = sorted(names)
    near = nearest(name, known)
    return f"{f'did you mean {near}? K' if near else 'k'}nown: {', '.join(known) or 'none'}"


def unknown(kind: str, name: str, names: Iterable[str]) -> str:
    """``unknown variant 'int8'; did you mean …``: the sentence for a name that is not among ``names``."""
    return f"unknown {kind} '{name}'; {suggested(name, names)}"


def known(table: Mapping[str, T], name: str, kind: str) -> T:
    """What ``table`` holds under ``name``. Raises VlmgateError with the nearest of its names, and all of them."""
    if name not in table:
        raise VlmgateError(unknown(kind, name, table))
    return table[name]
