"""Documents straight to typed objects, for those that look like one that was read before.

The documents of a mesh repeat themselves: ten thousand Pods have a handful of shapes. A shape (`block`) and a kind are
worked out once, into functions that build the messages of `api` from the values of the lines. They take what is right
and give up at anything that is not, or that they do not know: then the long way (`reading`) reads the document and
says what is wrong with it. So this reader finds no faults, and what it does make is what the long way makes; tests
compare the two.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, is_dataclass
from operator import itemgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NoReturn, Union, get_args, get_origin

from ..api.decode import Path, Read, field_readers
from ..api.export_validity import export_to
from ..api.fields import Required
from ..api.validity import RULES
from ..kinds import KINDS, Kind
from ..objects import Object, Place
from .block import BlockReader, Mapping, Node, Plan, Sequence, Values, builder
from .documents import Document
from .reading import Reader, Reading


class _UnsureError(Exception):
    """The long way has to be gone."""


class _UnknownError(Exception):
    """A shape that is not for this reader."""


def _refuse(path: Path, message: str, *, inert: bool = False) -> NoReturn:  # noqa: ARG001
    raise _UnsureError


class _Strict(Reader):
    """Reads what is right."""

    def __call__(self, path: Path, message: str, *, inert: bool = False) -> NoReturn:  # noqa: ARG002
        raise _UnsureError


_TEXT: Final = frozenset({str})
_META: Final = _Strict("", Document(None, "", 1), None)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where a shape says what it is, and how objects of it are made, by kind and apiVersion."""

    root: Mapping
    kind: int
    api_version: int
    makers: dict[tuple[object, object], _Maker | None]


@dataclass(frozen=True, slots=True)
class _Maker:
    name: str
    kind: Kind
    meta: Plan
    spec: Plan
    texts: Plan


class QuickReader:
    """Remembers shapes, so it is to be kept for as many documents as belong together."""

    def __init__(self, block: BlockReader) -> None:
        self._block = block
        self._shapes: dict[tuple[int, ...], _Shape | None] = {}

    def read(self, file: str, text: str, line: int) -> list[Reading] | None:
        """What one document says; None where the long way must be gone."""
        apart = self._block.apart(text)
        if apart is None:
            return None
        numbers, values = apart
        if numbers in self._shapes:
            shape = self._shapes[numbers]
        else:
            shape = self._shapes[numbers] = _shape(self._block.node(numbers))
        if shape is None:
            return None
        said = values[shape.kind], values[shape.api_version]
        if said in shape.makers:
            maker = shape.makers[said]
        else:
            maker = shape.makers[said] = _maker(shape.root, *said)
        if maker is None:
            return None
        if not _TEXT.issuperset(map(type, maker.texts(values))):
            return None
        try:
            meta = _META.meta(maker.meta(values), maker.kind)
            spec = maker.spec(values)
        except _UnsureError:
            return None
        if meta is None or next(export_to(spec, meta.namespace), None) is not None:
            return None
        kind = maker.kind
        made = Object(maker.name, kind.version, kind.group, meta, spec, Place(file, line))
        return [Reading(made.ref, made)]


def _shape(node: Node | None) -> _Shape | None:
    if not isinstance(node, Mapping) or not {"kind", "apiVersion"} <= node.places.keys() - node.nested.keys():
        return None
    if not isinstance(node.nested.get("metadata"), Mapping):
        return None
    return _Shape(node, node.places["kind"], node.places["apiVersion"], {})


def _maker(root: Mapping, name: object, api_version: object) -> _Maker | None:
    """None for what is not ours, for kinds of which only some objects are, and where a status counts."""
    if not isinstance(name, str) or not isinstance(api_version, str):
        return None
    group, _, version = api_version.rpartition("/")
    kind = KINDS.get(name)
    if kind is None or kind.group != group or version not in kind.versions or kind.concerns is not None:
        return None
    if kind.status is not None and "status" in root.places:
        return None
    content = root.nested.get("spec") if kind.spec else root
    if not isinstance(content, Mapping):
        return None
    compiler = _Compiler()
    try:
        spec = compiler.message(kind.message, content)
        # The kind's line too, since itemgetter gives a tuple of two and more only.
        return _Maker(
            name, kind, builder(root.nested["metadata"]), spec, itemgetter(root.places["kind"], *compiler.texts)
        )
    except _UnknownError:
        return None


