"""Clusters: discovery, thresholds, connections, balancing, and their endpoints."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Failure, OpenConnection

from ..registry import Effect, effect
from ..resources import (
    Json,
    Shop,
    assignment,
    cluster,
    eds,
    endpoint,
    extension,
    locality,
    shop,
    typed,
)
from ..scene import Scene
from ..seeing import explained, picks, refusals, spread

C = "envoy.config.cluster.v3."
CLUSTER = C + "Cluster."
THRESHOLDS = C + "CircuitBreakers.Thresholds."
E = "envoy.config.endpoint.v3."
CORE = "envoy.config.core.v3."
LB = "envoy.extensions.load_balancing_policies."
DNS = "envoy.extensions.clusters.dns.v3.DnsCluster"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
RAW = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
RBAC = "envoy.extensions.filters.http.rbac.v3.RBAC"
NETWORK_RBAC = "envoy.extensions.filters.network.rbac.v3.RBAC"
CODEC = extension("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec", "codec")
ONE = [endpoint()]
ADS: Json = {"eds_config": {"ads": {}}}


def of(*endpoints: Json, **fields: Any) -> Shop:
    """Cluster `a` with these fields, by default of one endpoint."""
    return shop(cluster_fields=fields, endpoints=endpoints or ONE)


def two(**fields: Any) -> Shop:
    """Cluster `a` with these fields and two endpoints."""
    return shop(cluster_fields=fields)


# -- thresholds and connections ------------------------------------------------------------------------------------


def at_once(count: int) -> Any:
    """What becomes of so many calls of which none ends: what each wants, or its status and flags."""

    def see(scene: Scene) -> list[str]:
        found, alive = [], []
        for _ in range(count):
            steps = scene.world.steps()
            alive.append(steps)
            if isinstance(steps.action, OpenConnection):
                steps.answer(steps.connection())
            found.append(type(steps.action).__name__ if steps.action is not None else f"{steps.status} {steps.flags}")
        return found

    return see


def opening(count: int) -> Any:
    """What becomes of so many calls whose connections do not open."""

    def see(scene: Scene) -> list[str]:
        begun = [scene.world.steps() for _ in range(count)]
        return [
            type(each.action).__name__ if each.action is not None else f"{each.status} {each.flags}" for each in begun
        ]

    return see


def retrying(count: int) -> Any:
    """What becomes of so many calls whose first try has failed and that wait for the next."""

    def see(scene: Scene) -> list[str]:
        found, alive = [], []
        for _ in range(count):
            steps = scene.world.steps()
            alive.append(steps)
            if isinstance(steps.action, OpenConnection):
                steps.answer(steps.connection())
            steps.answer(Failure("connect-failure", "refused"))
            found.append(type(steps.action).__name__ if steps.action is not None else f"{steps.status} {steps.flags}")
        return found

    return see


def limits(**fields: Any) -> Shop:
    """Thresholds of cluster `a`."""
    return of(circuit_breakers={"thresholds": [fields]})


def connections(count: int, gap_s: float = 0.0) -> Any:
    """How many connections so many calls need, one after the other."""

    def see(scene: Scene) -> int:
        for _ in range(count):
            scene.call()
            scene.world.clock.advance(gap_s)
        return len(scene.world.connections)

    return see


def connections_at_once(scene: Scene) -> int:
    """How many connections two calls need at once."""
    at_once(2)(scene)
    return len(scene.world.connections)


def connect_timeout(scene: Scene) -> float:
    """How long a connection may take."""
    return scene.world.steps().wants(OpenConnection).timeout_s


def http(which: str = "explicit_http_config", **fields: Any) -> Json:
    """Cluster fields: these protocol options."""
    own: Json = {} if which in fields else {which: {"http_protocol_options": {}}}
    return {"typed_extension_protocol_options": {OPTIONS: typed(OPTIONS, **{**own, **fields})}}


HTTP2: Json = {"explicit_http_config": {"http2_protocol_options": {"max_concurrent_streams": 1}}}
PROTOCOL = explained("protocol")
RETRYING = {"retry_policy": {"retry_on": "5xx"}}

# -- discovery -----------------------------------------------------------------------------------------------------

ADDRESSES = {"x.test": ["10.1.0.1", "10.1.0.2", "2001:db8::1"]}


def named(**fields: Any) -> Shop:
    """Cluster `a` whose endpoint is a name."""
    load = assignment("a", locality(endpoint("x.test")))
    made = cluster("a", **{"type": "STRICT_DNS", **fields}, load_assignment=load)
    return shop(clusters=[made], addresses=ADDRESSES)


def by_extension(**fields: Any) -> Shop:
    """The same by the DNS extension."""
    load = assignment("a", locality(endpoint("x.test")))
    kind = {"name": "envoy.cluster.dns", "typed_config": typed(DNS, **fields)}
    made = cluster("a", cluster_type=kind, load_assignment=load)
    return shop(clusters=[made], addresses=ADDRESSES)


def endpoints(scene: Scene) -> list[str]:
    """The endpoints of the cluster that a call goes to."""
    return [each["address"] for each in scene.explain()["endpoints"]]


# -- balancing -----------------------------------------------------------------------------------------------------


def balanced(policy: Json, *given: Json, **fields: Any) -> Shop:
    """Cluster `a` with a typed policy."""
    held = {"policies": [{"typed_extension_config": policy}]}
    return shop(cluster_fields={"load_balancing_policy": held, **fields}, endpoints=given)


def busy(count: int = 40) -> Any:
    """Where calls go of which none ends."""

    def see(scene: Scene) -> list[str]:
        found: list[str] = []
        alive = []
        for _ in range(count):
            steps = scene.world.steps()
            alive.append(steps)
            if isinstance(steps.action, OpenConnection):
                steps.answer(steps.connection())
            found += steps.hosts
        return found

    return see


LEAST = LB + "least_request.v3.LeastRequest"
RANDOM = LB + "random.v3.Random"
RANDOM_POLICY: Json = {"policies": [{"typed_extension_config": extension(RANDOM, "random")}]}
WEIGHTED = [endpoint("10.0.0.1", load_balancing_weight=1), endpoint("10.0.0.2", load_balancing_weight=3)]
BIAS: Json = {"active_request_bias": {"default_value": 0, "runtime_key": "r"}}
SICK = [
    endpoint("10.0.0.1"),
    endpoint("10.0.0.2", health_status="UNHEALTHY"),
    endpoint("10.0.0.3", health_status="UNHEALTHY"),
]
CALM: Json = {"common_lb_config": {"healthy_panic_threshold": {"value": 10}}}
SECURE: Json = {"common_tls_context": {}}
LABELS: Json = {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}}
MATCHES = [
    {"name": "tls", "match": {"tlsMode": "istio"}, "transport_socket": extension(TLS, "tls", **SECURE)},
    {"name": "plain", "match": {}, "transport_socket": extension(RAW, "raw")},
]
LABELLED = of(endpoint(metadata=LABELS), transport_socket_matches=MATCHES)
FLAGS = explained("status", "response_flags")
ALPN = extension(
    "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig",
    "istio.alpn",
    alpn_override=[{"upstream_protocol": "HTTP11", "alpn_override": ["istio-http/1.1"]}],
)

INERT = {"name": "istio.metadata_exchange", "typed_config": typed(NETWORK_RBAC, stat_prefix="s", rules={})}
STRANGE = {"name": "own.filter", "typed_config": typed(NETWORK_RBAC, stat_prefix="s", rules={})}
BLOCKING = {"name": "istio.stats", "typed_config": typed(RBAC, rules={})}


def upstream(*filters: Json) -> Shop:
    """Cluster `a` with upstream HTTP filters."""
    return of(**http(http_filters=[*filters, CODEC]))


PASSES = (None, None)
CLOSED = (503, "UF")

CASES: list[Effect] = [
    # Thresholds.
    effect(CLUSTER + "circuit_breakers", limits(max_requests=1), at_once(2), ["Send", "503 UO"]),
    effect(C + "CircuitBreakers.thresholds", limits(max_requests=1), at_once(2), ["Send", "503 UO"]),
    effect(THRESHOLDS + "max_requests", limits(max_requests=1), at_once(2), ["Send", "503 UO"]),
    effect(THRESHOLDS + "max_connections", limits(max_connections=1), at_once(2), ["Send", "AwaitSlot"]),
    effect(
        THRESHOLDS + "max_pending_requests", limits(max_pending_requests=1), opening(2), ["OpenConnection", "503 UO"]
    ),
    effect(
        THRESHOLDS + "max_retries",
        shop(action=RETRYING, endpoints=ONE, cluster_fields={"circuit_breakers": {"thresholds": [{"max_retries": 1}]}}),
        retrying(3),
    ),
    effect(
        THRESHOLDS + "priority",
        shop(
            action={"priority": "HIGH"},
            endpoints=ONE,
            cluster_fields={"circuit_breakers": {"thresholds": [{"priority": "HIGH", "max_requests": 1}]}},
        ),
        at_once(2),
        ["Send", "503 UO"],
    ),
    *(
        effect(
            f"{C}CircuitBreakers.per_host_thresholds.{each}",
            of(circuit_breakers={"per_host_thresholds": [{"max_connections": 1, each: value}]}),
            refusals,
        )
        for each, value in (
            ("max_pending_requests", 1),
            ("max_requests", 1),
            ("max_retries", 1),
            ("retry_budget", {}),
            ("track_remaining", True),
            ("max_connection_pools", 1),
        )
    ),
    # Connections.
    effect(CLUSTER + "connect_timeout", of(connect_timeout="3s"), connect_timeout, 3.0),
    effect(CLUSTER + "max_requests_per_connection", of(max_requests_per_connection=2), connections(4), 2),
    effect(
        CLUSTER + "common_http_protocol_options",
        of(common_http_protocol_options={"idle_timeout": "2s"}),
        connections(2, 3.0),
        2,
    ),
    effect(
        CORE + "HttpProtocolOptions.idle_timeout",
        of(common_http_protocol_options={"idle_timeout": "2s"}),
        connections(2, 3.0),
        2,
    ),
    effect(
        CORE + "HttpProtocolOptions.max_requests_per_connection",
        of(common_http_protocol_options={"max_requests_per_connection": 1}),
        connections(2),
        2,
    ),
    effect(CLUSTER + "http_protocol_options", of(http_protocol_options={}, http2_protocol_options={}), refusals),
    effect(CLUSTER + "http2_protocol_options", of(http2_protocol_options={}), PROTOCOL, "http2"),
    effect(
        CLUSTER + "protocol_selection",
        of(http2_protocol_options={}, protocol_selection="USE_DOWNSTREAM_PROTOCOL"),
        PROTOCOL,
        "http1",
    ),
    effect(CLUSTER + "typed_extension_protocol_options", of(**http(**HTTP2)), PROTOCOL, "http2"),
    effect(OPTIONS + ".explicit_http_config", of(**http(**HTTP2)), PROTOCOL, "http2", against=of(**http())),
    effect(
        OPTIONS + ".use_downstream_protocol_config",
        of(**http("use_downstream_protocol_config")),
        PROTOCOL,
        "http1",
        against=of(**http(**HTTP2)),
    ),
    effect(
        OPTIONS + ".common_http_protocol_options",
        of(**http(common_http_protocol_options={"idle_timeout": "2s"})),
        connections(2, 3.0),
        2,
    ),
    effect(
        OPTIONS + ".ExplicitHttpConfig.http2_protocol_options",
        of(**http(**HTTP2)),
        PROTOCOL,
        "http2",
        against=of(**http()),
    ),
    effect(
        OPTIONS + ".ExplicitHttpConfig.http_protocol_options",
        of(**http()),
        PROTOCOL,
        "http1",
        against=of(**http(**HTTP2)),
    ),
    effect(CORE + "Http2ProtocolOptions.max_concurrent_streams", of(**http(**HTTP2)), connections_at_once, 2),
    # Sockets and filters.
    effect(CLUSTER + "transport_socket_matches", LABELLED, FLAGS, CLOSED),
    effect(CLUSTER + "TransportSocketMatch.match", of(transport_socket_matches=MATCHES), FLAGS, PASSES),
    effect(CLUSTER + "TransportSocketMatch.transport_socket", LABELLED, FLAGS, CLOSED),
    effect(
        CORE + "TransportSocket.typed_config", LABELLED, FLAGS, CLOSED, against=of(transport_socket_matches=MATCHES[1:])
    ),
    effect(E + "LbEndpoint.metadata", LABELLED, FLAGS, CLOSED),
    effect(CORE + "Metadata.filter_metadata", LABELLED, FLAGS, CLOSED),
    effect(
        CLUSTER + "metadata",
        shop(
            filters=[ALPN],
            endpoints=[endpoint(metadata=LABELS)],
            cluster_fields={
                "transport_socket_matches": MATCHES,
                "metadata": {"filter_metadata": {"istio": {"alpn_override": "false"}}},
            },
        ),
        explained("tls"),
    ),
    effect(CLUSTER + "filters", of(filters=[STRANGE]), FLAGS, CLOSED),
    effect(C + "Filter.name", of(filters=[INERT]), FLAGS, PASSES, against=of(filters=[STRANGE])),
    effect(OPTIONS + ".http_filters", upstream(extension(RBAC, "rbac", rules={})), FLAGS, against=of()),
    effect(
        OPTIONS + ".http_filters.name", upstream(BLOCKING), FLAGS, PASSES, against=upstream({**BLOCKING, "name": "x"})
    ),
    effect(
        OPTIONS + ".http_filters.typed_config", upstream(extension(RBAC, "rbac", rules={})), FLAGS, CLOSED, against=of()
    ),
    effect(
        OPTIONS + ".http_filters.disabled",
        upstream({**extension(RBAC, "rbac", rules={}), "disabled": True}),
        FLAGS,
        PASSES,
    ),
    effect(
        OPTIONS + ".http_filters.is_optional",
        upstream({**extension(RBAC, "rbac", rules={}), "is_optional": True}),
        FLAGS,
        PASSES,
    ),
    # Discovery.
    effect(CLUSTER + "name", shop(action={"cluster": "b"}), explained("cluster", "endpoint"), ("b", "10.0.0.3:80")),
    effect(CLUSTER + "type", named(), endpoints, ["[2001:db8::1]:80"]),
    effect(CLUSTER + "load_assignment", of(), endpoints, ["10.0.0.1:80"]),
    effect(
        CLUSTER + "eds_cluster_config",
        shop(clusters=[eds("a")], assignments=[assignment("a", locality(endpoint("10.0.0.9")))]),
        endpoints,
        ["10.0.0.9:80"],
    ),
    effect(
        CLUSTER + "EdsClusterConfig.eds_config",
        shop(clusters=[eds("a")], assignments=[assignment("a", locality(endpoint("10.0.0.9")))]),
        endpoints,
        ["10.0.0.9:80"],
    ),
    effect(
        CLUSTER + "EdsClusterConfig.service_name",
        shop(
            clusters=[eds("a", eds_cluster_config={**ADS, "service_name": "other"})],
            assignments=[assignment("other", locality(endpoint("10.0.0.9")))],
        ),
        endpoints,
        ["10.0.0.9:80"],
    ),
    effect(CLUSTER + "cluster_type", by_extension(), endpoints, ["[2001:db8::1]:80"]),
    effect(
        CLUSTER + "CustomClusterType.name",
        shop(
            clusters=[
                cluster(
                    "a",
                    cluster_type={"name": "envoy.cluster.strict_dns"},
                    load_assignment=assignment("a", locality(endpoint("x.test"))),
                )
            ],
            addresses=ADDRESSES,
        ),
        endpoints,
        ["[2001:db8::1]:80"],
        against=of(),
    ),
    effect(
        CLUSTER + "CustomClusterType.typed_config",
        by_extension(dns_lookup_family="V4_ONLY"),
        endpoints,
        ["10.1.0.1:80", "10.1.0.2:80"],
        against=by_extension(),
    ),
    # Balancing.
    effect(
        CLUSTER + "least_request_lb_config",
        two(lb_policy="LEAST_REQUEST", least_request_lb_config={"choice_count": 9}),
        busy(),
    ),
    effect(
        CLUSTER + "LeastRequestLbConfig.choice_count",
        two(lb_policy="LEAST_REQUEST", least_request_lb_config={"choice_count": 9}),
        busy(),
    ),
    effect(
        CLUSTER + "LeastRequestLbConfig.active_request_bias",
        of(*WEIGHTED, lb_policy="LEAST_REQUEST", least_request_lb_config=BIAS),
        busy(),
    ),
    effect(
        CORE + "RuntimeDouble.default_value",
        of(
            *WEIGHTED,
            lb_policy="LEAST_REQUEST",
            least_request_lb_config={"active_request_bias": {"default_value": 3, "runtime_key": "r"}},
        ),
        busy(),
    ),
    effect(CLUSTER + "common_lb_config", of(*SICK, **CALM), picks(6), ["10.0.0.1:80"] * 6),
    effect(CLUSTER + "CommonLbConfig.healthy_panic_threshold", of(*SICK, **CALM), picks(6), ["10.0.0.1:80"] * 6),
    effect(
        "envoy.type.v3.Percent.value",
        of(*SICK, common_lb_config={"healthy_panic_threshold": {"value": 90}}),
        picks(6),
    ),
    effect(CLUSTER + "load_balancing_policy", balanced(extension(RANDOM)), picks(20)),
    effect(C + "LoadBalancingPolicy.policies", balanced(extension(RANDOM)), picks(20), against=two()),
    effect(
        C + "LoadBalancingPolicy.Policy.typed_extension_config", balanced(extension(RANDOM)), picks(20), against=two()
    ),
    effect(CORE + "TypedExtensionConfig.typed_config", balanced(extension(RANDOM)), picks(20), against=two()),
    effect(LEAST + ".choice_count", balanced(extension(LEAST, choice_count=9)), busy()),
    effect(LEAST + ".active_request_bias", balanced(extension(LEAST, **BIAS), *WEIGHTED), busy()),
    effect(
        LB + "subset.v3.Subset.subset_lb_policy",
        balanced(extension(LB + "subset.v3.Subset", fallback_policy="ANY_ENDPOINT", subset_lb_policy=RANDOM_POLICY)),
        picks(20),
        against=two(),
    ),
    effect(
        LB + "override_host.v3.OverrideHost.fallback_policy",
        balanced(
            extension(
                LB + "override_host.v3.OverrideHost",
                override_host_sources=[{"header": "x"}],
                fallback_policy=RANDOM_POLICY,
            )
        ),
        picks(20),
        against=two(),
    ),
    # Endpoints.
    effect(
        E + "ClusterLoadAssignment.cluster_name",
        shop(clusters=[eds("a")], assignments=[assignment("a", locality(endpoint("10.0.0.9")))]),
        endpoints,
        ["10.0.0.9:80"],
    ),
    effect(E + "ClusterLoadAssignment.endpoints", of(), endpoints, ["10.0.0.1:80"]),
    effect(E + "LocalityLbEndpoints.lb_endpoints", of(), endpoints, ["10.0.0.1:80"]),
    effect(E + "LbEndpoint.endpoint", of(), endpoints, ["10.0.0.1:80"]),
    effect(E + "Endpoint.address", of(), endpoints, ["10.0.0.1:80"]),
    effect(CORE + "Address.socket_address", of(), endpoints, ["10.0.0.1:80"]),
    effect(CORE + "SocketAddress.address", of(), endpoints, ["10.0.0.1:80"]),
    effect(CORE + "SocketAddress.port_value", of(), endpoints, ["10.0.0.1:80"]),
    effect(E + "LbEndpoint.health_status", of(*SICK, **CALM), picks(6), ["10.0.0.1:80"] * 6),
    effect(E + "LbEndpoint.load_balancing_weight", of(*WEIGHTED), spread(40), {"10.0.0.1:80": 10, "10.0.0.2:80": 30}),
    effect(
        E + "LocalityLbEndpoints.locality", of(locality(endpoint(), locality={"region": "r"})), explained("endpoints")
    ),
    *(
        effect(f"{CORE}Locality.{each}", of(locality(endpoint(), locality={each: "here"})), explained("endpoints"))
        for each in ("region", "zone", "sub_zone")
    ),
]
