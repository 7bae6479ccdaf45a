"""Pairs of small meshes that differ in one or two objects; most of these tell callers or servers apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Json = dict[str, Any]
ISTIO = {
    "VirtualService": "networking.istio.io/v1",
    "DestinationRule": "networking.istio.io/v1",
    "Sidecar": "networking.istio.io/v1",
    "ServiceEntry": "networking.istio.io/v1",
    "WorkloadEntry": "networking.istio.io/v1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "ProxyConfig": "networking.istio.io/v1beta1",
    "PeerAuthentication": "security.istio.io/v1",
    "AuthorizationPolicy": "security.istio.io/v1",
    "RequestAuthentication": "security.istio.io/v1",
    "Telemetry": "telemetry.istio.io/v1",
}
DRAWN = (*ISTIO, "Service", "EndpointSlice", "Pod", "Namespace", "ConfigMap", "Node")
SPACES = ("shop", "bank", "istio-system")
PODS = [
    ("cart", "v1", "shop", "n1"),
    ("cart", "v2", "shop", "n2"),
    ("pay", "v1", "shop", "n2"),
    ("cart", "v1", "bank", "n1"),
    ("web", "v1", "shop", "n1"),
    ("web", "v2", "shop", "n2"),
    ("ledger", "v1", "bank", "n2"),
]
HOSTS = ("web.shop.svc.cluster.local", "ledger.bank.svc.cluster.local", "api.example.com")
KEY = '{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0MTI"}]}'


@dataclass(frozen=True)
class Pair:
    """Both sides, as text, and the kinds of the objects in which they differ."""

    old: str
    new: str
    kinds: tuple[str, ...]


def pair(random: Random, kind: str) -> Pair:
    """A pair that differs in an object of `kind`, and perhaps in one of another."""
    old: dict[tuple[str, str], Json] = {}
    for _ in range(random.randint(3, 7)):
        drawn = random.choice(list(ISTIO))
        _put(old, _made(drawn, random))
    for each in _base():
        _put(old, each)
    kinds = [kind] if random.random() < 0.7 else [kind, random.choice(DRAWN)]
    new = dict(old)
    for one in kinds:
        _change(new, one, random)
    return Pair(_text(old), _text(new), tuple(kinds))


def _put(side: dict[tuple[str, str], Json], made: Json) -> None:
    meta = made["metadata"]
    side[made["kind"], f"{meta.get('namespace', '')}/{meta['name']}"] = made


def _change(side: dict[tuple[str, str], Json], kind: str, random: Random) -> None:
    there = [key for key in side if key[0] == kind]
    way = random.choice(["add", "change", "change", "remove"])
    if not there or way == "add":
        _put(side, _made(kind, random))
    elif way == "change":
        key = random.choice(there)
        side[key] = {**_made(kind, random), "metadata": side[key]["metadata"]}
        if kind in ("Pod", "Namespace", "Service", "Node"):
            side[key] = _made(kind, random)
    else:
        del side[random.choice(there)]


def _text(side: dict[tuple[str, str], Json]) -> str:
    return "\n---\n".join(json.dumps(each) for each in side.values())


def _made(kind: str, random: Random) -> Json:
    if kind not in ISTIO:
        return PLAIN[kind](random)
    namespace, spec = SPECS[kind](random)
    name = f"{kind.lower()}-{random.randint(1, 3)}"
    return {
        "apiVersion": ISTIO[kind],
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-01T00:00:0{name[-1]}Z"},
        "spec": spec,
    }


def _labels(random: Random) -> Json:
    return random.choice([{"app": "cart"}, {"version": "v2"}, {"app": "pay"}, {"app": "web"}, {"app": "ledger"}])


def _space(random: Random) -> str:
    return random.choice(SPACES)


def _selected(random: Random) -> Json:
    return {"selector": {"matchLabels": _labels(random)}} if random.random() < 0.6 else {}


def _virtual_service(random: Random) -> tuple[str, Json]:
    host = random.choice(HOSTS)
    picked: Json = random.choice(
        [{}, {"sourceLabels": _labels(random)}, {"sourceNamespace": random.choice(["shop", "bank"])}]
    )
    path = {"uri": {"prefix": random.choice(["/a", "/b"])}}
    destination = {"host": random.choice(HOSTS), **random.choice([{}, {"subset": "v1"}, {"subset": "v2"}])}
    first = {
        "match": [{**picked, **path}],
        "timeout": f"{random.randint(1, 3)}s",
        "route": [{"destination": destination}],
    }
    spec: Json = {"hosts": [host], "http": [first, {"route": [{"destination": {"host": host}}]}]}
    if random.random() < 0.2:
        tcp = {"match": [{"port": 9000, **picked}], "route": [{"destination": {"host": random.choice(HOSTS)}}]}
        spec["tcp"] = [tcp]
    return random.choice(["shop", "bank"]), {**spec, **_exported(random)}


def _exported(random: Random) -> Json:
    return random.choice([{}, {}, {"exportTo": ["."]}, {"exportTo": ["bank"]}])


def _destination_rule(random: Random) -> tuple[str, Json]:
    policy: Json = random.choice(
        [
            {"connectionPool": {"http": {"http2MaxRequests": random.randint(1, 3)}}},
            {"outlierDetection": {"consecutive5xxErrors": random.randint(1, 3)}},
            {"tls": {"mode": random.choice(["DISABLE", "ISTIO_MUTUAL", "SIMPLE"])}},
            {
                "outlierDetection": {},
                "loadBalancer": {"localityLbSetting": {"enabled": True, "failoverPriority": ["version"]}},
            },
            {
                "outlierDetection": {},
                "loadBalancer": {
                    "localityLbSetting": {
                        "enabled": True,
                        "distribute": [{"from": "r1/*", "to": {"r1/*": 80, "r2/*": 20}}],
                    }
                },
            },
        ]
    )
    subsets = [{"name": each, "labels": {"version": each}} for each in ("v1", "v2") if random.random() < 0.6]
    spec = {"host": random.choice(HOSTS), "trafficPolicy": policy, "subsets": subsets, **_exported(random)}
    if random.random() < 0.5:
        spec["workloadSelector"] = {"matchLabels": _labels(random)}
    return _space(random), spec


def _sidecar(random: Random) -> tuple[str, Json]:
    spec: Json = {"egress": [{"hosts": random.choice([["*/*"], ["./*"], ["shop/*", "istio-system/*"], ["bank/*"]])}]}
    if random.random() < 0.3:
        spec["outboundTrafficPolicy"] = {"mode": "REGISTRY_ONLY"}
    if random.random() < 0.3:
        spec["ingress"] = [
            {"port": {"number": 8080, "protocol": "HTTP", "name": "http"}, "defaultEndpoint": "127.0.0.1:9090"}
        ]
    if random.random() < 0.6:
        spec["workloadSelector"] = {"labels": _labels(random)}
    return _space(random), spec


def _peer_authentication(random: Random) -> tuple[str, Json]:
    spec: Json = {"mtls": {"mode": random.choice(["STRICT", "PERMISSIVE", "DISABLE"])}, **_selected(random)}
    if "selector" in spec and random.random() < 0.5:
        spec["portLevelMtls"] = {"8080": {"mode": random.choice(["STRICT", "DISABLE"])}}
    return _space(random), spec


def _authorization_policy(random: Random) -> tuple[str, Json]:
    rule = {"to": [{"operation": {"paths": [random.choice(["/a", "/b"])]}}]}
    return _space(random), {"action": random.choice(["ALLOW", "DENY", "AUDIT"]), "rules": [rule], **_selected(random)}


def _request_authentication(random: Random) -> tuple[str, Json]:
    issuer = random.choice(["https://a.example", "https://b.example"])
    return _space(random), {"jwtRules": [{"issuer": issuer, "jwks": KEY}], **_selected(random)}


def _service_entry(random: Random) -> tuple[str, Json]:
    resolution = random.choice(["STATIC", "DNS", "NONE"])
    spec: Json = {
        "hosts": [random.choice(["api.example.com", "*.example.org"]) if resolution == "NONE" else "api.example.com"],
        "ports": [{"number": random.choice([80, 8443]), "name": "http", "protocol": random.choice(["HTTP", "TCP"])}],
        "location": random.choice(["MESH_EXTERNAL", "MESH_INTERNAL"]),
        "resolution": resolution,
        **_exported(random),
    }
    if resolution == "STATIC":
        if random.random() < 0.5:
            spec["workloadSelector"] = {"labels": {"app": random.choice(["vm", "web"])}}
        else:
            spec["endpoints"] = [{"address": f"10.9.0.{random.randint(1, 3)}", "locality": random.choice(["r1", "r2"])}]
    return random.choice(["shop", "bank"]), spec


def _workload_entry(random: Random) -> tuple[str, Json]:
    labels = {"app": "vm", "version": random.choice(["v1", "v2"])}
    return random.choice(["shop", "bank"]), {"address": f"10.8.0.{random.randint(1, 3)}", "labels": labels}


def _envoy_filter(random: Random) -> tuple[str, Json]:
    cluster = {
        "applyTo": "CLUSTER",
        "match": {"context": "SIDECAR_OUTBOUND", "cluster": {"service": random.choice(HOSTS)}},
        "patch": {"operation": "MERGE", "value": {"connect_timeout": f"{random.randint(1, 4)}s"}},
    }
    route = {
        "applyTo": "HTTP_ROUTE",
        "match": {"context": "SIDECAR_OUTBOUND"},
        "patch": {"operation": "MERGE", "value": {"route": {"timeout": f"{random.randint(4, 6)}s"}}},
    }
    manager = {
        "applyTo": "NETWORK_FILTER",
        "match": {
            "context": random.choice(["SIDECAR_OUTBOUND", "SIDECAR_INBOUND", "ANY"]),
            "listener": {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}},
        },
        "patch": {
            "operation": "MERGE",
            "value": {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
                    ".HttpConnectionManager",
                    "max_request_headers_kb": random.randint(70, 80),
                },
            },
        },
    }
    spec: Json = {"configPatches": [random.choice([cluster, route, manager])]}
    if random.random() < 0.6:
        spec["workloadSelector"] = {"labels": _labels(random)}
    return _space(random), spec


def _proxy_config(random: Random) -> tuple[str, Json]:
    return _space(random), {"concurrency": random.randint(1, 3), **_selected(random)}


def _telemetry(random: Random) -> tuple[str, Json]:
    spec: Json = {"accessLogging": [{"disabled": random.random() < 0.5}], **_selected(random)}
    return _space(random), spec


def _service(random: Random) -> Json:
    name, namespace = random.choice([("web", "shop"), ("ledger", "bank"), ("peers", "shop")])
    headless = name == "peers"
    spec: Json = {
        "clusterIP": "None" if headless else f"10.96.0.{random.randint(1, 9)}",
        "selector": {"app": "web" if headless else name},
        "ports": [
            {"name": "http", "port": 80, "targetPort": 8080},
            {"name": "tcp", "port": 9000, "targetPort": random.choice([9000, 9001])},
        ],
    }
    if random.random() < 0.3:
        spec["trafficDistribution"] = "PreferClose"
    if random.random() < 0.2:
        spec["internalTrafficPolicy"] = "Local"
    meta: Json = {"name": name, "namespace": namespace}
    if random.random() < 0.3:
        meta["annotations"] = {"networking.istio.io/exportTo": random.choice([".", "bank", "*"])}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def _slice(random: Random) -> Json:
    name, namespace = random.choice([("web", "shop"), ("ledger", "bank"), ("peers", "shop")])
    app = "web" if name == "peers" else name
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-x", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}, {"name": "tcp", "port": 9000}],
        "endpoints": [
            {
                "addresses": [f"10.1.0.{number}"],
                "nodeName": node,
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": f"{app}-{version}", "namespace": namespace},
            }
            for number, (each, version, space, node) in enumerate(PODS, 1)
            if (each, space) == (app, namespace) and random.random() < 0.7
        ],
    }


def _pod(random: Random) -> Json:
    number = random.randrange(len(PODS))
    changed = _pod_of(number)
    if random.random() < 0.5:
        changed["metadata"]["annotations"] = {
            "proxy.istio.io/config": json.dumps({"proxyHeaders": {"preserveHttp1HeaderCase": random.random() < 0.7}})
        }
    else:
        changed["metadata"]["labels"] = {**changed["metadata"]["labels"], "security.istio.io/tlsMode": "istio"}
    return changed


def _pod_of(number: int) -> Json:
    app, version, namespace, node = PODS[number]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{app}-{version}", "namespace": namespace, "labels": {"app": app, "version": version}},
        "spec": {"containers": [{"name": "c"}], "nodeName": node, "serviceAccountName": app},
        "status": {
            "podIP": f"10.1.0.{number + 1}",
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _namespace(random: Random) -> Json:
    labels = random.choice([{"team": "a"}, {"team": "b"}, {}])
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": random.choice(SPACES[:2]), "labels": labels}}


def _config_map(random: Random) -> Json:
    settings = random.choice(
        [
            {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
            {"localityLbSetting": {"failover": [{"from": "r1", "to": "r2"}]}},
            {"discoverySelectors": [{"matchLabels": {"team": "a"}}]},
            {"defaultConfig": {"proxyHeaders": {"preserveHttp1HeaderCase": True}}},
            {"rootNamespace": "bank"},
            {"defaultHttpRetryPolicy": {"attempts": 4}},
        ]
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": json.dumps(settings)},
    }


def _node(random: Random) -> Json:
    name = random.choice(["n1", "n2"])
    labels = {"topology.kubernetes.io/region": random.choice(["r1", "r2"])}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def _base() -> list[Json]:
    random = Random(1)
    made = [_pod_of(number) for number in range(len(PODS))]
    for draw in (_service, _slice, _node, _namespace):
        made += [draw(random) for _ in range(12)]
    return made


Spec = Callable[[Random], tuple[str, Json]]
SPECS: dict[str, Spec] = {
    "VirtualService": _virtual_service,
    "DestinationRule": _destination_rule,
    "Sidecar": _sidecar,
    "ServiceEntry": _service_entry,
    "WorkloadEntry": _workload_entry,
    "EnvoyFilter": _envoy_filter,
    "ProxyConfig": _proxy_config,
    "PeerAuthentication": _peer_authentication,
    "AuthorizationPolicy": _authorization_policy,
    "RequestAuthentication": _request_authentication,
    "Telemetry": _telemetry,
}
PLAIN: dict[str, Callable[[Random], Json]] = {
    "Service": _service,
    "EndpointSlice": _slice,
    "Pod": _pod,
    "Namespace": _namespace,
    "ConfigMap": _config_map,
    "Node": _node,
}
