"""A nan or an infinity in a baseline is named with its place, wherever a number stands and however it is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from vlmgate.record.finite import check_finite
from vlmgate.spec import VlmgateError

LEVEL = {"mean": 0.1, "sd": 0.01, "n": 24}
GOOD: dict[str, Any] = {
    "case": "blip/int8/scenes",
    "blocks": {"time_per_caption": [0.1, 0.2]},
    "exact": {"size": 5},
    "memory": {"peak_memory": [1e9]},
    "scores": {"cider": 4.5},
    "captions": {"7": "nan", "8": "inf"},
    "between_sd": None,
    "history": [{"levels": {"time_per_caption": LEVEL}, "made_with": {"recipe": {"limit": {"$float": "inf"}, "exact": "nan"}}}],
    "occasions": [{"levels": {"time_per_caption": LEVEL}}],
}


def test_numbers_that_are_some_and_words_that_are_no_numbers_pass() -> None:
    check_finite(GOOD, Path("x.json"), "mend it")


def level_of(data: dict[str, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = data[where][0]["levels"]["time_per_caption"]
    return found


PLACES = {
    "blocks.time_per_caption[1]": lambda data, value: data["blocks"]["time_per_caption"].__setitem__(1, value),
    "exact.size": lambda data, value: data["exact"].update(size=value),
    "memory.peak_memory[0]": lambda data, value: data["memory"]["peak_memory"].__setitem__(0, value),
    "scores.cider": lambda data, value: data["scores"].update(cider=value),
    "between_sd": lambda data, value: data.update(between_sd=value),
    "history[0].levels.time_per_caption.sd": lambda data, value: level_of(data, "history").update(sd=value),
    "occasions[0].levels.time_per_caption.mean": lambda data, value: level_of(data, "occasions").update(mean=value),
}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('"nan"', "nan"),
        ("NaN", "nan"),
        ('"inf"', "inf"),
        ("-Infinity", "-inf"),
        ("1e999", "inf"),
        ('"NaN"', "NaN"),
        ('{"$float": "nan"}', "nan"),
    ],
)
@pytest.mark.parametrize("place", PLACES)
def test_each_is_named_with_file_case_place_value_and_what_to_do(place: str, written: str, shown: str) -> None:
    data = json.loads(json.dumps(GOOD))
    PLACES[place](data, json.loads(written))
    with pytest.raises(VlmgateError) as caught:
        check_finite(data, Path("x.json"), "mend it")
    assert str(caught.value) == f"x.json: case blip/int8/scenes: {place} is {shown}, expected a finite number; mend it"
