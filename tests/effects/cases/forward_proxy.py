"""Dynamic forward proxies: the filter, the cluster and the cache of names that they share."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Ask, Send
from proxyless.governance.names import Found
from proxyless.xds.model.dns import DnsOptions

from ..registry import Effect, effect
from ..resources import Json, Shop, cluster, extension, shop, typed
from ..scene import Scene
from ..seeing import refusals

CLUSTER = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
CACHE = "envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig"
BREAKERS = "envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheCircuitBreakers"
FILTER = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"
ROUTE = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig"
CARES = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
FOUND: Found = (("10.9.0.1",), None)
NOTHING: Found = (None, None)


def proxied(cluster_fields: Json | None = None, per_route: Json | None = None, **cache: Any) -> Shop:
    """Everything goes to a dynamic forward proxy whose cache has these fields."""
    config = {"name": "names", **cache}
    fields = dict(cluster_fields or {})
    own = {"dns_cache_config": config, **fields.pop("own", {})}
    kind = extension(CLUSTER, "envoy.clusters.dynamic_forward_proxy", **own)
    made = cluster("a", lb_policy="CLUSTER_PROVIDED", cluster_type=kind, **fields)
    made.pop("load_assignment", None)
    return shop(
        clusters=[made],
        filters=[extension(FILTER, "dfp", dns_cache_config=config)],
        route_fields={"typed_per_filter_config": {"dfp": typed(ROUTE, **per_route)}} if per_route else {},
    )


def asks(*answers: tuple[str, float, Found], key: Any = None) -> Any:
    """For each call (host, seconds since the last, what it would be answered): what is asked for, and where it goes."""

    def see(scene: Scene) -> list[Any]:
        found: list[Any] = []
        for host, after_s, answer in answers:
            scene.world.clock.advance(after_s)
            steps = scene.world.steps(f"http://{host}/", headers=[("x-to", "by.test")])
            asked: Any = None
            if isinstance(steps.action, Ask):
                options: DnsOptions = steps.action.request[1]
                asked = steps.action.request[0] if key is None else key(options, steps.action.timeout_s)
                steps.answer(answer)
            if steps.until(Send) is not None:
                steps.finish([200])
            found.append((asked, steps.hosts or steps.flags, steps.reply.body.decode() if steps.reply else ""))
        return found

    return see


def option(name: str) -> Any:
    """An option of the look-up."""
    return asks(("out.test", 0.0, FOUND), key=lambda options, timeout_s: str(getattr(options, name)))


def pending(scene: Scene) -> list[str]:
    """What a call wants while another waits for a name."""
    waiting = scene.world.steps("http://one.test/")
    found = [type(each.action).__name__ for each in (waiting, scene.world.steps("http://two.test/"))]
    waiting.close()
    return found


def of_cache(field: str, see: Any, value: Any) -> Effect:
    """A field of the cache."""
    return effect(f"{CACHE}.{field}", proxied(**{field: value}), see)


SERVER: Json = {"socket_address": {"address": "127.0.0.53", "port_value": 53}}
TCP: Json = {"use_tcp_for_dns_lookups": True}
ONCE = ("out.test", 0.0, FOUND)

CASES = [
    effect(FILTER + ".dns_cache_config", proxied(), asks(ONCE), [("out.test", ["10.9.0.1:80"], "")]),
    effect(CLUSTER + ".dns_cache_config", proxied(), asks(ONCE), [("out.test", ["10.9.0.1:80"], "")]),
    effect(
        CLUSTER + ".allow_insecure_cluster_options",
        proxied(
            {
                "own": {"allow_insecure_cluster_options": True},
                "typed_extension_protocol_options": {
                    OPTIONS: typed(OPTIONS, explicit_http_config={"http_protocol_options": {}})
                },
            }
        ),
        refusals,
        {},
    ),
    effect(CACHE + ".name", proxied(), refusals, {}),
    of_cache("dns_refresh_rate", asks(ONCE, ("out.test", 30.0, FOUND)), "20s"),
    of_cache("dns_min_refresh_rate", asks(("out.test", 0.0, (("10.9.0.1",), 1.0)), ("out.test", 8.0, FOUND)), "9s"),
    of_cache(
        "dns_failure_refresh_rate", asks(("out.test", 0.0, NOTHING), ("out.test", 3.0, FOUND)), {"base_interval": "2s"}
    ),
    of_cache("max_hosts", asks(ONCE, ("two.test", 0.0, FOUND)), 1),
    effect(
        CACHE + ".host_ttl",
        proxied(max_hosts=1, host_ttl="10s"),
        asks(ONCE, ("two.test", 20.0, FOUND)),
        [("out.test", ["10.9.0.1:80"], ""), ("two.test", ["10.9.0.1:80"], "")],
    ),
    of_cache("dns_lookup_family", option("lookup_family"), "V4_ONLY"),
    of_cache("use_tcp_for_dns_lookups", option("use_tcp"), True),
    of_cache("dns_resolution_config", option("use_tcp"), {"resolvers": [SERVER], "dns_resolver_options": TCP}),
    of_cache(
        "typed_dns_resolver_config",
        option("query_tries"),
        extension(CARES, "envoy.network.dns_resolver.cares", query_tries=2),
    ),
    of_cache("dns_query_timeout", asks(ONCE, key=lambda options, timeout_s: timeout_s), "2s"),
    of_cache("dns_cache_circuit_breaker", pending, {"max_pending_requests": 1}),
    effect(BREAKERS + ".max_pending_requests", proxied(dns_cache_circuit_breaker={"max_pending_requests": 1}), pending),
    effect(
        ROUTE + ".host_rewrite_literal",
        proxied(per_route={"host_rewrite_literal": "new.test:81"}),
        asks(ONCE),
        [("new.test", ["10.9.0.1:81"], "")],
    ),
    effect(
        ROUTE + ".host_rewrite_header",
        proxied(per_route={"host_rewrite_header": "x-to"}),
        asks(ONCE),
        [("by.test", ["10.9.0.1:80"], "")],
    ),
]
