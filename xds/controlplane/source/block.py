"""A quick reader for the YAML that people and generators mostly write: block mappings and sequences, one line each.

PyYAML needs about 0.2 ms for a small document, also with libyaml under it; a folder of a whole mesh holds thousands.
This reader understands a subset of the language and returns None for anything beyond it, so that PyYAML decides. Within
the subset the result is what PyYAML's safe loader gives, down to YAML 1.1's `yes` and `0o7`: scalars are resolved by
PyYAML itself, each distinct one once, and tests compare the two. It never says what is wrong with a document: only a
document that it understands in full is its business.

What makes it quick is that the documents of a mesh repeat themselves. A line is taken apart once: into its shape
(indentation, dash, key) and its value. A sequence of shapes is worked out once: into a plan that says which values go
where. A document whose shapes are known costs a dictionary lookup per line and the building of its value.
"""

from __future__ import annotations

import re
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, NamedTuple

import yaml

from ..loader import Loader

_LINE = re.compile(
    r"""
    (?P<indent>[ ]*)
    (?P<dash>-[ ]+)?
    (?:
        (?P<key>[A-Za-z0-9_./][A-Za-z0-9_./-]*|'[^']+'|"[^"\\]+"):(?:[ ]+(?P<value>\S.*?))?
      | (?P<item>\S.*?)
    )
    [ ]*
    """,
    re.VERBOSE,
)
# Nothing that ends a plain scalar or begins another kind may stand in it.
_CHARS = r"A-Za-z0-9_./+*()<>=,;@%~^$!?&|\\"
_PLAIN = re.compile(rf"[A-Za-z0-9_./+][{_CHARS} -]*(?::[{_CHARS}-][{_CHARS} -]*)*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"\\]*\"")


class _Mark:
    """A value that no document can hold."""


_NOTHING: Final = _Mark()


class _Shape(NamedTuple):
    """A line without its value. `column` is that of its first character, `inner` that of its key after a dash."""

    column: int
    dash: bool
    inner: int
    key: Any  # _NOTHING for a bare item of a sequence
    open: bool  # a key without a value: null, or what the next lines hold


_Parsed = tuple[int, Any]  # number of the shape, value
_SKIP: Final = 0
_BAD: Final = 1

Values = abc.Sequence[Any]
Plan = Callable[[Values], Any]


class BlockReader:
    """Reads documents; remembers lines and plans, so it is to be kept for as many documents as belong together."""

    def __init__(self) -> None:
        self._lines = _Lines()
        self._plans: dict[tuple[int, ...], Plan | None] = {}

    def read(self, text: str) -> Any:
        """The value of a document; None where PyYAML must read it (no document of the subset is null)."""
        apart = self.apart(text)
        if apart is None:
            return None
        numbers, values = apart
        plan = self._plans.get(numbers, _NOTHING)
        if isinstance(plan, _Mark):
            node = self.node(numbers)
            plan = self._plans[numbers] = None if node is None else builder(node)
        return plan(values) if plan is not None else None

    def apart(self, text: str) -> tuple[tuple[int, ...], Values] | None:
        """The shapes of a document's lines, and their values; None for what is not of the subset at first sight."""
        if not text.isascii() or "\t" in text or "\r" in text:
            return None
        numbers, values = zip(*map(self._lines.__getitem__, text.split("\n")), strict=True)
        return numbers, values

    def node(self, numbers: tuple[int, ...]) -> Node | None:
        """What stands where in a document of those shapes; None if it is not of the subset."""
        return _planned(numbers, self._lines.shapes)


