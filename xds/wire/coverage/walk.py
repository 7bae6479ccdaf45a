"""The walk through a message: what is set, what becomes of it, and the way to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.message import DecodeError, Message

from ..installed import problem
from ..schema import Unknown, find, find_unknown, type_of, unpack
from .authorization import AUTHORIZATION
from .clusters import CLUSTERS
from .common import COMMON
from .endpoints import ENDPOINTS
from .external import EXTERNAL
from .filters import FILTERS
from .listeners import LISTENERS
from .local_reply import LOCAL_REPLY
from .routes import ROUTES
from .status import Entry, Status
from .tls import TLS_CONTEXTS
from .trees import TREES
from .watching import WATCHING

ANY = "google.protobuf.Any"

TABLE: Mapping[str, Entry] = {
    **FILTERS,
    **COMMON,
    **LISTENERS,
    **LOCAL_REPLY,
    **ROUTES,
    **CLUSTERS,
    **ENDPOINTS,
    **TREES,
    **TLS_CONTEXTS,
    **AUTHORIZATION,
    **EXTERNAL,
    **WATCHING,
}
"""By the full name of a message, or `<message>.<field>` where a field of it makes other use of the same message."""

NOT_KNOWN = Status("not yet", "this version of proxyless does not know it")

UPSTREAM = "typed_extension_protocol_options["
"""Below it stand filters between a cluster and its endpoints, of which no package brings any."""

LEAVES = "google.protobuf."
"""Messages of this package are values."""


class Walk:
    """One walk. `found` gets (path, status, value) of what is set and takes no effect; `hosts`: virtual hosts too."""

    def __init__(self, *, hosts: bool) -> None:
        self.found: list[tuple[str, Status, Any]] = []
        self._hosts = hosts

    def message(self, message: Message, path: str, context: str = "") -> None:
        """A message that takes effect as such: its fields one by one."""
        name = message.DESCRIPTOR.full_name
        if name == ANY:
            self._any(message, path)
            return
        if name.startswith(LEAVES):
            return
        entry = TABLE.get(context) or TABLE.get(name)
        if entry is None or isinstance(entry, Status):
            self._add(path, entry or NOT_KNOWN, None)
            return
        for field, value in message.ListFields():
            if field.name == "virtual_hosts" and not self._hosts:
                continue
            self._field(entry.get(field.name, NOT_KNOWN), message, field, value, _join(path, field.name))

    def _field(self, status: Status, message: Message, field: Any, value: Any, path: str) -> None:
        for below, each in _values(value, path, whole=field.message_type is None):
            if status.when is not None and not status.when(each, message):
                continue
            if status.kind != "honoured":
                self._add(below, status, _spelled(field, each))
            elif field.message_type is not None and isinstance(each, Message):
                self.message(each, below, f"{field.containing_type.full_name}.{field.name}")

    def _any(self, packed: Any, path: str) -> None:
        type_name = type_of(packed)
        if not type_name:
            return
        ours = isinstance(TABLE.get(type_name), Mapping) or path.startswith(UPSTREAM)
        broken = None if ours else problem(type_name)
        if broken is not None:  # a package brings it, whose fields are its own
            if broken:
                self._add(path, Status("not yet", broken), None)
            return
        opened = unpack(packed) if find(type_name) is not None else None
        if opened is not None:
            self.message(opened, path)
            return
        entry = TABLE.get(type_name)
        status = entry if isinstance(entry, Status) else Status("not yet", f"unknown type {type_name}")
        self._add(path, status, None)

    def _add(self, path: str, status: Status, value: Any) -> None:
        self.found.append((path, status, value))


def unknown(message: Message, covered: list[str]) -> Iterator[tuple[str, str]]:
    """(path, reason) of unknown fields: those inside what is named or has no meaning are covered by it."""
    for each in _find_unknown(message):
        if not each.type_url and not any(_inside(each.path, path) for path in covered):
            yield each.path, "this version of proxyless does not know this field"


def _find_unknown(message: Message) -> list[Unknown]:
    try:
        return find_unknown(message)
    except DecodeError:
        return []  # such a resource is refused, for this very reason


def _inside(path: str, outer: str) -> bool:
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))


def _values(value: Any, path: str, *, whole: bool) -> Iterator[tuple[str, Any]]:
    """Each element of a list of messages or of a map, with its place; a list of numbers or texts as a whole."""
    if isinstance(value, (Message, str, bytes, int, float)) or whole:
        yield path, value
    elif hasattr(value, "items"):
        for key in sorted(value):
            yield f"{path}[{key}]", value[key]
    else:
        for index, each in enumerate(value):
            yield f"{path}[{index}]", each


def _spelled(field: Any, value: Any) -> str:
    if field.enum_type is not None and isinstance(value, int):
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else str(value)
    return str(value) if isinstance(value, (str, int, float)) else ""


def _join(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step
