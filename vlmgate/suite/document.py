"""suite.yaml as text: strict YAML whose every key knows its line, checked against the schema, refused in one sentence."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from vlmgate.spec import VlmgateError
from vlmgate.spec.names import unknown

Keys = tuple[str | int, ...]
Raw = dict[str, Any]  # a mapping of the file that the schema has accepted


class _Loader(yaml.SafeLoader):
    """Refuses aliases (a few lines can stand for gigabytes), tags, and equal keys (PyYAML silently keeps the last)."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise ComposerError(None, None, "anchors (&), aliases (*) and tags (!) are refused, write it out", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                problem = f"key `{str(key.value)[:60]}` is not read as text, put it in quotes"
                raise ConstructorError(None, None, problem, key.start_mark)
            if key.value in seen:
                problem = f"key '{key.value}' is already at line {seen[key.value]}, keep one of the two"
                raise ConstructorError(None, None, problem, key.start_mark)
            seen[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError
        except ValueError as error:  # also dates such as 2027-02-30
            problem = f"`{str(node.value)[:60]}` is not a finite number or a date"
            raise ConstructorError(None, None, problem, node.start_mark) from error
        return value


@dataclass(frozen=True)
class File:
    """A suite file: at which line every key path stands, and what was written there."""

    path: Path
    places: dict[Keys, tuple[int, str]] = field(default_factory=dict)

    def error(self, keys: Keys, message: str, line: int = 0) -> VlmgateError:
        """An error at a key path, with the line of the nearest parent that is there."""
        line = line or next((self.places[keys[:n]][0] for n in range(len(keys), 0, -1) if keys[:n] in self.places), 1)
        dotted = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
        said = " ".join(f"{dotted + ': ' if dotted else ''}{message}".split())  # one line, whatever the file holds
        return VlmgateError(f"{self.path}:{line}: {said}")

    def parse(self, payload: bytes) -> Raw:
        """Bytes → plain data that the schema accepts."""
        try:
            content = self._plain(payload.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise self.error((), "is not UTF-8, save it as UTF-8", payload.count(b"\n", 0, error.start) + 1) from error
        except RecursionError as error:
            raise self.error((), "is nested too deeply, a suite has about six levels") from error
        except yaml.YAMLError as error:
            mark, position = getattr(error, "problem_mark", None), getattr(error, "position", 0)
            line = 1 + (mark.line if mark else payload.decode("utf-8-sig").count("\n", 0, position))
            problem = str(getattr(error, "problem", None) or "has a control character, remove it")
            if start := getattr(error, "context_mark", None):
                problem += f" ({getattr(error, 'context', '')}, line {start.line + 1})"
            raise self.error((), f"cannot be read as YAML: {problem}", line) from error
        schema = json.loads((files("vlmgate") / "suite.schema.json").read_text(encoding="utf-8"))
        refusal = best_match(Draft202012Validator(schema).iter_errors(content))
        if refusal is not None:
            raise self._refused(refusal)
        return dict(content)

    def _plain(self, text: str) -> Any:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise self.error((), "is empty, expected a mapping with the keys schema and tiers")
        content = loader.construct_document(node)
        self.places.update(_places(node, ()))
        return content

    def _refused(self, refusal: ValidationError) -> VlmgateError:
        """What the schema refuses, in a sentence: its descriptions say what is expected."""
        keys: Keys = tuple(refusal.absolute_path)
        value, schema = cast(Any, refusal.instance), cast(Raw, refusal.schema)
        if refusal.validator == "additionalProperties":
            name = next(key for key in value if key not in schema["properties"])
            return self.error((*keys, name), unknown("key", name, schema["properties"]))
        if refusal.validator == "required":
            missing = next(key for key in schema["required"] if key not in value)
            return self.error(keys, f"the key '{missing}' is missing, expected {schema['description']}")
        if "propertyNames" in refusal.absolute_schema_path:
            return self.error((*keys, value), f"expected {schema['description']}")
        text = self.places.get(keys, (1, ""))[1] or ("nothing" if value is None else json.dumps(value, default=str))
        if refusal.validator == "enum":
            return self.error(keys, unknown(schema["description"], text[:60], schema["enum"]))
        hint = ", which YAML reads as a boolean: put it in quotes if it is text" if isinstance(value, bool) else ""
        return self.error(keys, f"expected {schema['description']}, got `{text[:60]}`{hint}")

    def known(self, keys: Keys, kind: str, name: str, table: Mapping[str, Any]) -> Any:
        """What ``table`` holds under ``name``; an error at the key path if there is nothing."""
        if name not in table:
            raise self.error(keys, unknown(kind, name, table))
        return table[name]


def _places(node: yaml.Node, keys: Keys) -> Iterator[tuple[Keys, tuple[int, str]]]:
    """Line (of the key, where there is one) and text (of a scalar) of everything under a node."""
    named = [(key.value, key, value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []
    numbered = [(i, item, item) for i, item in enumerate(node.value)] if isinstance(node, yaml.SequenceNode) else []
    for key, start, value in named + numbered:
        text = value.value if isinstance(value, yaml.ScalarNode) else ""
        yield (*keys, key), (start.start_mark.line + 1, text)
        yield from _places(value, (*keys, key))
