"""Resources between bytes and models: parsed so that they can be ACKed, decoded when they are first used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from ..model.resource import PREFIX, Resource, ResourceError, ResourceType
from ..model.route import RouteConfiguration
from ..model.values import Note
from .decode.cluster import cluster
from .decode.endpoint import load_assignment
from .decode.http_filters import filter_config
from .decode.listener import listener
from .decode.names import name_table
from .decode.route_configuration import lazy_virtual_host, route_configuration, unchanged
from .opening import checked
from .refused import UNEXPECTED, RefusedError
from .schema import find
from .schema import types as pb
from .split import VIRTUAL_HOSTS_FIELD, split_field

log = logging.getLogger("proxyless.xds")

NAME_FIELD = {ResourceType.ENDPOINT: "cluster_name"}
TABLE_NAME = "name table"
"""The name table has none of its own."""


def _extension(raw: bytes) -> Any:
    message = pb.core_v3.TypedExtensionConfig.FromString(raw)
    checked(message)
    return filter_config(message.name, message.typed_config)


DECODERS: dict[ResourceType, Callable[[bytes], Any]] = {
    ResourceType.LISTENER: listener,
    ResourceType.CLUSTER: cluster,
    ResourceType.ENDPOINT: load_assignment,
    ResourceType.EXTENSION: _extension,
    ResourceType.NAMES: name_table,
    ResourceType.SECRET: lambda raw: not raw,  # whoever uses it holds what is in it: see Graph.apply
}


def parse(type_: ResourceType, raw: bytes, before: Resource[Any] | None = None) -> str:
    """The name of a resource whose bytes parse as protobuf: as much as an ACK promises.

    `before` is the version before, if there is one: the virtual hosts that it has too have been parsed.

    Raises:
        RefusedError: they do not, or there is no name in them.
    """
    if type_ is ResourceType.NAMES:
        _parse(type_, raw)
        return TABLE_NAME
    if type_ is ResourceType.ROUTE:
        # Virtual hosts one by one: a table of a thousand is never held as one tree.
        rest, hosts = split_field(raw, VIRTUAL_HOSTS_FIELD)
        value = before.get() if before is not None and before.decoded else None
        old = value.virtual_hosts if isinstance(value, RouteConfiguration) else ()
        for host, kept in zip(hosts, unchanged(hosts, old), strict=True):
            if kept is None:
                lazy_virtual_host(host)
        raw = rest
    message = _parse(type_, raw)
    name = str(getattr(message, NAME_FIELD.get(type_, "name")))
    if not name:
        raise RefusedError("the resource has no name")
    return name


def _parse(type_: ResourceType, raw: bytes) -> Any:
    kind = find(type_.value)
    if kind is None:
        raise RefusedError(f"no schema for {type_.value}")
    try:
        return kind.FromString(raw)
    except DecodeError as error:
        raise RefusedError(str(error)) from error


def resource(
    type_: ResourceType,
    name: str,
    version: str,
    raw: bytes,
    previous: Resource[Any] | None = None,
    on_reject: Callable[[ResourceError], None] | None = None,
) -> Resource[Any]:
    """A resource that decodes itself when it is first used."""
    before = previous.get() if previous is not None and previous.decoded else None
    decode = _Decoder(type_, name, before, on_reject)
    return Resource(type_, name, version, raw, decode, previous, on_reject, _DESCRIBE[type_])


class _Decoder:
    """Decodes one resource. There are as many as resources, so it is small, and no closure."""

    __slots__ = ("_before", "_name", "_on_reject", "_type")

    def __init__(
        self, type_: ResourceType, name: str, before: Any, on_reject: Callable[[ResourceError], None] | None
    ) -> None:
        self._type = type_
        self._name = name
        self._before = before
        self._on_reject = on_reject

    def __call__(self, data: bytes) -> Any:
        type_, name = self._type, self._name
        before, self._before = self._before, None
        try:
            if type_ is ResourceType.ROUTE:
                known = before if isinstance(before, RouteConfiguration) else None
                return route_configuration(data, known, self._on_reject)
            return DECODERS[type_](data)
        except (RefusedError, DecodeError) as error:
            raise ResourceError(type_, name, str(error)) from error
        except Exception as error:
            # One resource that a decoder has never seen the like of must not take the control thread with it.
            log.exception("cannot decode %s %s", type_.message, name)
            raise ResourceError(type_, name, f"{UNEXPECTED}: {error!r}") from error


def _describe(type_: ResourceType, raw: bytes) -> tuple[Note, ...]:
    """What has no effect; virtual hosts tell their own."""
    # The table is for people, who may never ask.
    from .coverage import notes

    return notes(type_, raw, hosts=False)


_DESCRIBE = {each: partial(_describe, each) for each in ResourceType}


def type_of(type_url: str) -> ResourceType | None:
    """The resource type of a type URL, whatever its prefix."""
    return _BY_NAME.get(type_url.rpartition("/")[2])


_BY_NAME = {each.value.removeprefix(PREFIX): each for each in ResourceType}
