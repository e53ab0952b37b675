"""Numbers of a baseline that are none: nan and infinities are named by file, case and place, before anything is judged."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlmgate.record.codec import TAG
from vlmgate.spec import VlmgateError

NUMBERS = ("blocks", "exact", "memory", "scores", "between_sd", "levels")  # keys of a baseline below which numbers stand
FREE = ("made_with",)  # what a recipe holds is not compared as a number
WORDS = ("nan", "inf", "infinity")


def check_finite(data: Any, source: Path, todo: str) -> None:
    """Raise VlmgateError with the first number of a baseline, as JSON, that is nan or infinite; ``todo`` says what to do."""
    place, value = next(_odd(data, "", numbers=False), ("", ""))
    if place:
        raise VlmgateError(f"{source}: case {data.get('case')}: {place} is {value}, expected a finite number; {todo}")


def _odd(value: Any, place: str, *, numbers: bool) -> Iterator[tuple[str, str]]:
    """(place, value) of everything that stands for no finite number; ``numbers``: whether nothing but numbers stands here."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in FREE:
                inner = place if key == TAG else f"{place}.{key}".lstrip(".")
                yield from _odd(item, inner, numbers=numbers or key in NUMBERS)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _odd(item, f"{place}[{number}]", numbers=numbers)
    elif isinstance(value, float) and not math.isfinite(value):  # json reads 1e999 as infinity
        yield place, str(value)
    elif numbers and isinstance(value, str) and value.lower().lstrip("+-") in WORDS:
        yield place, value
