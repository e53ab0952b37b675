"""JSON documents: the layout, each way a file can be wrong, and the schemas against the dataclasses they describe."""

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from vlmgate import spec
from vlmgate.record.document import SCHEMA_VERSION, check, check_version, layout, read_document

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(VALUES, st.booleans())
def test_layout_loses_nothing(value: Any, sort: bool) -> None:
    assert json.loads(layout(value, sort=sort)) == value


def test_layout_puts_a_key_on_a_line_and_plain_lists_on_one() -> None:
    value = {"b": {"t": [[1.5, 2], [3]]}, "a": [], "c": {}, "é": "ü"}
    assert layout(value) == '{\n "b": {\n  "t": [\n   [1.5, 2],\n   [3]\n  ]\n },\n "a": [],\n "c": {},\n "é": "ü"\n}\n'
    assert layout(value, sort=True).startswith('{\n "a"')


def test_half_a_surrogate_pair_survives_as_an_escape() -> None:
    text = layout({"log": "\udcff ü"})
    assert json.loads(text.encode()) == {"log": "\udcff ü"}


def test_layout_refuses_numbers_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        layout({"x": float("nan")})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"a": 1,\n "b": [1, 2', r"is truncated: .*line 2"),
        (b'{"a": 1,\n "b": "hal', r"is truncated: .*line 2"),
        (b'{"a": 1,\n', "is truncated"),
        (b'{"a": 1,\n  b: 2}', r"is not JSON: line 2, column 3: "),
        (b'{"a": NaN}', "NaN stands without quotes"),
        (b'{"a": -Infinity}', "-Infinity stands without quotes"),
        (b'{"a": {"x": 1, "y": 2, "x": 3}}', "the key 'x' is given twice"),
        (b'{"a": "\xff"}', r"not a text file in UTF-8 \(byte 7\)"),
        (b"[" * 200_000, "nested too deeply"),
        (b"1" * 5000, "is not JSON as vlmgate writes it"),
    ],
)
def test_each_broken_file_has_its_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(spec.VlmgateError, match=message) as caught:
        read_document(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(spec.VlmgateError, match="does not exist"):
        read_document(tmp_path / "none.json")
    with pytest.raises(spec.VlmgateError, match=r"cannot be read: .*; give a file that can be read"):
        read_document(tmp_path)


@pytest.mark.parametrize("data", [[], "x", {}, {"schema": "1"}, {"schema": 0}, {"schema": True}])
def test_a_document_without_a_version_is_refused(data: Any) -> None:
    with pytest.raises(spec.VlmgateError, match=r"expected a (JSON object|schema version)"):
        check_version(data, Path("x.json"))


def test_a_newer_schema_says_so_before_anything_else() -> None:
    message = rf"x\.json was made by a newer vlmgate: schema {SCHEMA_VERSION + 1}, this one reads up to {SCHEMA_VERSION}; upgrade"
    with pytest.raises(spec.VlmgateError, match=message):
        check({"schema": SCHEMA_VERSION + 1, "unheard": "of"}, "run", Path("x.json"))


def schema(kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("vlmgate").joinpath(f"{kind}.schema.json").read_text(encoding="utf-8"))
    return loaded


def objects(kind: str) -> Iterator[tuple[type, dict[str, Any]]]:
    """Each dataclass with the part of the schema that describes it."""
    whole = schema(kind)
    for part in (whole, *whole["$defs"].values()):
        cls = getattr(spec, part["title"], None)
        if cls is not None and part.get("type") == "object":
            yield cls, part


@pytest.mark.parametrize("kind", ["run", "baseline"])
def test_schema_is_one_and_names_exactly_the_fields(kind: str) -> None:
    Draft202012Validator.check_schema(schema(kind))
    seen = set()
    for cls, part in objects(kind):
        seen.add(cls)
        assert part["additionalProperties"] is False
        assert [name for name in part["properties"] if name != "schema"] == [field.name for field in fields(cls)]
        needed = {field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING}
        assert set(part["required"]) - {"schema"} == needed
    run = {
        spec.Run,
        spec.Other,
        spec.CaseRecord,
        spec.Block,
        spec.Verdict,
        spec.Estimate,
        spec.StandardError,
        spec.Failure,
        spec.Settings,
        spec.Environment,
    }
    assert seen == (run if kind == "run" else {spec.Baseline, spec.Settings})


@pytest.mark.parametrize("kind", ["run", "baseline"])
def test_every_property_is_described(kind: str) -> None:
    whole = schema(kind)
    for part in (whole, *whole["$defs"].values()):
        for name, rule in part.get("properties", {}).items():
            assert "description" in rule or "$ref" in rule, f"{part['title']}.{name}"


def test_schema_lists_the_members_of_the_enums() -> None:
    run = schema("run")
    verdict = run["$defs"]["Verdict"]["properties"]
    for rule, enum in [
        (run["$defs"]["Question"], spec.Question),
        (verdict["against"], spec.Against),
        (verdict["outcome"], spec.Outcome),
        (verdict["change"], spec.Change),
    ]:
        assert rule["enum"] == [str(member) for member in enum]
