"""Random messages, from the very dataclasses that describe the kinds.

Names come from a small pool, so that objects meet: rules hit services, routes hit subsets. Many objects that come out
are invalid; the reader refuses those, as it would refuse them from people.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from proxyless.xds.controlplane.api.decode import json_name
from proxyless.xds.controlplane.api.fields import Bounds, Format, Required
from proxyless.xds.controlplane.api.gateway_api import (
    BackendObjectReference,
    BackendRef,
    GRPCBackendRef,
    GRPCMethodMatch,
    HTTPBackendRef,
    HTTPCORSFilter,
    HTTPHeader,
    HTTPHeaderMatch,
    HTTPPathMatch,
    ParentReference,
    TLSRouteSpec,
)
from proxyless.xds.controlplane.api.selectors import PolicyTargetReference
from proxyless.xds.controlplane.api.sidecar import IstioEgressListener, IstioIngressListener, SidecarPort
from proxyless.xds.controlplane.api.virtual_service import TLSMatchAttributes

from . import drawing as st
from .generated_shapes import ALWAYS, APART, KINDS_OF_FILTERS, MOST

HOSTS = ["web", "db.internal", "geo.example.com", "*.wild.example.com", "far.other.svc.cluster.local", "nobody"]
_TEXTS = {
    "host": st.sampled_from(HOSTS),
    "hosts": st.sampled_from([*HOSTS, "web.example.com", "*.example.com"]),
    "subset": st.sampled_from(["", "v1", "v2", "v9"]),
    "name": st.sampled_from(["", "v1", "v2", "http", "tcp-x", "envoy", "x"]),
    "gateways": st.sampled_from(["mesh", "ingress"]),
    "export_to": st.sampled_from([".", "*", "shop", "other", "~"]),
    "address": st.sampled_from(["10.2.0.1", "10.2.0.2", "one.example.com", "unix:///run/x.sock"]),
    "addresses": st.sampled_from(["10.50.0.0/24", "10.60.0.1", "fd00::1"]),
    "destination_subnets": st.sampled_from(["10.50.0.0/24", "10.60.0.1"]),
    "protocol": st.sampled_from(["HTTP", "HTTP2", "GRPC", "TCP", "TLS", "HTTPS", "Mongo", ""]),
    "namespace": st.sampled_from(["", "shop", "other"]),
    "source_namespace": st.sampled_from(["", "shop", "other"]),
    "locality": st.sampled_from(["", "r1/a", "r2/b/c"]),
    "from_": st.sampled_from(["r1", "r1/*", "r2/b"]),
    "retry_on": st.sampled_from(["", "5xx", "reset,409"]),
    "grpc_status": st.sampled_from(["UNAVAILABLE", "OK", "nonsense"]),
    "ip_blocks": st.sampled_from(["10.0.0.0/8", "1.2.3.4"]),
    "not_ip_blocks": st.sampled_from(["10.0.0.0/8", "1.2.3.4"]),
    "remote_ip_blocks": st.sampled_from(["10.0.0.0/8", "fd00::/8"]),
    "not_remote_ip_blocks": st.sampled_from(["10.0.0.0/8", "fd00::/8"]),
    "ports": st.sampled_from(["80", "8080"]),
    "not_ports": st.sampled_from(["80", "8080"]),
    "jwks": st.sampled_from(["", '{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ","kid":"1"}]}']),
    "key": st.sampled_from(["source.ip", "request.headers[x-a]", "request.auth.claims[a]", "source.namespace"]),
    "authority": st.sampled_from(["", "a.example.com"]),
    "scheme": st.sampled_from(["", "http", "https"]),
    "expression": st.sampled_from(["response.code >= 400"]),
    "rewrite": st.sampled_from(["", "/x", r"\1"]),
    "match": st.sampled_from(["/a", "/(.*)"]),
    "service": st.sampled_from(["web.shop.svc.cluster.local", "shop/web.shop.svc.cluster.local", "nobody"]),
    "providers": st.sampled_from(["x", "envoy", "prometheus"]),
    "access_logging": st.sampled_from(["x", "envoy"]),
    "tracing": st.sampled_from(["x", "envoy"]),
    "metrics": st.sampled_from(["x", "prometheus"]),
    "trust_domain": st.sampled_from(["cluster.local", "td1"]),
    "trust_domain_aliases": st.sampled_from(["td1", "td2"]),
    "root_namespace": st.sampled_from(["istio-system", "other"]),
    "jwks_uri": st.just("http://127.0.0.1:9/keys"),
    "sha256": st.just("0" * 64),
    "access_log_file": st.just("/dev/stdout"),
    "path": st.sampled_from(["/a", "/dev/stdout"]),
    "path_prefix": st.just("/check"),
    "status_on_error": st.sampled_from(["403", "503"]),
    "from_cidr": st.just("10.0.0.0/8"),
    "ecdh_curves": st.sampled_from(["P-256", "X25519"]),
    "cipher_suites": st.sampled_from(["ECDHE-RSA-AES256-GCM-SHA384", "AES128-GCM-SHA256"]),
    "cluster_ip": st.sampled_from(["10.96.0.50", "None", ""]),
    "cluster_ips": st.sampled_from(["10.96.0.50", "fd00::50"]),
    "pod_ip": st.sampled_from(["10.1.0.1", "10.1.0.9"]),
    "ip": st.sampled_from(["10.1.0.1", "10.1.0.9"]),
    "external_ips": st.just("1.2.3.4"),
    "external_name": st.sampled_from(["geo.example.com", "web"]),
    "app_protocol": st.sampled_from(["http", "kubernetes.io/h2c", "grpc", "tcp", "nonsense"]),
    "type": st.sampled_from(["ClusterIP", "ExternalName", "NodePort", "Ready"]),
    "node_name": st.sampled_from(["n1", "n2"]),
    "traffic_distribution": st.sampled_from(["PreferClose", "PreferSameNode"]),
    "ecdh_curve": st.just("P-256"),
    "private_key": st.just("/etc/key.pem"),
    "client_certificate": st.just("/etc/cert.pem"),
    "server_certificate": st.just("/etc/cert.pem"),
    "ca_certificates": st.just("/etc/root.pem"),
    "credential_name": st.sampled_from(["builtin://", "sds://mine", "mine"]),
    "url": st.sampled_from(["oci://images.example/x:1", "https://images.example/x.wasm", "file:///x.wasm"]),
    "inline_code": st.just("function envoy_on_request(h) end"),
}
_OF: dict[tuple[Any, str], st.Draw[Any]] = {
    (IstioEgressListener, "hosts"): st.lists(
        st.sampled_from(
            ["*/*", "./*", "shop/*", "other/*", "~/*", "~./web.shop.svc.cluster.local", "*/*.example.com"]
            + [f"{where}/{host}" for where in ("*", "shop") for host in HOSTS if "." in host]
        ),
        min_size=1,
        max_size=3,
    ),
    (IstioEgressListener, "bind"): st.sampled_from(["", "127.0.0.1", "0.0.0.0", "unix:///run/x", "unix:///run/y"]),
    (IstioIngressListener, "bind"): st.sampled_from(["", "127.0.0.1", "0.0.0.0"]),
    (IstioIngressListener, "default_endpoint"): st.sampled_from(
        ["", "127.0.0.1:8080", "0.0.0.0:8080", "[::1]:8080", "[::]:8080", ":8080", "unix:///run/app"]
    ),
    (SidecarPort, "number"): st.sampled_from([0, 80, 443, 5432, 8080]),
    (SidecarPort, "name"): st.sampled_from(["", "http"]),
    (SidecarPort, "target_port"): st.just(0),
    (SidecarPort, "protocol"): st.sampled_from(["", "HTTP", "HTTP2", "GRPC", "TCP", "HTTPS", "HTTP_PROXY", "Mongo"]),
}
"""Texts of one message's field alone."""
for _backend in (BackendObjectReference, BackendRef, HTTPBackendRef, GRPCBackendRef):
    _OF[_backend, "name"] = st.sampled_from(["web", "gone", "db.internal"])
    _OF[_backend, "kind"] = st.sampled_from(["Service", "Service", "Hostname", "Bucket"])
    _OF[_backend, "group"] = st.sampled_from(["", "", "networking.istio.io"])
    _OF[_backend, "port"] = st.sampled_from([80, 8080])
