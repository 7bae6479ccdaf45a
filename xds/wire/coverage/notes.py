"""What a resource asks for and does not get."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError, Message

from ...model.resource import ResourceType
from ...model.values import Note
from ..refused import RefusedError
from ..schema import find
from ..schema import types as pb
from ..split import VIRTUAL_HOSTS_FIELD, split_field
from .walk import Walk, unknown

NAMES = {ResourceType.ENDPOINT: "cluster_name"}


def notes(type_: ResourceType, raw: bytes, *, hosts: bool = True, meaningless: bool = False) -> tuple[Note, ...]:
    """The fields of a resource that are set and not done yet, and what the schema does not know.

    `hosts` False leaves the virtual hosts of route tables out: they tell their own (`virtual_host_notes`). With
    `meaningless` the fields that mean nothing in process are named too. Bytes that are no such message have no notes:
    they are refused.
    """
    if type_ in (ResourceType.NAMES, ResourceType.SECRET):
        return ()
    kind = find(type_.value)
    if kind is None:
        return ()
    try:
        if type_ is ResourceType.ROUTE and not hosts:
            raw, _ = split_field(raw, VIRTUAL_HOSTS_FIELD)  # a thousand hosts need not be parsed to be left out
        message: Any = kind.FromString(raw)
    except (DecodeError, RefusedError):
        return ()
    name = getattr(message, NAMES.get(type_, "name"))
    return _notes(name, message, hosts=hosts, meaningless=meaningless)


def virtual_host_notes(table: str, raw: bytes) -> tuple[Note, ...]:
    """The same for one virtual host of a route table; the resource is called `table/host`."""
    try:
        message = pb.route_v3.VirtualHost.FromString(raw)
    except DecodeError:
        return ()
    return _notes(f"{table}/{message.name}" if table else message.name, message, hosts=True, meaningless=False)


def _notes(resource: str, message: Message, *, hosts: bool, meaningless: bool) -> tuple[Note, ...]:
    walk = Walk(hosts=hosts)
    walk.message(message, "")
    found: list[Note] = []
    for path, status, value in walk.found:
        if status.kind == "not yet" and not status.told:
            found.append(Note(resource, path, status.why.replace("{value}", value or "")))
        elif meaningless and status.kind == "meaningless":
            found.append(Note(resource, path, f"meaningless in process: {status.why}"))
    covered = [path for path, _, _ in walk.found]
    if not hosts:
        covered += ["virtual_hosts"]
    found += [Note(resource, path, why) for path, why in unknown(message, covered)]
    return tuple(found)
