"""The dynamic forward proxy filter: where a request goes is its own Host (envoy source: ProxyFilter::decodeHeaders).

The host is looked up before the request goes on; what cannot be resolved is answered with flag DF. Only requests to
clusters of the type `dynamic_forward_proxy` are looked at.
"""

from __future__ import annotations

from ...xds.model.dns import DNS_CACHE_PORT, DNS_CACHE_TLS_PORT
from ...xds.model.filters import DisabledFilter, DynamicForwardProxy, DynamicForwardProxyRoute
from ..actions import Ask, Service
from ..names import OVERFLOW, PENDING, NameCache, NameCaches, full_name
from ..replies import LocalReply
from .stream import Steps, Stream, of_route

OVERFLOWS = {
    OVERFLOW: LocalReply(503, b"DNS cache overflow", details="dns_cache_overflow"),
    PENDING: LocalReply(
        503,
        b"Dynamic forward proxy pending request overflow",
        details="dynamic_forward_proxy_pending_request_overflow",
    ),
}
EMPTY_HOST = LocalReply(400, b"Empty host header", details="empty_host_header")
UNRESOLVED = LocalReply(503, b"DNS resolution failure", ("DF",), details="dns_resolution_failure")


class DynamicForwardProxyFilter:
    """At work in one chain. `resolver` is asked for (name, DnsOptions) and answers (addresses, TTL), or None."""

    __slots__ = ("_cache", "_resolver", "name")

    def __init__(self, name: str, config: DynamicForwardProxy | None, caches: NameCaches, resolver: Service) -> None:
        """`config` None: the filter is switched off."""
        self.name = name
        self._cache = caches.get(config.cache) if config is not None else None
        self._resolver = resolver

    def on_request(self, stream: Stream) -> LocalReply | Steps | None:
        """Rewrite the host where the route says so, and wait until it has an address."""
        target, cache = stream.target, self._cache
        route = of_route(self.name, stream)
        if target is None or cache is None or isinstance(route, DisabledFilter):
            return None
        cluster = stream.runtime.plan.configured(target.cluster)
        if cluster is None or cluster.type != "DYNAMIC_FORWARD_PROXY":
            return None
        request = stream.request
        if isinstance(route, DynamicForwardProxyRoute):
            if route.host_rewrite:
                request.authority = route.host_rewrite.encode()
            else:
                request.authority = request.header(route.host_rewrite_header.lower().encode()) or request.authority
        if not request.authority:
            return EMPTY_HOST
        port = DNS_CACHE_TLS_PORT if cluster.transport_socket.tls else DNS_CACHE_PORT
        host = full_name(request.authority, port)
        why = cache.begin(host)
        if why is None:
            return self._look_up(cache, host)
        if why != "fresh":
            return OVERFLOWS[why]
        return None if cache.find(host) else UNRESOLVED

    def _look_up(self, cache: NameCache, host: str) -> Steps:
        name = host.rpartition(":")[0].strip("[]")
        ended = False
        try:
            found = yield Ask(self._resolver, (name, cache.config.options), cache.config.query_timeout_s)
            # A dry run asks nobody: the name stands for its address.
            addresses, ttl_s = ((name,), 0.0) if found is None else found
            known = cache.end(host, addresses, ttl_s)
            ended = True
        finally:
            if not ended:
                cache.abandon()
        return None if known else UNRESOLVED