_OF |= {
    (ParentReference, "name"): st.sampled_from(["web", "headless", "gone"]),
    (ParentReference, "kind"): st.sampled_from(["Service", "ServiceEntry", "Gateway"]),
    (ParentReference, "group"): st.sampled_from(["", "networking.istio.io", "gateway.networking.k8s.io"]),
    (ParentReference, "port"): st.sampled_from([80, 8080]),
    (HTTPPathMatch, "value"): st.sampled_from(["/", "/api", "/api/", "/a.*"]),
    (HTTPHeader, "name"): st.sampled_from(["x-a", "Host", "x-b"]),
    (HTTPHeaderMatch, "name"): st.sampled_from(["x-a", "x-b"]),
    (HTTPHeaderMatch, "value"): st.sampled_from(["a", "b+"]),
    (GRPCMethodMatch, "service"): st.sampled_from(["a.B", "C"]),
    (GRPCMethodMatch, "method"): st.sampled_from(["D", "E"]),
    (HTTPCORSFilter, "allow_origins"): st.lists(
        st.sampled_from(["https://a.example.com", "https://*.example.com", "http://*"]), max_size=2
    ),
    (TLSMatchAttributes, "sni_hosts"): st.lists(st.sampled_from(["geo.example.com"]), min_size=1, max_size=1),
    (PolicyTargetReference, "group"): st.just("gateway.networking.k8s.io"),
    (PolicyTargetReference, "kind"): st.just("Gateway"),
    (PolicyTargetReference, "name"): st.just("ingress"),
    (PolicyTargetReference, "namespace"): st.just(""),
    (TLSRouteSpec, "hostnames"): st.lists(st.sampled_from(["a.example.com", "*.example.com"]), max_size=2),
}
_PLAIN = st.sampled_from(["/", "/api", "a", "x-head", "b*", "*c", "*"])
_MAPPED = st.dictionaries(st.sampled_from(["app", "version", "x-a"]), st.sampled_from(["web", "v1", "v2"]), max_size=2)


