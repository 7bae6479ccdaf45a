"""The reverse: every field that means nothing in process, set wherever it can stand."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format

from proxyless.xds.wire.coverage.status import Status
from proxyless.xds.wire.coverage.walk import ANY, LEAVES, TABLE
from proxyless.xds.wire.schema import find, pool
from tests.xds.wire.coverage.test_table import put

from .resources import (
    chain,
    cluster,
    endpoint,
    extension,
    manager,
    messages_in,
    route,
    shop,
    typed,
)
from .seeing import both, each_of, tried

Key = tuple[str, str]

EARLY_DATA = "type.googleapis.com/envoy.extensions.early_data.v3.DefaultEarlyDataPolicy"
BY_HAND: dict[str, Any] = {
    "preresolve_hostnames": [{"address": "names.test", "port_value": 80}],
    "address": {"socket_address": {"address": "192.0.2.1", "port_value": 1}},
    "authorities": [{"name": "a"}],
    "connection_balance_config": {"exact_balance": {}},
    "custom_settings_parameters": [{"identifier": 10, "value": 1}],
    "early_data_policy": {"name": "x"},
    "edns0_max_payload_size": 512,
    "filter_disabled": {"any_match": True},
    "max_header_field_size_kb": 64,
    "header_validation_config": extension("envoy.extensions.filters.http.router.v3.Router"),
    "ignore_http_11_upgrade": [{"exact": "a"}],
    "initial_read_buffer_size": 256,
    "max_client_hello_size": 256,
    "initial_connection_window_size": 65535,
    "initial_stream_window_size": 65535,
    "shadow_enabled": {"default_value": {"numerator": 100}},
    "RouteMatch.runtime_fraction": {"default_value": {"numerator": 0}},
    "RouteMatch.dynamic_metadata": [{"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}}],
    "RouteMatch.cookies": [{"name": "c", "string_match": {"exact": "x"}}],
    "RouteMatch.filter_state": [{"key": "k", "string_match": {"exact": "x"}}],
    "OverrideHost.selected_host_key": {"key": "k", "path": [{"key": "p"}]},
    "event_service": {"grpc_service": {"envoy_grpc": {"cluster_name": "b"}}},
    "event_logger": [extension("google.protobuf.Empty")],
    "transport_api_version": "V3",
    "socket_options": [{"level": 1, "name": 2, "int_value": 3}],
    "virtual_clusters": [{"name": "c", "headers": [{"name": ":path", "exact_match": "/a"}]}],
    "key_log": {"path": "/dev/null"},
    "ocsp_staple": {"inline_string": "x"},
    "signed_certificate_timestamp": [{"inline_string": "x"}],
    "alternate_protocols_cache_options": {"name": "x"},
    "session_ticket_keys": {"keys": [{"inline_bytes": "eA=="}]},
    "watched_directory": {"path": "/"},
    "OpenTelemetryConfig.grpc_service": {"envoy_grpc": {"cluster_name": "b"}},
    "OpenTelemetryConfig.http_service": {"http_uri": {"uri": "http://b/", "cluster": "b", "timeout": "1s"}},
    "OpenTelemetryConfig.resource_detectors": [extension("google.protobuf.Empty")],
    "ZipkinConfig.collector_service": {"http_uri": {"uri": "http://b/", "cluster": "b", "timeout": "1s"}},
    "ZipkinConfig.collector_endpoint_version": "HTTP_PROTO",
    "Listener.access_log": [extension("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog")],
}
"""What these fields are set to, because they would be refused else."""


def fill(message: Any, done: set[Key], context: str = "") -> None:
    """Set what means nothing, and say something else where it is set, at any depth and inside every Any."""
    name = message.DESCRIPTOR.full_name
    if name == ANY:
        kind = find(message.type_url)
        if kind is not None:
            inner = kind.FromString(message.value)
            fill(inner, done)
            message.value = inner.SerializeToString()
        return
    if name.startswith(LEAVES):
        return
    key = context if context in TABLE else name
    entry = TABLE.get(key)
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in list(messages_in(value)):
                fill(inner, done, f"{field.containing_type.full_name}.{field.name}")
    if isinstance(entry, Status):
        entry = {each.name: entry for each in message.DESCRIPTOR.fields}
    for each, status in (entry or {}).items():
        if status.kind == "meaningless" and set_anyhow(message, each):
            done.add((key, each))


def set_anyhow(message: Any, name: str) -> bool:
    """Whether the field could be given a (another) value: not where its oneof says something else."""
    field = message.DESCRIPTOR.fields_by_name[name]
    oneof = field.containing_oneof
    if oneof is not None and message.WhichOneof(oneof.name) not in (None, name):
        return False
    if name == "metadata" and message.DESCRIPTOR.name == "OverrideHostSource":
        return True  # refused beside a header, and alone it is a source that names nobody
    if name == "apply_default_config_without_warming" and not message.HasField("default_config"):
        return False  # refused
    by_hand = BY_HAND.get(f"{message.DESCRIPTOR.name}.{name}") or BY_HAND.get(name)
    if by_hand:
        message.ClearField(name)
        json_format.ParseDict({name: by_hand}, message, descriptor_pool=pool())
        if name == "early_data_policy":  # the schema does not have what is in it
            message.early_data_policy.typed_config.type_url = EARLY_DATA
    elif isinstance(getattr(message, name), str) and getattr(message, name):
        setattr(message, name, getattr(message, name) + "x")
    elif field.has_presence and message.HasField(name):
        return True  # it was set by hand, to something that is allowed
    else:
        put(message, name)
    return True


# -- a configuration that holds what the cases of `cases` do not -----------------------------------------------------

FILTERS = "envoy.extensions.filters."
INSPECTOR = FILTERS + "listener.tls_inspector.v3.TlsInspector"
ORIGINAL_SOURCE = FILTERS + "listener.original_src.v3.OriginalSrc"
RESOLVERS = "envoy.extensions.network.dns_resolver."
DNS = "envoy.extensions.clusters.dns.v3.DnsCluster"


TCP = "envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions"


def named(name: str, resolver: str) -> dict[str, Any]:
    """A cluster that a resolver resolves."""
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint("x.test")]}]}
    by = extension(f"{RESOLVERS}{resolver}")
    options = {TCP: typed(TCP)}
    return cluster(
        name,
        type="STRICT_DNS",
        load_assignment=load,
        typed_dns_resolver_config=by,
        typed_extension_protocol_options=options,
    )


OBSERVERS = (
    extension("stats.PluginConfig", "istio.stats"),
    extension(FILTERS + "http.grpc_stats.v3.FilterConfig", "grpc_stats"),
    extension(FILTERS + "http.fault.v3.HTTPFault", "fault", max_active_faults=5),
)
MONGO = extension(FILTERS + "network.mongo_proxy.v3.MongoProxy", "mongo", stat_prefix="s")
EXCHANGE = extension("envoy.tcp.metadataexchange.config.MetadataExchange", "istio.metadata_exchange", protocol="istio")
RICH = shop(
    chains=[chain(EXCHANGE, MONGO, manager(*OBSERVERS, common_http_protocol_options={}))],
    listener_fields={
        "listener_filters": [extension(INSPECTOR, "tls"), extension(ORIGINAL_SOURCE, "source")],
    },
    routes=[
        route({"prefix": "/b"}, {"cluster": "named", "hash_policy": [{"filter_state": {"key": "k"}}]}),
        route({"prefix": "/c"}, {"cluster": "other"}),
        route(),
    ],
    clusters=[
        named("named", "getaddrinfo.v3.GetAddrInfoDnsResolverConfig"),
        named("other", "cares.v3.CaresDnsResolverConfig"),
    ],
    addresses={"x.test": ["10.1.0.1"]},
)
LOOK = both(each_of("endpoint", "/a", "/b", "/c"), each_of("why", "/a", "/b"), tried([503, 200]))
