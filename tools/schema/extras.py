"""Messages that istiod sends or expects and that envoy-data-plane lacks: Istio's own, and a few of udpa and xds.

Facts of their public .proto files: name, number and type of each field. A field is `"<number> <type> <name>"`; a type
with a dot is a message, `enum:` marks an enum, `repeated` and `map<key,value>` are as in a .proto file, and
none of these messages has a oneof.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2 as d

from .walk import SCALARS, Declared, camel

_ALPN = "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"
_NDS = "istio.networking.nds.v1.NameTable"

# A nested message or enum follows its parent; "package|Outer.Inner" parts package and path.
MESSAGES: dict[str, tuple[str, ...]] = {
    "istio.networking.nds.v1|NameTable": (f"1 map<string,{_NDS}.NameInfo> table",),
    "istio.networking.nds.v1|NameTable.NameInfo": (
        "1 repeated string ips",
        "2 string registry",
        "3 string shortname",
        "4 string namespace",
        "5 repeated string alt_hosts",
    ),
    "istio.mesh.v1alpha1|ProxyConfig": ("34 repeated string ca_certificates_pem",),
    "istio.v1.auth|IstioCertificateRequest": (
        "1 string csr",
        "3 int64 validity_duration",
        "4 google.protobuf.Struct metadata",
    ),
    "istio.v1.auth|IstioCertificateResponse": ("1 repeated string cert_chain",),
    "istio.envoy.config.filter.http.alpn.v2alpha1|FilterConfig": (f"1 repeated {_ALPN}.AlpnOverride alpn_override",),
    "istio.envoy.config.filter.http.alpn.v2alpha1|FilterConfig.AlpnOverride": (
        f"1 enum:{_ALPN}.Protocol upstream_protocol",
        "2 repeated string alpn_override",
    ),
    "envoy.tcp.metadataexchange.config|MetadataExchange": (
        "1 string protocol",
        "2 bool enable_discovery",
    ),
    "stats|PluginConfig": (
        "1 bool debug",
        "2 int32 max_peer_cache_size",
        "6 bool disable_host_header_fallback",
        "7 google.protobuf.Duration tcp_reporting_duration",
        "8 repeated stats.MetricConfig metrics",
        "9 repeated stats.MetricDefinition definitions",
        "10 enum:stats.Reporter reporter",
        "11 google.protobuf.Duration rotation_interval",
        "12 google.protobuf.Duration graceful_deletion_interval",
    ),
    "stats|MetricConfig": (
        "1 map<string,string> dimensions",
        "2 string name",
        "3 repeated string tags_to_remove",
        "4 string match",
        "5 bool drop",
    ),
    "stats|MetricDefinition": (
        "1 string name",
        "2 string value",
        "3 enum:stats.MetricType type",
    ),
    "udpa.type.v1|TypedStruct": (
        "1 string type_url",
        "2 google.protobuf.Struct value",
    ),
    "xds.data.orca.v3|OrcaLoadReport": (
        "1 double cpu_utilization",
        "2 double mem_utilization",
        "3 uint64 rps",
        "4 map<string,double> request_cost",
        "5 map<string,double> utilization",
        "6 double rps_fractional",
        "7 double eps",
        "8 map<string,double> named_metrics",
        "9 double application_utilization",
    ),
    "xds.service.orca.v3|OrcaLoadReportRequest": (
        "1 google.protobuf.Duration report_interval",
        "2 repeated string request_cost_names",
    ),
    "xds.type.matcher.v3|CelMatcher": (
        "1 xds.type.v3.CelExpression expr_match",
        "2 string description",
    ),
    "xds.type.matcher.v3|HttpAttributesCelMatchInput": (),
    "xds.type.matcher.v3|IPMatcher": ("1 repeated xds.type.matcher.v3.IPMatcher.IPRangeMatcher range_matchers",),
    "xds.type.matcher.v3|IPMatcher.IPRangeMatcher": (
        "1 repeated xds.core.v3.CidrRange ranges",
        "2 xds.type.matcher.v3.Matcher.OnMatch on_match",
        "3 bool exclusive",
    ),
    "xds.type.matcher.v3|ServerNameMatcher": (
        "1 repeated xds.type.matcher.v3.ServerNameMatcher.DomainMatcher domain_matchers",
    ),
    "xds.type.matcher.v3|ServerNameMatcher.DomainMatcher": (
        "1 repeated string domains",
        "2 xds.type.matcher.v3.Matcher.OnMatch on_match",
    ),
    "xds.type.v3|TypedStruct": (
        "1 string type_url",
        "2 google.protobuf.Struct value",
    ),
}

ENUMS: dict[str, tuple[str, ...]] = {
    "istio.envoy.config.filter.http.alpn.v2alpha1|FilterConfig.Protocol": ("HTTP10", "HTTP11", "HTTP2"),
    "stats|MetricType": ("COUNTER", "GAUGE", "HISTOGRAM"),
    "stats|Reporter": ("UNSPECIFIED", "SERVER_GATEWAY"),
}


def declared() -> dict[str, Declared]:
    """The tables above in the form that the walk over envoy-data-plane has."""
    items = [_message(key, fields) for key, fields in MESSAGES.items()]
    items += [_enum(key, values) for key, values in ENUMS.items()]
    return {item.full_name: item for item in items}


def _message(key: str, fields: tuple[str, ...]) -> Declared:
    package, _, dotted = key.partition("|")
    path = tuple(dotted.split("."))
    proto = d.DescriptorProto(name=path[-1])
    depends: list[str] = []
    for text in fields:
        number, *words = text.split()
        repeated = words[0] == "repeated"
        kind, name = words[1:] if repeated else words
        out = proto.field.add(name=name, number=int(number))
        out.label = out.LABEL_REPEATED if repeated or kind.startswith("map<") else out.LABEL_OPTIONAL
        if kind.startswith("map<"):
            key_kind, _, value_kind = kind.removeprefix("map<").removesuffix(">").partition(",")
            entry = proto.nested_type.add(name=camel(name) + "Entry")
            entry.options.map_entry = True
            _typed(entry.field.add(name="key", number=1, label=out.LABEL_OPTIONAL), key_kind, depends)
            _typed(entry.field.add(name="value", number=2, label=out.LABEL_OPTIONAL), value_kind, depends)
            out.type = out.TYPE_MESSAGE
            out.type_name = f".{package}.{dotted}.{entry.name}"
        else:
            _typed(out, kind, depends)
    return Declared(package, path, proto, tuple(depends))


def _typed(out: d.FieldDescriptorProto, kind: str, depends: list[str]) -> None:
    if kind in SCALARS:
        out.type = SCALARS[kind]
        return
    out.type = out.TYPE_ENUM if kind.startswith("enum:") else out.TYPE_MESSAGE
    full_name = kind.removeprefix("enum:")
    out.type_name = "." + full_name
    depends.append(full_name)


def _enum(key: str, values: tuple[str, ...]) -> Declared:
    package, _, dotted = key.partition("|")
    path = tuple(dotted.split("."))
    proto = d.EnumDescriptorProto(name=path[-1])
    for number, name in enumerate(values):
        proto.value.add(name=name, number=number)
    return Declared(package, path, proto, ())
