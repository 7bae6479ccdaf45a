"""The table of fields: it knows every field that there is, and what it calls honoured makes a difference."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from proxyless.xds.model.resource import ResourceError, ResourceType
from proxyless.xds.model.route import LazyVirtualHost
from proxyless.xds.wire import codec, envelope
from proxyless.xds.wire.coverage import Row, rows
from proxyless.xds.wire.coverage.listing import unreached
from proxyless.xds.wire.coverage.status import Status, always, asks
from proxyless.xds.wire.coverage.walk import ANY, LEAVES, NOT_KNOWN, TABLE, Walk
from proxyless.xds.wire.schema import find, pool
from tests.effects.registry import all_effects
from tests.effects.seeing import refusals
from tests.support.recorded import recordings
from tests.xds.wire.decode.configurations import Json
from tests.xds.wire.decode.test_configurations import TABLES

from .everything import EVERYTHING

NO_SCHEMA = {"io.istio.http.peer_metadata.Config"}
"""Istio's own types that have no public schema: known by their names."""

Key = tuple[str, str]


def test_every_entry_is_a_field_of_the_schema() -> None:
    assert set(unreached()) == NO_SCHEMA


def test_no_field_of_a_message_that_is_looked_into_is_unknown() -> None:
    assert [row for row in rows() if row.why == NOT_KNOWN.why] == []


def test_what_is_not_done_says_why_and_who_tells_it() -> None:
    names = {f"{row.message.rpartition('.')[2]}.{row.field}" for row in rows()}
    for row in rows():
        assert row.kind == "honoured" or row.why, row
        where = row.told.split(".")
        assert not row.told or row.told == "the balancer" or ".".join(where[-2:]) in names or said(row, names), row


def said(row: Row, names: set[str]) -> bool:
    """Told by a field of the same message, or by a whole message."""
    short = row.message.rpartition(".")[2]
    return f"{short}.{row.told}" in names or any(name.startswith(f"{row.told}.") for name in names)


# -- what is not done is named when it is set ----------------------------------------------------------------------


def not_done() -> list[Any]:
    """Every field that is not done, whatever its value, and that nothing else names."""
    return [
        pytest.param(message, field, id=f"{message.rpartition('.')[2]}.{field}")
        for message, entry in TABLE.items()
        if not isinstance(entry, Status)
        for field, status in entry.items()
        if status.kind == "not yet" and not status.told and status.when in (asks, always)
    ]


@pytest.mark.parametrize(("name", "field"), not_done())
def test_a_field_that_is_not_done_is_named_when_it_is_set(name: str, field: str) -> None:
    cls = find(name)
    if cls is None:  # <message>.<field> where the field makes other use of the same message
        outer, _, inner = name.rpartition(".")
        holder = find(outer)
        assert holder is not None
        below: Any = holder.DESCRIPTOR.fields_by_name[inner].message_type
        cls = find(below.full_name)
    assert cls is not None
    message = cls()
    put(message, field)
    walk = Walk(hosts=True)
    walk.message(message, "", name)
    assert [path for path, status, _ in walk.found if path.startswith(field) and status.kind == "not yet"]


def put(message: Any, name: str) -> None:
    """A value that asks for something."""
    field = message.DESCRIPTOR.fields_by_name[name]
    held = getattr(message, name)
    below = field.message_type
    if below is not None and below.GetOptions().map_entry:
        held["a"].SetInParent()
    elif below is not None:
        value = held if isinstance(held, Message) else held.add()
        value.SetInParent()
        for number in ("value", "seconds"):
            if below.full_name.startswith(LEAVES) and below.full_name != ANY and number in below.fields_by_name:
                setattr(value, number, NUMBERS[below.fields_by_name[number].cpp_type])
    elif hasattr(held, "append"):
        held.append(NUMBERS[field.cpp_type])
    else:
        setattr(message, name, NUMBERS[field.cpp_type])


NUMBERS: dict[int, Any] = {1: 1, 2: 1, 3: 1, 4: 1, 5: 1.0, 6: 1.0, 7: True, 8: 1, 9: "a"}
"""By protobuf's C++ types."""


# -- what is honoured makes a difference ---------------------------------------------------------------------------

CLUSTER = "envoy.config.cluster.v3."
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ONE_BY_ONE = "what is in it is judged field by field"

WITHOUT_DIFFERENCE: dict[Key, str] = {
    (CLUSTER + "Cluster", "http_protocol_options"): ONE_BY_ONE,
    (MANAGER, "upgrade_configs"): ONE_BY_ONE,
    (OPTIONS + ".AutoHttpConfig", "http_protocol_options"): ONE_BY_ONE,
    (OPTIONS + ".UseDownstreamHttpConfig", "http_protocol_options"): ONE_BY_ONE,
}
"""Honoured, and without it nothing that is decoded changes: why that is right."""


