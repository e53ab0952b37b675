"""Dataclasses of the vocabulary to plain JSON values and back, driven by their type hints, exact both ways.

JSON has no number for NaN and the infinities. Where the hint says float they are the strings "nan", "inf" and "-inf"; where
it says Any, and a string would be ambiguous, they are {"$float": "nan"}. Below Any a tuple comes back as a list.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from numbers import Integral, Real
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from vlmgate.spec import VlmgateError
from vlmgate.spec.names import unknown

T = TypeVar("T")
NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
TAG = "$float"
WORDS = {str: "a string", bool: "true or false", int: "a whole number", float: 'a number, "nan", "inf" or "-inf"'}


def to_json(obj: Any) -> dict[str, Any]:
    """A dataclass instance as dicts, lists, strings, numbers, booleans and None; every field is written.

    Raises VlmgateError, naming the path of the value, where a value is not of its field's type.
    """
    return cast(dict[str, Any], _encode(type(obj), obj, ""))


def from_json(cls: type[T], data: Any) -> T:
    """The instance of the dataclass ``cls`` that ``to_json`` wrote as ``data``.

    Fields with a default may be absent. Raises VlmgateError, naming the path of the value (``cases[3].settings.batch``), for a
    value of the wrong type, an unknown key or a missing one.
    """
    return cast(T, _decode(cls, data, ""))


@cache
def _hints(cls: type) -> dict[str, Any]:
    """Field name to resolved type hint, in the order of the fields."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


@cache
def _required(cls: type) -> frozenset[str]:
    return frozenset(f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING)


@cache
def _shape(hint: Any) -> tuple[str, Any]:
    """The kind of a hint and the hint of what is inside."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return "any", None
    if origin in (Union, UnionType) and len(args) == 2 and type(None) in args:
        return "optional", next(arg for arg in args if arg is not type(None))
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return "tuple", args[0]
    if origin is Mapping and args[0] is str:
        return "mapping", args[1]
    if is_dataclass(hint):
        return "dataclass", hint
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "enum", hint
    if hint in WORDS:
        return "scalar", hint
    raise TypeError(f"the codec has no rule for fields of type {hint!r}")


def _encode(hint: Any, value: Any, path: str) -> Any:
    kind, inner = _shape(hint)
    if kind == "any":
        return _encode_any(value, path)
    if kind == "optional":
        return None if value is None else _encode(inner, value, path)
    if kind == "tuple":
        return [_encode(inner, item, f"{path}[{i}]") for i, item in enumerate(_expect(value, (tuple, list), "a tuple", path))]
    if kind == "mapping":
        items = _expect(value, Mapping, "a mapping", path).items()
        return {_key(key, path): _encode(inner, item, _join(path, key)) for key, item in items}
    if kind == "dataclass":
        _expect(value, inner, inner.__name__, path)
        return {name: _encode(of, getattr(value, name), _join(path, name)) for name, of in _hints(inner).items()}
    if kind == "enum":
        return _member(inner, value, path).value
    return _number(value, path) if hint is float else _scalar(hint, value, path)


def _decode(hint: Any, value: Any, path: str) -> Any:
    kind, inner = _shape(hint)
    if kind == "any":
        return _decode_any(value)
    if kind == "optional":
        return None if value is None else _decode(inner, value, path)
    if kind == "tuple":
        return tuple(_decode(inner, item, f"{path}[{i}]") for i, item in enumerate(_expect(value, list, "a list", path)))
    if kind == "mapping":
        return {key: _decode(inner, item, _join(path, key)) for key, item in _expect(value, dict, "an object", path).items()}
    if kind == "dataclass":
        return _decode_dataclass(inner, _expect(value, dict, "an object", path), path)
    if kind == "enum":
        return _member(inner, value, path)
    return _read_number(value, path) if hint is float else _scalar(hint, value, path)


def _decode_dataclass(cls: type, data: dict[str, Any], path: str) -> Any:
    hints = _hints(cls)
    if odd := sorted(data.keys() - hints.keys()):
        raise VlmgateError(f"{path or 'the top level'}: {unknown('key', odd[0], hints)}")
    if missing := sorted(_required(cls) - data.keys()):
        raise VlmgateError(f"{path or 'the top level'}: the key {missing[0]!r} is missing")
    return cls(**{name: _decode(hints[name], value, _join(path, name)) for name, value in data.items()})


def _encode_any(value: Any, path: str) -> Any:
    if isinstance(value, Enum):
        return _encode_any(value.value, path)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = _number(value, path)
        return {TAG: number} if isinstance(number, str) else number
    if isinstance(value, Mapping) and TAG not in value:
        return {_key(key, path): _encode_any(item, _join(path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode_any(item, f"{path}[{i}]") for i, item in enumerate(value)]
    raise _wrong(value, "a string, number, boolean, list or mapping (of no key '$float')", path)


def _decode_any(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode_any(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {TAG} and value[TAG] in NON_FINITE:
            return NON_FINITE[value[TAG]]
        return {key: _decode_any(item) for key, item in value.items()}
    return value


def _number(value: Any, path: str) -> float | str:
    """A float for JSON; integers and NumPy scalars are taken too."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _wrong(value, WORDS[float], path)
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _read_number(value: Any, path: str) -> float:
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    # json reads 1e999 as infinity, which nobody meant
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1.7976931348623157e308:
        raise _wrong(value, WORDS[float], path)
    return float(value)


def _scalar(hint: type, value: Any, path: str) -> Any:
    if hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if hint is not int and isinstance(value, hint):
        return value
    raise _wrong(value, WORDS[hint], path)


def _member(cls: type[Enum], value: Any, path: str) -> Enum:
    try:
        return cls(value)
    except ValueError:
        raise _wrong(value, "one of " + ", ".join(str(member.value) for member in cls), path) from None


def _expect(value: Any, cls: Any, words: str, path: str) -> Any:
    if not isinstance(value, cls):
        raise _wrong(value, words, path)
    return value


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):  # json would turn 3 into "3" without a word, and the round trip would not be exact
        raise _wrong(key, "a string as the key", path)
    return key


def _join(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def _wrong(value: Any, expected: str, path: str) -> VlmgateError:
    found = repr(value)
    return VlmgateError(
        f"{path or 'the top level'}: expected {expected}, found {found if len(found) < 60 else found[:57] + '...'}"
    )
