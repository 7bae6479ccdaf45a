"""The rules of one field: what a set value has to satisfy, and what an unset field breaks.

Shapes follow protoc-gen-validate: a scalar is checked as it is; an embedded message is checked by its own type's
rules unless it is skipped; a wrapper (`UInt32Value`) is opened; lists and maps check their size, then each element,
whose index or key joins the field's name in the text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from ._constraints import Check, UnknownRuleError, camel, size_check, value_check

# Takes a message or the value of a field, gives the text of the violation.
Step: TypeAlias = Callable[[Any], str | None]

_MESSAGES = {"any", "duration"}


class FieldRules:
    """Compiles the rules of one field. `embedded` gives the check of an embedded message type."""

    def __init__(
        self, field: FieldDescriptor, rules: dict[str, Any], embedded: Callable[[Descriptor], Step | None]
    ) -> None:
        self._field = field
        self._embedded = embedded
        owner = field.containing_type
        self._prefix = f"{owner.name if owner else ''}ValidationError.{camel(field.name)}"
        self._message_rules: dict[str, Any] = rules.get("message", {})
        self._kind, self._rule = _kind(rules)

    def missing(self) -> Step | None:
        """For a required field: the step that takes the whole message and finds that the field is not set."""
        name = self._field.name
        # A member of a oneof is only looked at when it is the one that is set.
        if self._field.message_type is None or _repeated(self._field) or self._field.containing_oneof is not None:
            return None
        if self._kind in _MESSAGES:
            required, text = self._rule.get("required"), "value is required"
        else:
            required = self._message_rules.get("required")
            text = "value is required" if self._kind is None else "value is required and must not be nil."
        if not required:
            return None
        reason = f"{self._prefix}: {text}"
        return lambda message: None if message.HasField(name) else reason

    def step(self) -> Step | None:
        """The step that takes the field's value."""
        entry = _map_entry(self._field)
        if entry is not None:
            return self._map(entry)
        if _repeated(self._field):
            return self._list()
        check = _element(self._field, self._kind, self._rule, self._message_rules, self._embedded)
        return None if check is None else self._named(check)

    def judges_unset(self, step: Step) -> bool:
        """Whether the value that an unset field reads as would be refused."""
        if _repeated(self._field):
            return step(()) is not None
        return not self._field.has_presence and step(self._field.default_value) is not None

    def _named(self, check: Check) -> Step:
        prefix = self._prefix

        def step(value: Any) -> str | None:
            reason = check(value)
            return None if reason is None else f"{prefix}: {reason}"

        return step

    def _list(self) -> Step | None:
        rule = dict(self._rule)
        prefix = self._prefix
        size = _sized(rule, "min_items", "max_items", "item")
        unique = rule.pop("unique", False)
        items = rule.pop("items", {})
        if rule:
            raise UnknownRuleError(f"repeated: {', '.join(sorted(rule))}")
        element = _element(self._field, *_kind(items), items.get("message", {}), self._embedded)
        if size is None and not unique and element is None:
            return None

        def step(values: Any) -> str | None:
            if size is not None and (reason := size(values)) is not None:
                return f"{prefix}: {reason}"
            if unique and len(set(values)) != len(values):
                return f"{prefix}[{_first_repetition(values)}]: repeated value must contain unique items"
            if element is not None:
                for index, value in enumerate(values):
                    if (reason := element(value)) is not None:
                        return f"{prefix}[{index}]: {reason}"
            return None

        return step

    def _map(self, entry: Descriptor) -> Step | None:
        rule = dict(self._rule)
        prefix = self._prefix
        size = _sized(rule, "min_pairs", "max_pairs", "pair")
        keys, values = rule.pop("keys", {}), rule.pop("values", {})
        if rule:
            raise UnknownRuleError(f"map: {', '.join(sorted(rule))}")
        of_key = _element(entry.fields_by_name["key"], *_kind(keys), {}, self._embedded)
        of_value = _element(entry.fields_by_name["value"], *_kind(values), values.get("message", {}), self._embedded)
        if size is None and of_key is None and of_value is None:
            return None

        def step(pairs: Any) -> str | None:
            if size is not None and (reason := size(pairs)) is not None:
                return f"{prefix}: {reason}"
            for key in pairs:
                reason = of_key(key) if of_key is not None else None
                if reason is None and of_value is not None:
                    reason = of_value(pairs[key])
                if reason is not None:
                    return f"{prefix}[{key}]: {reason}"
            return None

        return step


def _kind(rules: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    kinds = [kind for kind in rules if kind != "message"]
    return (kinds[0], rules[kinds[0]]) if kinds else (None, {})


def _element(
    field: FieldDescriptor,
    kind: str | None,
    rule: dict[str, Any],
    message_rules: dict[str, Any],
    embedded: Callable[[Descriptor], Step | None],
) -> Check | None:
    """The check of one value: of a singular field, of an item of a list, of a key or value of a map."""
    if kind is None:
        below = field.message_type
        return None if below is None or message_rules.get("skip") else embedded(below)
    if kind in _MESSAGES:
        rule = {name: value for name, value in rule.items() if name != "required"}
        return value_check(kind, rule, None) if rule else None
    check = value_check(kind, rule, field.enum_type)
    if field.message_type is None:
        return check
    return lambda wrapper: check(wrapper.value)


def _sized(rule: dict[str, Any], low: str, high: str, unit: str) -> Check | None:
    return size_check(rule, low, high, unit) if low in rule or high in rule else None


def _first_repetition(values: Any) -> int:
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    raise AssertionError("all values differ")


def _repeated(field: Any) -> bool:
    # `is_repeated` came when `label` was deprecated (protobuf 6.31).
    known: bool | None = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED) if known is None else known


def _map_entry(field: FieldDescriptor) -> Descriptor | None:
    below = field.message_type
    return below if below is not None and below.GetOptions().map_entry else None
