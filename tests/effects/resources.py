"""Configurations of effects: one rich base, spelled as protobuf's JSON, and small changes to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf import json_format
from google.protobuf.message import Message

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.coverage.walk import ANY, LEAVES, TABLE
from proxyless.xds.wire.schema import find, pool

Json: TypeAlias = dict[str, Any]
Field: TypeAlias = str
"""`<message>.<field>` with the message's full name, or `<message>.<field>.<field>` where the table of coverage knows
the first field as another use of its message."""

URL = "type.googleapis.com/"
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
ROUTER = "envoy.extensions.filters.http.router.v3.Router"
ORDER = (
    ResourceType.CLUSTER,
    ResourceType.ENDPOINT,
    ResourceType.LISTENER,
    ResourceType.ROUTE,
    ResourceType.EXTENSION,
    ResourceType.NAMES,
)


def typed(kind: str, **fields: Any) -> Json:
    """An Any."""
    return {"@type": URL + kind, **fields}


def extension(kind: str, name: str = "x", **fields: Any) -> Json:
    """A TypedExtensionConfig, and what looks like one: a filter, a transport socket."""
    return {"name": name, "typed_config": typed(kind, **fields)}


# -- parts ---------------------------------------------------------------------------------------------------------

CLUSTER_OF = {"cluster", "cluster_header", "weighted_clusters"}
PATH_OF = {"prefix", "path", "safe_regex", "path_separated_prefix", "connect_matcher", "path_match_policy"}
ACTION_OF = {"route", "redirect", "direct_response", "non_forwarding_action", "filter_action"}


def route(match: Json | None = None, action: Json | None = None, **fields: Any) -> Json:
    """A route: on any path, to cluster `a`, if it does not say otherwise."""
    own: Json = {"match": match or {}}
    if not PATH_OF & own["match"].keys():
        own["match"] = {"prefix": "/", **own["match"]}
    if not ACTION_OF & fields.keys():
        own["route"] = action or {}
        if not CLUSTER_OF & own["route"].keys():
            own["route"] = {"cluster": "a", **own["route"]}
    return {**own, **fields}


def host(*routes: Json, **fields: Any) -> Json:
    """A virtual host for every name."""
    return {"name": "shop", "domains": ["*"], "routes": list(routes) or [route()], **fields}


def table(*hosts: Json, **fields: Any) -> Json:
    """The route table `80`."""
    return {"name": "80", "virtual_hosts": list(hosts) or [host()], **fields}


def manager(*filters: Json, **fields: Any) -> Json:
    """A connection manager as a network filter; it asks for the table `80` if it has none."""
    own: Json = {"stat_prefix": "s", "http_filters": [*filters, extension(ROUTER, "router")]}
    if not {"rds", "route_config", "scoped_routes"} & fields.keys():
        own["rds"] = {"route_config_name": "80", "config_source": {"ads": {}}}
    return extension(MANAGER, "manager", **{**own, **fields})


def tcp_proxy(**fields: Any) -> Json:
    """A TCP proxy as a network filter."""
    own = {"stat_prefix": "s"} if "weighted_clusters" in fields else {"stat_prefix": "s", "cluster": "a"}
    return extension(TCP_PROXY, "tcp", **{**own, **fields})


def chain(*filters: Json, **fields: Any) -> Json:
    """A filter chain; a connection manager by itself if no filter is given."""
    return {"filters": list(filters) or [manager()], **fields}


def listener(name: str, *chains: Json, **fields: Any) -> Json:
    """A listener."""
    address = {"socket_address": {"address": "0.0.0.0", "port_value": 80}}  # nothing is bound
    return {"name": name, "address": address, "filter_chains": list(chains) or [chain()], **fields}


def inbound(*filters: Json, routes: Sequence[Json] = (), host_fields: Json | None = None, **fields: Any) -> Json:
    """The listener of incoming requests, its routes inline."""
    held = host(*(routes or [route(action={"cluster": "inbound|8080||"})]), **(host_fields or {}))
    own = {"route_config": table(held), **fields}
    return listener("virtualInbound", chain(manager(*filters, **own), filter_chain_match={"destination_port": 8080}))


def endpoint(address: str = "10.0.0.1", port: int = 80, **fields: Any) -> Json:
    """An endpoint."""
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}, **fields}


def locality(*endpoints: Json, **fields: Any) -> Json:
    """Endpoints of one locality and priority."""
    return {"lb_endpoints": list(endpoints), **fields}


def assignment(name: str, *localities: Json, **fields: Any) -> Json:
    """A load assignment."""
    return {"cluster_name": name, "endpoints": list(localities), **fields}


def cluster(name: str, *endpoints: Json, **fields: Any) -> Json:
    """A STATIC cluster of these endpoints (or localities), 10.0.0.1 and 10.0.0.2 if there are none."""
    given = list(endpoints) or [endpoint("10.0.0.1"), endpoint("10.0.0.2")]
    localities = given if "lb_endpoints" in given[0] else [locality(*given)]
    own: Json = {"name": name, "connect_timeout": "1s"}
    if "type" not in fields and "cluster_type" not in fields:
        own["load_assignment"] = assignment(name, *localities)
    return {**own, **fields}


def eds(name: str, **fields: Any) -> Json:
    """A cluster whose endpoints come by EDS."""
    return cluster(name, type="EDS", **{"eds_cluster_config": {"eds_config": {"ads": {}}}, **fields})


# -- the whole -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shop:
    """A whole configuration; `addresses` are what DNS says of names."""

    resources: Mapping[ResourceType, Sequence[Json]]
    addresses: Mapping[str, Sequence[str]]

    def messages(self) -> dict[ResourceType, list[Message]]:
        """As protobuf has them."""
        return {type_: [parsed(type_, each) for each in found] for type_, found in self.resources.items()}


def shop(
    *,
    match: Json | None = None,
    action: Json | None = None,
    route_fields: Json | None = None,
    routes: Sequence[Json] = (),
    host_fields: Json | None = None,
    hosts: Sequence[Json] = (),
    table_fields: Json | None = None,
    filters: Sequence[Json] = (),
    manager_fields: Json | None = None,
    chains: Sequence[Json] = (),
    listener_fields: Json | None = None,
    listeners: Iterable[Json] = (),
    cluster_fields: Json | None = None,
    endpoints: Sequence[Json] = (),
    clusters: Iterable[Json] = (),
    tables: Iterable[Json] = (),
    assignments: Iterable[Json] = (),
    extensions: Iterable[Json] = (),
    names: Mapping[str, str] | None = None,
    addresses: Mapping[str, Sequence[str]] | None = None,
) -> Shop:
    """The base: `http://shop/` goes through `0.0.0.0_80` and table `80` to cluster `a` (10.0.0.1, 10.0.0.2).

    Cluster `b` (10.0.0.3) and `c` (10.0.0.4) are there too. Each argument changes or replaces one level of it.
    """
    held = routes or [route(match, action, **(route_fields or {}))]
    made = [
        listener(
            "0.0.0.0_80", *(chains or [chain(manager(*filters, **(manager_fields or {})))]), **(listener_fields or {})
        ),
        *listeners,
    ]
    by_name = {
        each["name"]: each
        for each in (
            cluster("a", *endpoints, **(cluster_fields or {})),
            cluster("b", endpoint("10.0.0.3")),
            cluster("c", endpoint("10.0.0.4")),
            *clusters,
        )
    }
    whole_tables = {
        each["name"]: each
        for each in (table(*(hosts or [host(*held, **(host_fields or {}))]), **(table_fields or {})), *tables)
    }
    return Shop(
        {
            ResourceType.LISTENER: list({each["name"]: each for each in made}.values()),
            ResourceType.ROUTE: list(whole_tables.values()),
            ResourceType.CLUSTER: list(by_name.values()),
            ResourceType.ENDPOINT: list(assignments),
            ResourceType.EXTENSION: list(extensions),
            ResourceType.NAMES: [{"table": {name: {"ips": [ip]} for name, ip in (names or {}).items()}}],
        },
        addresses or {},
    )


def parsed(type_: ResourceType, resource: Json) -> Message:
    """A resource from its JSON."""
    kind = find(type_.value)
    assert kind is not None
    return json_format.ParseDict(resource, kind(), descriptor_pool=pool())


# -- without a field -----------------------------------------------------------------------------------------------


def clear(message: Any, field: Field, context: str = "") -> int:
    """Clear a field in every message of its type, at any depth and inside every Any; how often it was set."""
    name = message.DESCRIPTOR.full_name
    if name == ANY:
        return _clear_inside(message, field)
    if name.startswith(LEAVES):
        return 0
    count = 0
    key = context if context in TABLE else name
    for each, value in message.ListFields():
        if f"{key}.{each.name}" == field:
            message.ClearField(each.name)
            count += 1
        elif each.message_type is not None:
            below = f"{each.containing_type.full_name}.{each.name}"
            count += sum(clear(inner, field, below) for inner in messages_in(value))
    return count


def _clear_inside(packed: Any, field: Field) -> int:
    kind = find(packed.type_url)
    if kind is None:
        return 0
    inner = kind.FromString(packed.value)
    count = clear(inner, field)
    if count:
        packed.value = inner.SerializeToString()
    return count


def messages_in(value: Any) -> Iterator[Message]:
    """The messages that a field holds: one, several, or those of a map."""
    if isinstance(value, Message):
        yield value
    elif hasattr(value, "items"):
        yield from (each for each in value.values() if isinstance(each, Message))
    else:
        yield from (each for each in value if isinstance(each, Message))
