"""How clusters resolve names (Cluster, DnsCluster, the resolvers): when they ask again, whom, and what they take."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from proxyless.xds.model.dns import DnsOptions
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.transport.dns import DnsClusters
from proxyless.xds.transport.resolver import FAILED, Answer
from tests.support.world import Clock

from ..registry import Effect, effect
from ..resources import Json, Shop, cluster, endpoint, extension, shop
from ..scene import Scene

C = "envoy.config.cluster.v3.Cluster"
D = "envoy.extensions.clusters.dns.v3.DnsCluster"
CARES = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
OLDER = "envoy.config.core.v3.DnsResolutionConfig"
OPTIONS = "envoy.config.core.v3.DnsResolverOptions"
SERVER: Json = {"socket_address": {"address": "127.0.0.53", "port_value": 53}}


class AtOnce:
    """Workers that do their work when they are given it."""

    def submit(self, work: Callable[[], None]) -> Future[None]:
        work()
        return Future()


def waits(*answers: Answer) -> Callable[[Scene], list[float | None]]:
    """How long cluster `names` waits after each answer; the draws for jitter are all 0.5."""

    def see(scene: Scene) -> list[float | None]:
        config = scene.graph.newest[ResourceType.CLUSTER]["names"].get()
        clock = Clock(0.0)
        script = iter(answers)

        def resolve(host: str, family: socket.AddressFamily, options: DnsOptions) -> Answer:
            return next(script)

        dns = DnsClusters(lambda name, found: None, lambda take: take(), lambda: 0.5, clock, resolve)
        dns._workers = AtOnce()  # type: ignore[assignment]
        found = []
        for _ in answers:
            dns.tick([config])
            found.append(dns.tick([config]))
            clock.advance(found[-1] or 0.0)
        return found

    return see


def options(*names: str) -> Callable[[Scene], Any]:
    """What the look-ups of cluster `names` are told."""

    def see(scene: Scene) -> Any:
        told: list[DnsOptions] = []

        def resolve(host: str, family: socket.AddressFamily, options: DnsOptions) -> Answer:
            told.append(options)
            return Answer(("10.0.0.1",))

        dns = DnsClusters(lambda name, found: None, lambda take: take(), resolve=resolve)
        dns._workers = AtOnce()  # type: ignore[assignment]
        dns.tick([scene.graph.newest[ResourceType.CLUSTER]["names"].get()])
        return [getattr(told[0], name) for name in names]

    return see


def resolved(scene: Scene) -> list[str]:
    """The endpoints of cluster `names`."""
    return [each["address"] for each in scene.explain("http://shop/names")["endpoints"]]


ADDRESSES = {"names.test": ("10.1.0.1", "10.1.0.2", "fd00::1")}
ROUTE: Json = {"prefix": "/names"}


def of(**fields: Any) -> Shop:
    """A cluster of one name, which has addresses of version 4 unless it says otherwise."""
    if "cluster_type" not in fields:
        fields = {"dns_lookup_family": "V4_ONLY", **fields}
    made = {
        **cluster("names", **({} if "cluster_type" in fields else {"type": "STRICT_DNS"}), **fields),
        "load_assignment": {"cluster_name": "names", "endpoints": [{"lb_endpoints": [endpoint("names.test")]}]},
    }
    return shop(match=ROUTE, action={"cluster": "names"}, clusters=[made], addresses=ADDRESSES)


def typed(**fields: Any) -> Shop:
    """The same by the extension."""
    return of(cluster_type=extension(D, **{"dns_lookup_family": "V4_ONLY", **fields}))


def cares(**fields: Any) -> Shop:
    """The same with a resolver of its own."""
    return of(typed_dns_resolver_config=extension(CARES, "envoy.network.dns_resolver.cares", **fields))


FOUND = Answer(("10.1.0.1",), 7.0)
TCP: Json = {"use_tcp_for_dns_lookups": True}


def both(field: str, see: Any, expected: Any, **fields: Any) -> list[Effect]:
    """A field that the cluster and the extension both have."""
    return [effect(f"{C}.{field}", of(**fields), see, expected), effect(f"{D}.{field}", typed(**fields), see, expected)]


CASES = [
    *both("dns_refresh_rate", waits(FOUND), [30.0], dns_refresh_rate="30s"),
    *both("respect_dns_ttl", waits(FOUND), [7.0], respect_dns_ttl=True),
    *both("dns_jitter", waits(FOUND), [6.0], dns_jitter="2s"),
    *both(
        "dns_failure_refresh_rate",
        waits(FAILED, FAILED, FAILED),
        [0.5, 1.0, 1.5],
        dns_failure_refresh_rate={"base_interval": "1s", "max_interval": "3s"},
    ),
    effect(D + ".dns_min_refresh_rate", typed(respect_dns_ttl=True, dns_min_refresh_rate="9s"), waits(FOUND), [9.0]),
    *(
        effect(
            f"{kind}.RefreshRate.{field}",
            make(dns_failure_refresh_rate={"base_interval": "2s", "max_interval": "3s"}),
            waits(FAILED, FAILED),
            [1.0, 1.5],
        )
        for kind, make in ((C, of), (D, typed))
        for field in ("base_interval", "max_interval")
    ),
    *both("dns_lookup_family", resolved, ["10.1.0.1:80", "10.1.0.2:80"], dns_lookup_family="V4_ONLY"),
    effect(
        D + ".all_addresses_in_single_endpoint",
        typed(all_addresses_in_single_endpoint=True, dns_lookup_family="V4_ONLY"),
        resolved,
        ["10.1.0.1:80"],
    ),
    effect(C + ".dns_resolvers", of(dns_resolvers=[SERVER]), lambda scene: str(options("servers")(scene))),
    effect(C + ".use_tcp_for_dns_lookups", of(use_tcp_for_dns_lookups=True), options("use_tcp"), [True]),
    *(
        effect(
            field,
            of(dns_resolution_config={"resolvers": [SERVER], "dns_resolver_options": TCP}),
            lambda scene: [str(options(each)(scene)) for each in ("servers", "use_tcp")],
        )
        for field in (
            C + ".dns_resolution_config",
            OLDER + ".dns_resolver_options",
            OPTIONS + ".use_tcp_for_dns_lookups",
        )
    ),
    effect(
        OLDER + ".resolvers",
        of(dns_resolution_config={"resolvers": [SERVER], "dns_resolver_options": TCP}),
        lambda scene: str(options("servers")(scene)),
        "[(Address(host='127.0.0.53', port=53),)]",
    ),
    effect(
        OPTIONS + ".no_default_search_domain",
        cares(dns_resolver_options={"no_default_search_domain": True}),
        options("no_search"),
        [True],
    ),
    *(
        effect(field, made, lambda scene: [str(options(each)(scene)) for each in ("servers", "query_tries")])
        for field, made in (
            (C + ".typed_dns_resolver_config", cares(query_tries=2)),
            (
                D + ".typed_dns_resolver_config",
                typed(typed_dns_resolver_config=extension(CARES, "envoy.network.dns_resolver.cares", query_tries=2)),
            ),
            (CARES + ".resolvers", cares(resolvers=[SERVER])),
            (CARES + ".query_tries", cares(query_tries=2)),
        )
    ),
    effect(
        CARES + ".use_resolvers_as_fallback",
        cares(resolvers=[SERVER], use_resolvers_as_fallback=True),
        options("servers_are_fallback"),
        [True],
    ),
    effect(CARES + ".dns_resolver_options", cares(dns_resolver_options=TCP), options("use_tcp"), [True]),
    effect(CARES + ".query_timeout_seconds", cares(query_timeout_seconds=1), options("query_timeout_s"), [1.0]),
]