REFUSED = {
    *(
        (CLUSTER + "CircuitBreakers.per_host_thresholds", each)
        for each in [
            "max_pending_requests",
            "max_requests",
            "max_retries",
            "retry_budget",
            "track_remaining",
            "max_connection_pools",
        ]
    ),
    ("envoy.config.route.v3.RetryPolicy", "retry_options_predicates"),
    (MANAGER + ".common_http_protocol_options", "max_response_headers_kb"),
    ("envoy.config.listener.v3.FilterChainMatch", "address_suffix"),
    ("envoy.config.listener.v3.FilterChainMatch", "suffix_len"),
}
"""No configuration that is accepted sets them: Envoy refuses what does, and so does this."""


def samples() -> Iterator[tuple[ResourceType, Any]]:
    """Configurations that are accepted: those of the tables and of the effects, and what istiod sent."""
    for case in (each for table in TABLES for each in table.CASES):
        type_ = ResourceType.CLUSTER if case.kind == "clusters" else ResourceType.LISTENER
        if case.says is None:
            yield type_, parsed(type_, case.resource)
    for type_, resource in EVERYTHING:
        yield type_, parsed(type_, resource)
    for _, effect in all_effects():
        if effect.see is not refusals:
            for type_, messages in effect.shop.messages().items():
                yield from ((type_, each) for each in messages if type_ is not ResourceType.NAMES)
    seen = set()
    for recording in recordings(scale=False):
        response = (envelope.read_delta_response if recording.delta else envelope.read_response)(recording.data)
        assert response.type is not None
        cls = find(response.type.value)
        assert cls is not None
        for each in response.resources:
            if each.raw not in seen and response.type is not ResourceType.NAMES:
                seen.add(each.raw)
                yield response.type, cls.FromString(each.raw)


def parsed(type_: ResourceType, resource: Json) -> Message:
    cls = find(type_.value)
    assert cls is not None
    return json_format.ParseDict(resource, cls(), descriptor_pool=pool())


def decoded(type_: ResourceType, message: Any) -> Any:
    """What calls see of a resource, down to the virtual hosts; or why it is refused."""
    try:
        return spelled(codec.resource(type_, "x", "1", message.SerializeToString()).get())
    except ResourceError as error:
        return error.reason


def spelled(value: Any) -> Any:
    """A model value to compare by: virtual hosts are looked into."""
    if isinstance(value, LazyVirtualHost):
        return spelled(value.value())
    if dataclasses.is_dataclass(value):
        return type(value), [spelled(getattr(value, each.name)) for each in dataclasses.fields(value)]
    if isinstance(value, (tuple, list, frozenset)):
        return [spelled(each) for each in value]
    if hasattr(value, "items"):
        return {key: spelled(each) for key, each in value.items()}
    return value


def without(message: Any, proven: set[Key], context: str = "") -> Iterator[tuple[Key, Any]]:
    """The message without one honoured field, at any depth and inside every Any, for each that is not proven yet."""
    name = message.DESCRIPTOR.full_name
    if name == ANY:
        yield from without_inside(message, proven)
        return
    entry = TABLE.get(context) or TABLE.get(name)
    if name.startswith(LEAVES) or entry is None or isinstance(entry, Status):
        return
    key = context if context in TABLE else name
    for field, value in message.ListFields():
        status = entry.get(field.name, NOT_KNOWN)
        if status.kind != "honoured":
            continue
        if (key, field.name) not in proven:
            yield (key, field.name), cleared(message, field.name)
        if field.message_type is None:
            continue
        below = f"{field.containing_type.full_name}.{field.name}"
        if isinstance(value, Message):
            for found, changed in without(value, proven, below):
                yield found, replaced(message, field.name, None, changed)
            continue
        for place in sorted(value) if hasattr(value, "items") else range(len(value)):
            if not isinstance(value[place], Message):
                break  # a map of plain values
            for found, changed in without(value[place], proven, below):
                yield found, replaced(message, field.name, place, changed)


def without_inside(packed: Any, proven: set[Key]) -> Iterator[tuple[Key, Any]]:
    cls = find(packed.type_url)
    if cls is None:
        return
    for found, changed in without(cls.FromString(packed.value), proven):
        again = type(packed)()
        again.type_url, again.value = packed.type_url, changed.SerializeToString()
        yield found, again


def cleared(message: Any, field: str) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    copy.ClearField(field)
    return copy


def replaced(message: Any, field: str, place: int | str | None, value: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    target = getattr(copy, field)
    (target if place is None else target[place]).CopyFrom(value)
    return copy


def test_what_is_honoured_makes_a_difference() -> None:
    proven: set[Key] = set()
    met: set[Key] = set()
    for type_, message in samples():
        whole = decoded(type_, message)
        assert not isinstance(whole, str), whole
        for key, less in without(message, proven):
            met.add(key)
            if key not in proven and decoded(type_, less) != whole:
                proven.add(key)
    assert met - proven == set(WITHOUT_DIFFERENCE)
    honoured = {(row.message, row.field) for row in rows() if row.kind == "honoured"}
    assert honoured - met == REFUSED
