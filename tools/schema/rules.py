"""Envoy's validation rules (the protoc-gen-validate options) as one JSON document.

They are read from the official descriptors of xds-protos, for the messages, fields and oneofs of our schema, and then
brought up to the Envoy whose texts we follow by `AMENDED`: rules of fields that the API of xds-protos does not have
yet, or has with another rule. The test that is marked `envoy` compares all of them with the descriptors inside a real
Envoy.

    {"envoy.config.cluster.v3.Cluster": {"fields": {"name": {"string": {"min_len": 1}}},
                                         "oneofs": ["cluster_discovery_type"], "disabled": true}}

`oneofs` are those of which one has to be set. A field's rules are the FieldRules message as it stands, durations as
whole nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2 as d

from . import official

Rules: TypeAlias = dict[str, Any]

_SECOND = 1_000_000_000

# "full.message.Name.field" -> the field's rules in Envoy 1.40; None where it has none any more.
AMENDED: dict[str, Rules | None] = {
    "envoy.type.v3.TokenBucket.max_tokens": {"uint32": {"gte": 0}},
    "envoy.config.core.v3.Http2ProtocolOptions.max_header_field_size_kb": {"uint32": {"gte": 64, "lte": 256}},
    "envoy.config.core.v3.QuicProtocolOptions.memory_reduction_timeout": {"duration": {"gte": _SECOND}},
    "envoy.config.core.v3.QuicProtocolOptions.ConnectionMigrationSettings.max_time_on_non_default_network": {
        "duration": {"gte": _SECOND}
    },
    "envoy.config.core.v3.QuicProtocolOptions.ConnectionMigrationSettings.MigrateIdleConnectionSettings"
    ".max_idle_time_before_migration": {"duration": {"gte": _SECOND}},
    "envoy.config.route.v3.CookieMatcher.name": {"string": {"min_len": 1, "max_bytes": 1024}},
    "envoy.config.route.v3.CookieMatcher.string_match": {"message": {"required": True}},
    "envoy.config.route.v3.RateLimit.Action.RemoteAddressMatch.address_matcher": {"message": {"required": True}},
    "envoy.config.route.v3.RateLimit.Action.RemoteAddressMatch.descriptor_value": {"string": {"min_len": 1}},
    "envoy.config.route.v3.RouteConfiguration.vhost_header": {
        "string": {"well_known_regex": "HTTP_HEADER_NAME", "strict": False}
    },
    "envoy.config.cluster.v3.Cluster.health_checks": {"repeated": {"max_items": 8}},
    "envoy.config.cluster.v3.Cluster.per_connection_buffer_high_watermark_timeout": {"duration": {"gte": 0}},
    "envoy.config.listener.v3.Listener.per_connection_buffer_high_watermark_timeout": {"duration": {"gte": 0}},
    "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig.common_config": None,
    "envoy.extensions.clusters.dns.v3.DnsCluster.dns_min_refresh_rate": {"duration": {"gte": _SECOND}},
    "envoy.extensions.clusters.original_dst.v3.OriginalDstCluster.upstream_port_override": {"uint32": {"lte": 65535}},
    "envoy.extensions.filters.http.composite.v3.CompositePerRoute.matcher": {"message": {"required": True}},
    "envoy.extensions.filters.http.ext_authz.v3.ShadowDecision.status_code": {
        "uint32": {"gte": 100, "lte": 599, "ignore_empty": True}
    },
    "envoy.extensions.filters.http.jwt_authn.v3.JwtClaimToHeader.claim_name": None,
    "envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy.max_bson_depth": {"uint32": {"gt": 0}},
    "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.proxy_protocol_tlv_merge_policy": {
        "enum": {"defined_only": True}
    },
    "envoy.extensions.load_balancing_policies.common.v3.OrcaOobReportingConfig.authority": {
        "string": {"well_known_regex": "HTTP_HEADER_VALUE", "strict": False}
    },
    "envoy.extensions.load_balancing_policies.common.v3.OrcaOobReportingConfig.port_value": {"uint32": {"lte": 65535}},
    "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig.qcache_max_ttl": {"uint32": {"gte": 0}},
}


def render(files: d.FileDescriptorSet) -> bytes:
    """The JSON document for these files: one line per message, sorted."""
    found = rules(files, official.files())
    amend(files, found)
    lines = [f'"{name}": {json.dumps(found[name], sort_keys=True)}' for name in sorted(found)]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def rules(ours: d.FileDescriptorSet, source: d.FileDescriptorSet) -> dict[str, Rules]:
    """Full message name -> its rules in `source`, as far as we have the message and the field."""
    read = _Reader()
    theirs = dict(messages(source))
    out: dict[str, Rules] = {}
    for name, message in messages(ours):
        if name in theirs:
            found = read.message(theirs[name], {field.name for field in message.field})
            if found:
                out[name] = found
    return out


def amend(ours: d.FileDescriptorSet, found: dict[str, Rules]) -> None:
    """Applies AMENDED; complains about an entry that changes nothing, so that the table shrinks as xds-protos moves."""
    known = dict(messages(ours))
    for path, wanted in AMENDED.items():
        name, _, field = path.rpartition(".")
        if field not in {f.name for f in known[name].field}:
            raise LookupError(f"AMENDED names {path}, which the schema does not have")
        fields = found.setdefault(name, {}).setdefault("fields", {})
        if fields.get(field) == wanted:
            raise LookupError(f"AMENDED names {path}, whose rule is the same without")
        if wanted is None:
            del fields[field]
        else:
            fields[field] = wanted
        if not fields:
            del found[name]["fields"]
        if not found[name]:
            del found[name]


def messages(files: d.FileDescriptorSet) -> Iterator[tuple[str, d.DescriptorProto]]:
    """Every message, nested ones included, by full name; map entries are no messages."""

    def walk(prefix: str, found: Iterable[d.DescriptorProto]) -> Iterator[tuple[str, d.DescriptorProto]]:
        for message in found:
            if not message.options.map_entry:
                name = f"{prefix}.{message.name}"
                yield name, message
                yield from walk(name, message.nested_type)

    for file in files.file:
        yield from walk(file.package, file.message_type)


class _Reader:
    """Reads the options of protoc-gen-validate off descriptors."""

    def __init__(self) -> None:
        self._field = official.options_class("google.protobuf.FieldOptions")
        self._oneof = official.options_class("google.protobuf.OneofOptions")
        self._message = official.options_class("google.protobuf.MessageOptions")
        self._rules = official.extension("validate.rules")
        self._required = official.extension("validate.required")
        self._off = (official.extension("validate.disabled"), official.extension("validate.ignored"))

    def message(self, message: d.DescriptorProto, wanted: set[str]) -> Rules:
        options = self._message.FromString(message.options.SerializeToString())
        out: Rules = {}
        if any(options.Extensions[flag] for flag in self._off):
            out["disabled"] = True
        fields = {}
        for field in message.field:
            own = self._field.FromString(field.options.SerializeToString())
            if field.name in wanted and own.HasExtension(self._rules):
                fields[field.name] = _plain(own.Extensions[self._rules])
        oneofs = [
            oneof.name
            for oneof in message.oneof_decl
            if self._oneof.FromString(oneof.options.SerializeToString()).Extensions[self._required]
        ]
        if fields:
            out["fields"] = fields
        if oneofs:
            out["oneofs"] = oneofs
        return out


def _plain(message: Any) -> Rules:
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Duration":
            return [item.ToNanoseconds() for item in value] if field.is_repeated else value.ToNanoseconds()
        return _plain(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return list(value) if field.is_repeated else value
