"""What a call tells the balancer of its cluster, where that wants to know (envoy source: Router::Filter)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .balancing.client_side import note
from .balancing.context import PickContext
from .balancing.extension import LoadBalancerContext
from .balancing.host import Host
from .cluster import ClusterRuntime
from .hashing import FIRST_PORT, PORTS, Caller, Cookies
from .orca import load_report, weight_of
from .request import RawHeaders
from .trees import shown

if TYPE_CHECKING:
    from .call import OutgoingCall
    from .selection import Tried


def wish(call: OutgoingCall, cluster: ClusterRuntime, tried: Tried | None) -> PickContext:
    """The context of a try, `tried` where it is a retry. What the first one found out is good for all."""
    config = cluster.config.lb
    if call.attempts == 1 or cluster is not call.cluster:
        if cluster.hashes and call.hash is None:
            call.hash = _hash(call, cluster)
        if config.override_headers and call.attempts == 1:
            values = (call.sent_header(name) or b"" for name in config.override_headers)
            texts = (each.strip().decode("latin-1") for value in values for each in value.split(b","))
            call.wanted = tuple(filter(None, texts))
    labels = call.target.metadata_match if config.subset is not None and call.target is not None else None
    told = _told(call, cluster, tried) if cluster.tells else None
    return PickContext(call.hash, labels, override=_next_wanted(call, cluster), told=told)


def _told(call: OutgoingCall, cluster: ClusterRuntime, tried: Tried | None) -> LoadBalancerContext:
    """For the policy of a package; hashed is when it asks for the hash, as Envoy does."""

    def hash_() -> int | None:
        if call.hash is None:
            call.hash = _hash(call, cluster)
        return call.hash

    attempted = frozenset(each.address for each in tried.hosts) if tried is not None else frozenset()
    return LoadBalancerContext(hash_, lambda: shown(call.as_sent()), attempted)


def _next_wanted(call: OutgoingCall, cluster: ClusterRuntime) -> Host | None:
    """The next endpoint that the request names and the cluster has; each try takes one (OverrideHost)."""
    while call.wanted:
        address, *others = call.wanted
        call.wanted = tuple(others)
        found = cluster.named(address)
        if found is not None:
            return found
    return None


def _hash(call: OutgoingCall, cluster: ClusterRuntime) -> int | None:
    """Of the request as it goes out, by the policies of the balancer, else of the cluster, else of the route."""
    route, upstream = call.route, call.upstream
    policies = cluster.hashing
    if policies is None and route is not None:
        policies = route.hashing
    if policies is None or upstream is None:
        return None
    runtime = call.runtime
    caller = Caller(runtime.options.workload.address, call.dialled(), lambda: FIRST_PORT + runtime.draw(PORTS))
    found = policies.hash(upstream.view(), caller)
    if caller.cookies:
        call.cookies = Cookies(caller.cookies, late=bool(cluster.config.lb.hash_policies))
    return found


def listen(call: OutgoingCall, cluster: ClusterRuntime, host: Host, headers: RawHeaders) -> None:
    """What an endpoint says of its load, for a balancer that goes by it."""
    config = cluster.config.lb.client_side
    report = load_report(headers)
    if config is not None and report is not None:
        weight = weight_of(report, config.metrics, config.penalty)
        if weight is not None:
            note(host, weight, call.runtime.clock())
