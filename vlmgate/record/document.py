"""JSON documents: a layout that reviews well, strict parsing, and the check against version and JSON Schema."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from vlmgate.spec import VlmgateError
from vlmgate.spec.names import unknown

SCHEMA_VERSION = 1  # of run.json and of the files under baselines/


def layout(value: Any, *, indent: int = 1, sort: bool = False) -> str:
    """JSON text with one key a line, a list of plain values on one line, and a newline at the end.

    Strings keep their letters; should one hold half a surrogate pair (undecodable log bytes), everything is escaped to ASCII.
    """
    text = _layout(value, " " * indent, "\n", sort, ascii_only=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = _layout(value, " " * indent, "\n", sort, ascii_only=True)
    return text + "\n"


def _layout(value: Any, step: str, newline: str, sort: bool, ascii_only: bool) -> str:
    inner = newline + step
    if isinstance(value, dict) and value:
        keys = sorted(value) if sort else value
        lines = [f"{_plain(key, ascii_only)}: {_layout(value[key], step, inner, sort, ascii_only)}" for key in keys]
        return "{" + inner + ("," + inner).join(lines) + newline + "}"
    if isinstance(value, list) and any(isinstance(item, list | dict) for item in value):
        return "[" + inner + ("," + inner).join(_layout(item, step, inner, sort, ascii_only) for item in value) + newline + "]"
    return _plain(value, ascii_only)


def _plain(value: Any, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)


def read_document(path: Path, *, constants: bool = False) -> Any:
    """The JSON value in a file. Raises VlmgateError: missing, unreadable, empty, truncated, not JSON, a key given twice.

    NaN and Infinity, which are no JSON, are refused too; with ``constants`` they come back as floats, to be named by place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise VlmgateError(f"{path} does not exist; give the path of an existing file") from None
    except UnicodeDecodeError as error:
        raise VlmgateError(f"{path} is not a text file in UTF-8 (byte {error.start}); restore it or make it anew") from None
    except OSError as error:
        raise VlmgateError(f"{path} cannot be read: {error.strerror}; give a file that can be read") from None
    return _parse(text, path, constants)


def _parse(text: str, path: Path, constants: bool) -> Any:
    if not text.strip():
        raise VlmgateError(f"{path} is empty, expected JSON; restore it or make it anew")
    try:
        return json.loads(text, parse_constant=float if constants else _no_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise VlmgateError(
                f"{path} is truncated: it ends within its JSON at line {text.count(chr(10)) + 1}; restore it or make it anew"
            ) from None
        raise VlmgateError(
            f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}; mend or restore it"
        ) from None
    except RecursionError:
        raise VlmgateError(f"{path} is nested too deeply to be one of ours; restore it or make it anew") from None
    except ValueError as error:
        raise VlmgateError(f"{path} is not JSON as vlmgate writes it: {error}; mend or restore it") from None


def _no_constant(name: str) -> None:
    raise ValueError(f'{name} stands without quotes; "nan", "inf" and "-inf" are strings')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is given twice")
    return data


def check(data: Any, kind: str, source: Path) -> None:
    """Hold a parsed document against ``<kind>.schema.json`` ("run" or "baseline") of the package.

    Raises VlmgateError naming ``source``, the JSON path and what was expected, or the newer schema version.
    """
    check_version(data, source)
    error = next(iter(_validator(kind).iter_errors(data)), None)
    if error is not None:
        raise VlmgateError(f"{source}: {_sentence(error)} (see {kind}.schema.json of vlmgate); mend or restore the file")


def check_version(data: Any, source: Path) -> None:
    """Raise VlmgateError where the document was written under a newer schema than this package knows, or is no object at all."""
    if not isinstance(data, dict):
        raise VlmgateError(f"{source}: expected a JSON object, found {_short(data)}; restore it or make it anew")
    version = data.get("schema")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        found = "none" if version is None else _short(version)
        raise VlmgateError(
            f'{source}: expected a schema version ("schema": {SCHEMA_VERSION}), found {found}; mend or restore the file'
        )
    if version > SCHEMA_VERSION:
        raise VlmgateError(
            f"{source} was made by a newer vlmgate: schema {version}, this one reads up to {SCHEMA_VERSION}; upgrade vlmgate"
        )


@cache
def _validator(kind: str) -> Draft202012Validator:
    schema = json.loads(files("vlmgate").joinpath(f"{kind}.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


def _sentence(error: ValidationError) -> str:
    """Path, expectation and finding; the library's own message repeats the whole value, which may be megabytes."""
    where, rule, value = error.json_path, error.validator, error.validator_value
    if rule == "required":
        missing = next(name for name in cast(list[str], value) if name not in cast(dict[str, Any], error.instance))
        return f"{where} lacks the key {missing!r}"
    if rule == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        return f"at {where}: {unknown('key', next(name for name in error.instance if name not in known), known)}"
    return f"at {where} expected {rule} {_short(value, 100)}, found {_short(error.instance)}"


def _short(value: Any, most: int = 60) -> str:
    text = json.dumps(value)
    return text if len(text) <= most else text[: most - 3] + "..."
