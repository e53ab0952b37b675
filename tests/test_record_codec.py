"""The codec: exact both ways for every dataclass of the vocabulary, and errors that name the path."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from types import UnionType
from typing import Any, cast, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vlmgate import spec
from vlmgate.record.codec import from_json, to_json

NAMES = st.text(max_size=6)
FLOATS = st.floats(allow_nan=False)
PLAIN = st.none() | st.booleans() | st.integers() | FLOATS | NAMES
SCALARS = {str: NAMES, float: FLOATS, int: st.integers(), bool: st.booleans()}
ANY = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=5)


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    origin = get_origin(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{field.name: strategy(hints[field.name]) for field in fields(hint)})
    if hint is Any:
        return ANY
    if origin is Mapping:
        return st.dictionaries(NAMES, strategy(hint.__args__[1]), max_size=2)
    if origin is tuple:
        return st.lists(strategy(hint.__args__[0]), max_size=2).map(tuple)
    if origin is UnionType:
        return st.none() | strategy(hint.__args__[0])
    return SCALARS[hint] if hint in SCALARS else st.sampled_from(hint)


@pytest.mark.parametrize("cls", [spec.Run, spec.Baseline, spec.Case, spec.Dataset, spec.Metric, spec.Threshold])
@given(data=st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_round_trip_through_json_text_is_exact(cls: type, data: st.DataObject) -> None:
    value = data.draw(strategy(cls))
    text = json.dumps(to_json(value), allow_nan=False)
    again: Any = from_json(cls, json.loads(text))
    assert again == value
    assert repr(to_json(again)) == repr(to_json(value))  # repr: -0.0 is not 0.0 and 1 is not 1.0


ESTIMATE = spec.Estimate(centre=1.0, low=-math.inf, high=math.inf, n=3, level=0.99, signature="t")


def test_what_json_has_no_number_for_becomes_a_string() -> None:
    data = to_json(replace(ESTIMATE, centre=math.nan))
    assert (data["centre"], data["low"], data["high"]) == ("nan", "-inf", "inf")
    again = from_json(spec.Estimate, data)
    assert math.isnan(again.centre) and again.low == -math.inf and again.high == math.inf


def test_below_any_a_number_that_is_none_is_told_from_the_word() -> None:
    step = spec.Step("clip", {"limit": math.inf, "nested": [-math.inf, {"x": math.nan}], "word": "inf"})
    data = to_json(step)
    nested = [{"$float": "-inf"}, {"x": {"$float": "nan"}}]
    assert data["parameters"] == {"limit": {"$float": "inf"}, "nested": nested, "word": "inf"}
    again = from_json(spec.Step, json.loads(json.dumps(data, allow_nan=False)))
    assert again.parameters["limit"] == math.inf and again.parameters["word"] == "inf"
    assert math.isnan(again.parameters["nested"][1]["x"])


def test_numpy_scalars_and_enums_become_plain_values() -> None:
    step = spec.Step("clip", {"amount": np.float32(0.5), "count": np.int64(3), "of": spec.Source.HUB, "shape": (1, 2)})
    data = to_json(step)["parameters"]
    assert data == {"amount": 0.5, "count": 3, "of": "hub", "shape": [1, 2]}
    assert [type(value) for value in data.values()] == [float, int, str, list]
    assert type(to_json(replace(ESTIMATE, centre=np.float64(2), n=cast(int, np.int64(4))))["n"]) is int


def test_absent_fields_take_their_defaults() -> None:
    assert from_json(spec.Settings, {"batch": 4}) == spec.Settings(batch=4)


def case(**changes: Any) -> dict[str, Any]:
    settings = spec.Settings()
    record = spec.CaseRecord("m/v/d", "m", "v", "d", "", (spec.Question.SIZE,), settings, {}, "abc")
    return {**to_json(record), **changes}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (case(settings={"batch": "four"}), r"^settings\.batch: expected a whole number, found 'four'$"),
        (case(settings={"batch": True}), r"^settings\.batch: expected a whole number, found True$"),
        (case(settings={"bach": 4}), r"^settings: unknown key 'bach'; did you mean batch\? Known: affinity, batch"),
        (case(questions=["size", "beauty"]), r"^questions\[1\]: expected one of latency, .*, energy, found 'beauty'$"),
        (case(exact={"bytes": "many"}), r"^exact\.bytes: expected a number, .*found 'many'$"),
        (case(exact={"bytes": True}), r"^exact\.bytes: expected a number"),
        (case(exact={"bytes": json.loads("1e999")}), r"^exact\.bytes: expected a number, .*found inf$"),
        (case(memory={"peak": {"0": 1}}), r"^memory\.peak: expected a list, found \{'0': 1\}$"),
        (case(failure=[]), r"^failure: expected an object, found \[\]$"),
        ([], r"^the top level: expected an object"),
        ({"id": "x"}, r"^the top level: the key 'checkpoint' is missing$"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(data: Any, message: str) -> None:
    with pytest.raises(spec.VlmgateError, match=message):
        from_json(spec.CaseRecord, data)


def test_what_would_not_come_back_is_refused() -> None:
    with pytest.raises(spec.VlmgateError, match=r"^parameters: expected a string as the key, found 3$"):
        to_json(spec.Step("x", {3: "three"}))  # type: ignore[dict-item]
    with pytest.raises(spec.VlmgateError, match=r"^parameters\.f: expected a string, number"):
        to_json(spec.Step("x", {"f": object()}))
    with pytest.raises(spec.VlmgateError, match=r"^parameters\.f: expected"):
        to_json(spec.Step("x", {"f": {"$float": "nan"}}))
    with pytest.raises(spec.VlmgateError, match=r"^centre: expected a number"):
        to_json(replace(ESTIMATE, centre="1.0"))  # type: ignore[arg-type]
    with pytest.raises(spec.VlmgateError, match=r"^centre: expected a number"):
        to_json(replace(ESTIMATE, centre=True))


def test_a_type_without_a_rule_is_a_programming_error() -> None:
    @dataclass(frozen=True)
    class Odd:
        value: set[int]

    with pytest.raises(TypeError, match="no rule"):
        to_json(Odd({1}))
