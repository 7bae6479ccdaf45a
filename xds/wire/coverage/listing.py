"""The whole table, field by field, as the schema has them: what `docs` and issue-wide counts are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...model.records import dataclass
from ..schema import find
from .status import Kind, Status
from .walk import ANY, LEAVES, NOT_KNOWN, TABLE

RESOURCES = (
    "envoy.config.listener.v3.Listener",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One field of one message. `message` may be `<message>.<field>` where that field makes other use of it."""

    message: str
    field: str
    kind: Kind
    why: str = ""
    told: str = ""
    depends: bool = False
    """On the value: see the condition in the table."""
    below: str = ""
    """The field (`<message>.<field>`) whose status it shares, because it is reached only through that."""


def rows() -> list[Row]:
    """Every field of every message that can be reached from the resources and from the extensions of the table."""
    found: list[Row] = []
    seen: set[str] = set()
    todo: list[tuple[str, Status | None, str]] = [(name, None, "") for name in (*RESOURCES, *sorted(TABLE))]
    # Where a message is reached in several ways, being honoured in one of them counts, then being not yet.
    later: list[tuple[str, Status, str]] = []
    while todo or later:
        if not todo:
            later.sort(key=lambda item: item[1].kind != "not yet")
            todo, later = [later.pop(0)], later
        name, inherited, origin = todo.pop(0)
        descriptor = _descriptor(name)
        if name in seen or descriptor is None or descriptor.full_name == ANY or name.startswith(LEAVES):
            continue
        seen.add(name)
        for field in descriptor.fields:
            status = inherited or _status(name, field.name)
            found.append(_row(name, field.name, status, origin))
            below = _below(field)
            if below is None:
                continue
            if status.kind == "honoured":
                todo.append((f"{descriptor.full_name}.{field.name}" if _own(descriptor, field) else below, None, ""))
            else:
                why = f"with {descriptor.full_name.rpartition('.')[2]}.{field.name}: {status.why}"
                passed_on = status if inherited else Status(status.kind, why, None, status.told)
                later.append((below, passed_on, origin or f"{name}.{field.name}"))
    return sorted(found, key=lambda row: (row.message, row.field))


def _status(name: str, field: str) -> Status:
    entry = TABLE.get(name)
    if isinstance(entry, Status):
        return entry
    return entry.get(field, NOT_KNOWN) if entry is not None else NOT_KNOWN


def _row(name: str, field: str, status: Status, below: str) -> Row:
    return Row(name, field, status.kind, status.why, status.told, status.when is not None, below)


def _own(descriptor: Any, field: Any) -> bool:
    return f"{descriptor.full_name}.{field.name}" in TABLE


def _descriptor(name: str) -> Any:
    """The message of a table's key; for `<message>.<field>` that of the field."""
    kind = find(name)
    if kind is not None:
        return kind.DESCRIPTOR
    outer, _, field = name.rpartition(".")
    kind = find(outer)
    return kind.DESCRIPTOR.fields_by_name[field].message_type if kind is not None else None


def _below(field: Any) -> str | None:
    """The message that a field leads to; of a map the one of its values."""
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        message = message.fields_by_name["value"].message_type
    return message.full_name if message is not None else None


def unreached() -> Iterator[str]:
    """Entries of the table that are no message of the schema: for the tests."""
    for name, entry in TABLE.items():
        descriptor = _descriptor(name)
        if descriptor is None:
            yield name
        elif not isinstance(entry, Status):
            yield from (f"{name}.{field}" for field in entry if field not in descriptor.fields_by_name)
