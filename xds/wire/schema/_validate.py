"""Envoy's validation of a decoded message: the rules of protoc-gen-validate, enforced as its C++ code does.

A message type gets a `_Checker` at first use: closures per field, compiled from `data/rules.json`. A checker looks at
the fields that are set, and at the few whose rule an unset field can break (`min_len: 1`, required). It descends into
embedded messages, lists and maps, but only into types that have a rule somewhere below; never into an Any, whose
content is validated when it is unpacked. Of several violations the one that Envoy's code meets first is reported:
fields in the order of their declaration, members of oneofs after all others.

The text is the one that Envoy prints, with one exception: for a duration out of range Envoy prints an address of its
memory as the cause.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message

from ._field_rules import FieldRules, Step
from ._pool import DATA


class ConstraintError(ValueError):
    """A message breaks a rule of Envoy's schema; the text is Envoy's.

    `violation` is the part in parentheses: `ClusterValidationError.Name: value length must be at least 1 characters`.
    """

    def __init__(self, violation: str) -> None:
        super().__init__(f"Proto constraint validation failed ({violation})")
        self.violation = violation


def validate(message: Message, *, without: tuple[str, ...] = ()) -> None:
    """Checks a message and everything embedded in it; raises ConstraintError on the first violation.

    Fields named in `without` are left out: a RouteConfiguration without its `virtual_hosts` costs next to nothing,
    and each VirtualHost can be validated when it is first used.
    """
    found = violation(message, without=without)
    if found is not None:
        raise ConstraintError(found)


def violation(message: Message, *, without: tuple[str, ...] = ()) -> str | None:
    """What `validate` would raise, as text (`ConstraintError.violation`); None for a good message."""
    return _checker(message.DESCRIPTOR, without)(message)


@cache
def _rules() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = json.loads((DATA / "rules.json").read_bytes())
    return loaded


def rules_of(descriptor: Descriptor) -> dict[str, Any]:
    return _rules().get(descriptor.full_name, {})


_checkers: dict[tuple[str, tuple[str, ...]], _Checker] = {}


def _checker(descriptor: Any, without: tuple[str, ...] = ()) -> _Checker:
    key = (descriptor.full_name, without)
    return _checkers.get(key) or _checkers.setdefault(key, _Checker(descriptor, without))


class _Checker:
    """Everything that can be wrong with messages of one type. Compiled when first called: types refer to each other."""

    __slots__ = ("_always", "_descriptor", "_ready", "_set", "_without")

    def __init__(self, descriptor: Descriptor, without: tuple[str, ...]) -> None:
        self._descriptor = descriptor
        self._without = without
        self._always: list[tuple[int, Step]] = []
        self._set: dict[int, tuple[int, Step]] = {}
        self._ready = False

    def __call__(self, message: Message) -> str | None:
        if not self._ready:
            self._compile()
        first = text = None
        for position, step in self._always:
            found = step(message)
            if found is not None and (first is None or position < first):
                first, text = position, found
        if self._set:
            known = self._set
            for field, value in message.ListFields():
                entry = known.get(field.number)
                if entry is not None:
                    found = entry[1](value)
                    if found is not None and (first is None or entry[0] < first):
                        first, text = entry[0], found
        return text

    def _compile(self) -> None:
        descriptor, rules = self._descriptor, rules_of(self._descriptor)
        always: list[tuple[int, Step]] = []
        when_set: dict[int, tuple[int, Step]] = {}
        for position, element in enumerate(_in_order(descriptor)):
            if isinstance(element, OneofDescriptor):
                if element.name in rules.get("oneofs", ()):
                    always.append((position, _one_of(element.name)))
                continue
            if element.name in self._without:
                continue
            field = FieldRules(element, rules.get("fields", {}).get(element.name, {}), embedded)
            if (missing := field.missing()) is not None:
                always.append((position, missing))
            if (step := field.step()) is not None:
                if field.judges_unset(step):
                    always.append((position, _reading(element.name, step)))
                else:
                    when_set[element.number] = (position, step)
        self._always, self._set = always, when_set
        self._ready = True


def embedded(descriptor: Descriptor) -> Step | None:
    """The check of an embedded message of this type; None when nothing in it or below it has a rule."""
    if not _ruled(descriptor):
        return None
    check = _checker(descriptor)

    def step(message: Any) -> str | None:
        found = check(message)
        return None if found is None else f"embedded message failed validation | caused by {found}"

    return step


@cache
def _ruled(descriptor: Descriptor) -> bool:
    seen = {descriptor.full_name}
    todo = [descriptor]
    while todo:
        here = todo.pop()
        rules = rules_of(here)
        if rules.get("fields") or rules.get("oneofs"):
            return True
        for field in here.fields:
            below = field.message_type
            if below is not None and below.full_name not in seen:
                seen.add(below.full_name)
                todo.append(below)
    return False


def _in_order(descriptor: Descriptor) -> list[FieldDescriptor | OneofDescriptor]:
    """Fields and oneofs as the C++ code meets them: plain, `optional`, then oneof by oneof, members first."""
    plain = [field for field in descriptor.fields if field.containing_oneof is None]
    optional = [oneof.fields[0] for oneof in descriptor.oneofs if _synthetic(oneof)]
    out: list[FieldDescriptor | OneofDescriptor] = [*plain, *optional]
    for oneof in descriptor.oneofs:
        if not _synthetic(oneof):
            out += [*oneof.fields, oneof]
    return out


def _synthetic(oneof: OneofDescriptor) -> bool:
    return len(oneof.fields) == 1 and oneof.name == "_" + oneof.fields[0].name


def _one_of(name: str) -> Step:
    missing = f'field: "{name}", reason: is required'
    return lambda message: missing if message.WhichOneof(name) is None else None


def _reading(name: str, step: Step) -> Step:
    return lambda message: step(getattr(message, name))