@cache
def message(of: Any, depth: int = 0) -> st.Draw[dict[str, Any]]:
    hints = get_type_hints(of, include_extras=True)
    required: dict[str, st.Draw[Any]] = {}
    optional: dict[str, st.Draw[Any]] = {}
    for item in fields(of):
        hint = hints[item.name]
        if get_origin(hint) is ClassVar:
            continue
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        into = required if any(isinstance(mark, Required) for mark in marks) else optional
        if depth < 10 or into is required:
            own = _OF.get((of, item.name))
            into[_written(of, item.name)] = _value(hint, item.name, depth) if own is None else own
    chosen = st.subsets(sorted(optional), max_size=MOST.get(of, 4))
    if of in KINDS_OF_FILTERS and optional:
        kinds = sorted(KINDS_OF_FILTERS[of].items())
        return st.sampled_from(kinds).flatmap(
            lambda kind: st.fixed_dictionaries({"type": st.just(kind[0]), kind[1]: optional[kind[1]]})
        )
    always = st.sampled_from([[_written(of, name) for name in names] for names in ALWAYS.get(of, [()])])
    groups = [[_written(of, name) for name in group] for group in (*getattr(of, "ONE_OF", ()), *APART.get(of, ()))]

    def make(names: tuple[list[str], list[str]]) -> st.Draw[dict[str, Any]]:
        wanted = _without_rivals([*names[0], *names[1]], groups)
        return st.fixed_dictionaries({**required, **{name: optional[name] for name in wanted if name in optional}})

    return st.tuples(always, chosen).flatmap(make)


def _written(of: Any, name: str) -> str:
    return getattr(of, "NAMES", {}).get(name) or json_name(name)


def _without_rivals(names: list[str], groups: list[list[str]]) -> list[str]:
    """Of each group the first, and each name once."""
    out: list[str] = []
    for name in names:
        rivals = {each for group in groups if name in group for each in group} - {name}
        if not rivals & set(out) and name not in out:
            out.append(name)
    return out


def _value(hint: Any, name: str, depth: int) -> st.Draw[Any]:
    if isinstance(hint, type) and is_dataclass(hint):  # not before it is asked for: messages may hold themselves
        return st.Draw(lambda rng: message(hint, depth + 1).draw(rng))
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        for mark in args[1:]:
            if isinstance(mark, Bounds):
                low, high = math.ceil(mark.low), int(min(mark.high, max(mark.low, 60000)))
                usual = [each for each in (80, 443, 5432, 50, 100) if low <= each <= high]
                return st.one_of(st.integers(low, high), st.sampled_from(usual or [low]))
            if mark in (Format.DURATION, Format.GATEWAY_DURATION):
                return st.sampled_from(["1s", "500ms", "1h", "0s"])
            if mark is Format.REGEX:
                return st.sampled_from(["a.*", "[0-9]+"])
            if mark is Format.BYTES:
                return st.just("YQ==")
            if mark is Format.YAML:
                return _value(args[0], name, depth).map(yaml.safe_dump)
        return _value(args[0], name, depth)
    if origin in (Union, UnionType):
        return _value(next(each for each in args if each is not NoneType), name, depth)
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return st.lists(_value(args[0], name, depth + 1), min_size=1, max_size=2)
    if origin is dict:
        if is_dataclass(args[1]) or get_origin(args[0]) is Annotated:
            keys = st.sampled_from(["x-a", "x-b"]) if args[0] is str else st.sampled_from([8080, 9090])
            return st.dictionaries(keys, _value(args[1], name, depth + 1), max_size=1)
        if args[1] is str:
            return _MAPPED
        return st.dictionaries(st.sampled_from(["r1/*", "http"]), st.sampled_from([100, 8080]), max_size=1)
    if hint is object:
        return st.sampled_from([8080, "http"]) if name == "target_port" else st.just({"a": "b"})
    if hint is bool:
        return st.booleans()
    if hint is str:
        return _TEXTS.get(name, _PLAIN)
    return st.sampled_from([1, 2])