class _Lines(dict[str, _Parsed]):
    """Lines by their text, taken apart when first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[_Shape] = [_Shape(-1, False, 0, _NOTHING, False)] * 2
        self._numbers: dict[tuple[object, ...], int] = {}
        self._heads: dict[str, int] = {}
        self._scalars: dict[str, Any] = {}

    def __missing__(self, line: str) -> _Parsed:
        head, colon, rest = line.partition(": ")
        number = self._heads.get(head)
        rest = rest.strip(" ")
        if number is not None and rest:
            value = self._scalars.get(rest, self)
            if value is self:
                value = self._scalars[rest] = _resolved(rest)
            made = (_BAD, None) if value is _NOTHING else (number, value)
        else:
            made = self._parsed(line)
            if colon and rest and made[0] != _BAD and made[0] != _SKIP:
                self._heads[head] = made[0]
        self[line] = made
        return made

    def _parsed(self, line: str) -> _Parsed:
        bare = line.strip(" ")
        if not bare or bare.startswith("#"):
            return _SKIP, None
        found = _LINE.fullmatch(line)
        if found is None or "#" in bare:
            return _BAD, None
        indent, dash, written_key, written, item = found.groups()
        column = len(indent)
        if written_key is None:
            value = self._scalar(item) if dash else _NOTHING
            if value is _NOTHING:
                return _BAD, None
            return self._number(_Shape(column, True, 0, _NOTHING, False)), value
        key = self._scalar(written_key)
        value = None if written is None else self._scalar(written)
        if key is _NOTHING or value is _NOTHING:
            return _BAD, None
        return self._number(_Shape(column, dash is not None, found.start("key"), key, written is None)), value

    def _number(self, shape: _Shape) -> int:
        known = (type(shape.key), *shape)  # 1 and True are equal, but not the same key
        number = self._numbers.get(known)
        if number is None:
            number = self._numbers[known] = len(self.shapes)
            self.shapes.append(shape)
        return number

    def _scalar(self, text: str) -> Any:
        """`_NOTHING` for what is not a scalar of the subset."""
        found = self._scalars.get(text, self)
        if found is self:
            found = self._scalars[text] = _resolved(text)
        return found


def _resolved(text: str) -> Any:
    first = text[0]
    if first in "\"'":
        return text[1:-1] if _QUOTED.fullmatch(text) else _NOTHING
    if not _PLAIN.fullmatch(text) or text in ("=", "<<"):
        return _NOTHING
    # Hardly anything but words for booleans, null and numbers begins as those do.
    for _, pattern in Loader.yaml_implicit_resolvers.get(first, ()):
        if pattern.match(text):
            break
    else:
        return text
    try:
        value = yaml.load(text, Loader=Loader)  # noqa: S506  Loader is a safe one
    except yaml.YAMLError:
        return _NOTHING
    return value if value is None or isinstance(value, str | int | float) else _NOTHING


@dataclass(slots=True, eq=False)
class Mapping:
    """A mapping while it is worked out: where each key's value stands, or what is nested there."""

    places: dict[Any, int] = field(default_factory=dict)
    nested: dict[Any, Node] = field(default_factory=dict)
    empty: set[int] = field(default_factory=set)  # lines of a key alone: null, unless something is nested there


@dataclass(slots=True, eq=False)
class Sequence:
    items: list[int | Mapping] = field(default_factory=list)


Node = Mapping | Sequence


def _planned(numbers: tuple[int, ...], shapes: abc.Sequence[_Shape]) -> Node | None:
    """What stands where in documents of those shapes; None if they are not of the subset."""
    if _BAD in numbers:
        return None
    root: Node | None = None
    above: list[tuple[int, Node]] = []
    column = -1
    container: Node = Mapping()
    open_key: Any = _NOTHING
    for place, number in enumerate(numbers):
        if number == _SKIP:
            continue
        shape = shapes[number]
        if root is None:
            root = container = Sequence() if shape.dash else Mapping()
            column = shape.column
        deeper = shape.column > column or (shape.dash and shape.column == column)
        if deeper and open_key is not _NOTHING and isinstance(container, Mapping):
            inner: Node = Sequence() if shape.dash else Mapping()
            container.nested[open_key] = inner
            above.append((column, container))
            column, container = shape.column, inner
        while column > shape.column or (column == shape.column and not shape.dash and isinstance(container, Sequence)):
            if not above:
                return None
            column, container = above.pop()
        if column != shape.column:
            return None
        if isinstance(container, Sequence):
            if not shape.dash:
                return None
            if shape.key is _NOTHING:
                container.items.append(place)
                open_key = _NOTHING
                continue
            above.append((column, container))
            item = Mapping()
            container.items.append(item)
            column, container = shape.inner, item
        elif shape.dash:
            return None
        if shape.key in container.places:
            return None  # PyYAML takes the last of equal keys; that is its business
        container.places[shape.key] = place
        open_key = shape.key if shape.open else _NOTHING
        if shape.open:
            container.empty.add(place)
    return root


def builder(node: Node) -> Plan:
    """A function from the values of all lines to the value of one node."""
    if isinstance(node, Sequence):
        parts = [itemgetter(item) if isinstance(item, int) else builder(item) for item in node.items]
        return lambda values: [part(values) for part in parts]
    keys = tuple(node.places)
    nested = [(key, builder(inner)) for key, inner in node.nested.items()]
    if len(keys) == 1:
        key, place = next(iter(node.places.items()))
        if nested:
            inner = nested[0][1]
            return lambda values: {key: inner(values)}
        return lambda values: {key: values[place]}
    pick = itemgetter(*node.places.values())
    if not nested:
        return lambda values: dict(zip(keys, pick(values), strict=True))

    def build(values: Values) -> Any:
        made = dict(zip(keys, pick(values), strict=True))
        for key, make in nested:
            made[key] = make(values)
        return made

    return build
