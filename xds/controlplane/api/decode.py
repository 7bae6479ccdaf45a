"""Compiles a reader for each message class from its annotations, and reads JSON values with it.

A reader never raises: what does not fit is told to the sink with its path, and the field keeps its default, so that one
pass finds everything that is wrong with an object. Names are accepted as protobuf's JSON mapping accepts them: camel
case or as in the .proto. A null is an unset field.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from ..loader import Loader
from .fields import Bounds, Format, Inert, Required
from .regexes import regex_fault
from .validity import RULES

Path = tuple["Path", str | int] | None
"""Where a value stands: innermost key last, linked so that a level costs one tuple."""

M = TypeVar("M")


class Sink(Protocol):
    """Hears of every deviation. `inert` is set for what is valid and changes nothing."""

    def __call__(self, path: Path, message: str, *, inert: bool = False) -> None: ...


Read = Callable[[Any, Path, Sink], Any]


def decode(message: type[M], value: object, sink: Sink, path: Path = None) -> M:
    """Reads a JSON value as a message; deviations go to the sink."""
    kind: Any = message
    read: M = _message(kind)(value, path, sink)
    return read


def extended(path: Path, keys: Iterable[str | int]) -> Path:
    for key in keys:
        path = (path, key)
    return path


def keys_of(path: Path) -> list[str | int]:
    """The keys of a path, outermost first."""
    keys: list[str | int] = []
    while path is not None:
        keys.append(path[1])
        path = path[0]
    return keys[::-1]


def path_text(path: Path) -> str:
    """`spec.http[0].route[1].weight`; keys that are no names are quoted: `metadata.labels["a/b"]`."""
    out = ""
    for key in keys_of(path):
        if isinstance(key, int):
            out += f"[{key}]"
        elif _NAME.fullmatch(key):
            out += f".{key}" if out else key
        else:
            out += f'["{key}"]'
    return out


def shown(value: object) -> str:
    """A value as a person would name it in a sentence."""
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'"{value}"' if len(value) <= 60 else f'"{value[:57]}..."'
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


def nearest(name: str, known: Mapping[str, object]) -> str:
    """` (did you mean "weight"?)`, or nothing if no known name is near, whatever the case of its letters."""
    lowered = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return f' (did you mean "{lowered[found[0]]}"?)' if found else ""


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_GATEWAY_DURATION = re.compile(r"(\d{1,5}(h|m|s|ms)){1,4}")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float | None:
    """Seconds of a duration as Go writes it (`1h30m`, `2.5s`, `300ms`); None if it is not one."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    total, end = 0.0, 0
    while end < len(rest):
        part = _DURATION.match(rest, end)
        if part is None:
            return None
        total += float(part[1]) * _UNITS[part[2]]
        end = part.end()
    return sign * round(total, 9) if rest else None


def _text(value: Any, path: Path, sink: Sink) -> str:
    if isinstance(value, str):
        return value
    sink(path, f"must be a string, not {shown(value)}")
    return ""


def _flag(value: Any, path: Path, sink: Sink) -> bool:
    if isinstance(value, bool):
        return value
    sink(path, f"must be true or false, not {shown(value)}")
    return False


def _whole(value: Any, path: Path, sink: Sink) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    sink(path, f"must be a whole number, not {shown(value)}")
    return 0


def _number(value: Any, path: Path, sink: Sink) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    sink(path, f"must be a number, not {shown(value)}")
    return 0.0


def _duration(value: Any, path: Path, sink: Sink) -> float:
    seconds = duration_s(value) if isinstance(value, str) else None
    if seconds is None:
        sink(path, f"must be a duration such as 1.5s or 500ms, not {shown(value)}")
        return 0.0
    return seconds


def _gateway_duration(value: Any, path: Path, sink: Sink) -> float:
    if not isinstance(value, str) or not _GATEWAY_DURATION.fullmatch(value):
        sink(path, f"must be a duration such as 10s or 1h30m, of whole numbers, not {shown(value)}")
        return 0.0
    return duration_s(value) or 0.0