class _Compiler:
    """Works out one shape of one kind. `texts` are the lines whose values have to be texts; that is checked at once."""

    def __init__(self) -> None:
        self.texts: list[int] = []

    def message(self, message: Any, node: Mapping) -> Plan:
        """How a message is built from a mapping: field by field, as `decode` does."""
        known = field_readers(message)
        is_open = getattr(message, "OPEN", False)
        texts: dict[str, int] = {}
        others: dict[str, Plan] = {}
        for key, place in node.places.items():
            field = known.get(key) if isinstance(key, str) else None
            if field is None or (is_open and key != field.json):
                if is_open:
                    continue
                raise _UnknownError
            inner = node.nested.get(key)
            if inner is None and place in node.empty:
                continue  # null
            if field.name in texts or field.name in others:
                raise _UnknownError  # one field by two names
            annotation = _bare(field.annotation)
            if annotation is str and inner is None:
                texts[field.name] = place
                self.texts.append(place)
            else:
                others[field.name] = self._value(annotation, field.read, inner, place)
        build = _built(message, texts, others)
        return build if is_open else _checked(message, build, texts.keys() | others.keys())

    def _value(self, annotation: Any, read: Read, node: Node | None, place: int) -> Plan:
        """How one field is built. What is not text, a list or a message is left to the reader of the field."""
        if node is None:
            return _scalar(read, place)
        if get_origin(annotation) is tuple and isinstance(node, Sequence):
            return self._list(get_args(annotation)[0], node, read)
        if is_dataclass(annotation) and isinstance(node, Mapping):
            return self.message(annotation, node)
        build = builder(node)
        return lambda values: read(build(values), None, _refuse)

    def _list(self, annotation: Any, node: Sequence, read: Read) -> Plan:
        if is_dataclass(annotation) and all(isinstance(item, Mapping) for item in node.items):
            made = [self.message(annotation, item) for item in node.items if isinstance(item, Mapping)]
            if len(made) == 1:
                (only,) = made
                return lambda values: (only(values),)
            return lambda values: tuple([make(values) for make in made])
        build = builder(node)
        return lambda values: read(build(values), None, _refuse)


def _built(message: Any, texts: dict[str, int], others: dict[str, Plan]) -> Plan:
    names, parts = tuple(texts), tuple(others.items())
    if not names:
        return lambda values: message(**{name: make(values) for name, make in parts})
    if len(names) == 1:
        ((name, place),) = texts.items()
        return lambda values: message(**{name: values[place]}, **{name: make(values) for name, make in parts})
    pick = itemgetter(*texts.values())
    if not parts:
        return lambda values: message(**dict(zip(names, pick(values), strict=True)))

    def build(values: Values) -> Any:
        given = dict(zip(names, pick(values), strict=True))
        for name, make in parts:
            given[name] = make(values)
        return message(**given)

    return build


def _checked(message: Any, build: Plan, given: AbstractSet[str]) -> Plan:
    """What a message demands beyond its fields."""
    groups: tuple[tuple[str, ...], ...] = getattr(message, "ONE_OF", ())
    if any(len(given & set(group)) > 1 for group in groups):
        raise _UnknownError
    needed = tuple({reader.name for reader in field_readers(message).values() if reader.required})
    if not given >= set(needed):
        raise _UnknownError
    rule = RULES.get(message)
    if rule is None and not needed:
        return build

    def make(values: Values) -> Any:
        made = build(values)
        for name in needed:
            if not getattr(made, name):
                raise _UnsureError
        if rule is not None and next(iter(rule(made)), None) is not None:
            raise _UnsureError
        return made

    return make


def _scalar(read: Read, place: int) -> Plan:
    def make(values: Values) -> Any:
        value = values[place]
        if value is None:
            raise _UnsureError
        return read(value, None, _refuse)

    return make


def _bare(annotation: Any) -> Any:
    """Without what says only that a field may be missing, or must not be; other marks are for the field's reader."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        (inner,) = [arg for arg in args if arg is not NoneType]
        return _bare(inner)
    if origin is Annotated and all(isinstance(mark, Required) for mark in args[1:]):
        return _bare(args[0])
    return annotation