def _regex(value: Any, path: Path, sink: Sink) -> str:
    text = _text(value, path, sink)
    fault = "" if text == "*" else regex_fault(text)
    if fault:
        sink(path, f"is not a regular expression of RE2: {fault}")
    return text


def _bytes(value: Any, path: Path, sink: Sink) -> bytes:
    try:
        return base64.b64decode(_text(value, path, sink), validate=True)
    except binascii.Error:
        sink(path, f"must be base64, not {shown(value)}")
        return b""


def _anything(value: Any, _path: Path, _sink: Sink) -> Any:
    return value


_PLAIN: dict[object, Read] = {str: _text, bool: _flag, int: _whole, float: _number, object: _anything}
_FORMATS: dict[Format, Read] = {
    Format.DURATION: _duration,
    Format.GATEWAY_DURATION: _gateway_duration,
    Format.REGEX: _regex,
    Format.BYTES: _bytes,
}


def _reader(annotation: Any) -> Read:
    """The reader of one annotation."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _marked(args[0], args[1:])
    if origin in (Union, UnionType):
        (inner,) = [arg for arg in args if arg is not NoneType]
        return _reader(inner)
    if origin is Literal:
        return _choice(args)
    if origin is tuple:
        return _list(_reader(args[0]))
    if origin is dict:
        return _map(_reader(args[0]), _reader(args[1]), whole_keys=args[0] is not str)
    if is_dataclass(annotation):
        return _later(annotation)
    return _PLAIN[annotation]


def _later(message: Any) -> Read:
    """Compiled when first read: messages may contain themselves."""
    compiled: list[Read] = []

    def read(value: Any, path: Path, sink: Sink) -> Any:
        if not compiled:
            compiled.append(_message(message))
        return compiled[0](value, path, sink)

    return read


def _marked(base: Any, marks: tuple[object, ...]) -> Read:
    if Format.YAML in marks:
        return _embedded(_reader(base))
    read = next((_FORMATS[mark] for mark in marks if isinstance(mark, Format)), None) or _reader(base)
    for mark in marks:
        if isinstance(mark, Bounds):
            read = _bounded(read, mark)
        elif isinstance(mark, Inert):
            read = _inert(read, mark.why)
    return read


def _embedded(inner: Read) -> Read:
    """A message as YAML in a string; keys of the message follow those of the string in a path."""

    def read(value: Any, path: Path, sink: Sink) -> Any:
        try:
            content = yaml.load(_text(value, path, sink), Loader=Loader)  # noqa: S506  Loader is a safe one
        except (yaml.YAMLError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            at = f"line {mark.line + 1} of it: {getattr(error, 'problem', '')}" if mark is not None else str(error)
            sink(path, f"is not YAML: {at}")
            content = None
        return inner({} if content is None else content, path, sink)

    return read


def _bounded(inner: Read, bounds: Bounds) -> Read:
    def read(value: Any, path: Path, sink: Sink) -> Any:
        number = inner(value, path, sink)
        if not bounds.low <= number <= bounds.high:
            limit = f"at least {bounds.low:g}" if number < bounds.low else f"at most {bounds.high:.16g}"
            sink(path, f"must be {limit}, not {number:.16g}")
            return type(number)(bounds.low if number < bounds.low else 0)
        return number

    return read


def _inert(inner: Read, why: str) -> Read:
    def read(value: Any, path: Path, sink: Sink) -> Any:
        sink(path, f"has no effect: {why}", inert=True)
        return inner(value, path, sink)

    return read


def _choice(names: tuple[str, ...]) -> Read:
    known = dict.fromkeys(names)

    def read(value: Any, path: Path, sink: Sink) -> str:
        if isinstance(value, str) and value in known:
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
        near = nearest(value, known) if isinstance(value, str) else ""
        sink(path, f"must be one of {', '.join(names)}, not {shown(value)}{near}")
        return names[0]

    return read


def _list(inner: Read) -> Read:
    def read(value: Any, path: Path, sink: Sink) -> tuple[Any, ...]:
        if not isinstance(value, list):
            sink(path, f"must be a list, not {shown(value)}")
            return ()
        return tuple([inner(item, (path, index), sink) for index, item in enumerate(value)])

    return read


def _map(key_reader: Read, inner: Read, *, whole_keys: bool) -> Read:
    def read(value: Any, path: Path, sink: Sink) -> dict[Any, Any]:
        if not isinstance(value, dict):
            sink(path, f"must be an object, not {shown(value)}")
            return {}
        out = {}
        for key, item in value.items():
            at = (path, str(key))
            name = key_reader(key, at, sink) if whole_keys or not isinstance(key, str) else key
            out[name] = inner({} if item is None and inner not in _PLAIN.values() else item, at, sink)
        return out

    return read


class FieldReader(NamedTuple):
    """One field of a message: its name in Python, its name in JSON, how to read it, its annotation."""

    name: str
    json: str
    read: Read
    required: bool
    annotation: Any


def json_name(name: str) -> str:
    """`http1_max_requests` -> `http1MaxRequests`, as protobuf maps names; a trailing underscore dodges a keyword."""
    head, *rest = name.removesuffix("_").split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


@cache
def field_readers(message: type) -> dict[str, FieldReader]:
    """The fields of a message by each name they may be written with."""
    hints = get_type_hints(message, include_extras=True)
    names: dict[str, str] = getattr(message, "NAMES", {})
    out: dict[str, FieldReader] = {}
    for item in fields(message):
        hint = hints[item.name]
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        required = any(isinstance(mark, Required) for mark in marks)
        made = FieldReader(item.name, names.get(item.name) or json_name(item.name), _reader(hint), required, hint)
        out.setdefault(item.name.removesuffix("_"), made)
        out[made.json] = made
    return out


@cache
def _message(message: Any) -> Read:
    """The reader of one message."""
    known = field_readers(message)
    every = tuple(dict.fromkeys(known.values()))
    required = tuple(reader for reader in every if reader.required)
    groups: tuple[tuple[str, ...], ...] = getattr(message, "ONE_OF", ())
    rule = RULES.get(message)

    def read_open(value: Any, path: Path, sink: Sink) -> Any:
        """Takes the fields that it knows."""
        if not isinstance(value, dict):
            return not_one(value, path, sink)
        given = {}
        for name, key, read, _, _ in every:
            item = value.get(key)
            if item is not None:
                given[name] = read(item, (path, key), sink)
        return message(**given)

    def read_closed(value: Any, path: Path, sink: Sink) -> Any:
        if not isinstance(value, dict):
            return not_one(value, path, sink)
        given: dict[str, Any] = {}
        for key, item in value.items():
            field = known.get(key)
            if field is None:
                spelled = {reader.json: None for reader in every}
                sink((path, str(key)), f"unknown field{nearest(str(key), spelled)}")
            elif item is not None:
                given[field.name] = field.read(item, (path, key), sink)
        for group in groups:
            chosen = [json_name(name) for name in group if name in given]
            if len(chosen) > 1:
                sink((path, chosen[1]), f"cannot be set together with {chosen[0]}")
                for name in group[1:]:
                    given.pop(name, None)
        for field in required:
            if not given.get(field.name):
                sink((path, field.json), "is required")
        made = message(**given)
        if rule is not None:
            for keys, text in rule(made):
                sink(extended(path, keys), text)
        return made

    def not_one(value: Any, path: Path, sink: Sink) -> Any:
        sink(path, f"must be an object, not {shown(value)}")
        return message()

    return read_open if getattr(message, "OPEN", False) else read_closed
