"""Where a request would go and why, without sending it: the document of `proxyless explain --json`.

It runs the very machine that the suites run, with a dry send; the document only tells what the machine decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..xds.model.filters import Fault
from ..xds.model.listener import FilterChain, Listener
from ..xds.model.route import RouteAction
from ..xds.model.values import AppendAction, Fraction, Note
from .actions import AwaitConfig, BodyEnd, Head, OpenConnection
from .balancing.host import Host
from .call import OutgoingCall
from .cluster import ClusterRuntime
from .driver import drive, finish
from .explain_tls import said_of_tls, tls_document
from .filters.extension import said_of_extensions
from .headers import Levels
from .passing import PASSTHROUGH
from .replies import LocalReply, reply_body
from .request import RequestView
from .routing import CompiledRoute
from .runtime import Runtime
from .subject import Subject

FAULT_FILTER = "envoy.filters.http.fault"

ACTION_NAMES = {
    AppendAction.APPEND_IF_EXISTS_OR_ADD: "append_if_exists_or_add",
    AppendAction.ADD_IF_ABSENT: "add_if_absent",
    AppendAction.OVERWRITE_IF_EXISTS_OR_ADD: "overwrite_if_exists_or_add",
    AppendAction.OVERWRITE_IF_EXISTS: "overwrite_if_exists",
}

KEYS = [
    "request",
    "resolved",
    "listener",
    "filter_chain",
    "route_config",
    "virtual_host",
    "route",
    "route_index",
    "action",
    "status",
    "response_flags",
    "body",
    "location",
    "cluster",
    "weighted_clusters",
    "mirrors",
    "method",
    "authority",
    "path",
    "request_headers",
    "response_headers",
    "timeout_s",
    "idle_timeout_s",
    "retry",
    "fault",
    "rate_limit",
    "authorization",
    "protocol",
    "tls",
    "lb_policy",
    "hash",
    "endpoints",
    "endpoint",
    "not_honoured",
    "why",
    "counts",
]
"""Every key of the document, in its order."""

EPHEMERAL = frozenset({"x-request-id", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid"})
"""Headers that are new with every request."""

CONFIGURED = "direct_response"
"""The details of an answer that a route asks for; every other one of the mesh's own refuses or fails the request."""


class UnansweredError(Exception):
    """The configuration at hand does not hold what the request needs."""


class _DryConnection:
    principals = None
    peer = None

    def usable(self) -> bool:
        return True

    def fresh(self) -> bool:
        return True

    def close(self) -> None:
        return

    def abandon(self) -> None:
        return


def _dry_connect(suite: object, action: OpenConnection) -> _DryConnection:
    del suite, action
    return _DryConnection()


def _dry_send(suite: object, action: object) -> Head:
    del suite, action
    return Head(200, [], None)


def _wait_a_little(suite: tuple[Runtime, float], action: Any) -> None:
    runtime, patience_s = suite
    if isinstance(action, AwaitConfig) and runtime.changes.wait(action.seen, patience_s):
        return
    raise UnansweredError(f"the configuration does not hold {getattr(action, 'missing', 'what the request waits for')}")


def _ignore(suite: object, action: object) -> None:
    del suite, action


def _dry_run(suite: Any, action: Any) -> _DryConnection:
    drive(action.machine, _DRY, suite)
    return _DryConnection()


# By Action.kind: await config, connect, await slot, send, discard, sleep, bypass, ask, start, run, await race.
_DRY: tuple[Any, ...] = (_wait_a_little, _dry_connect, _wait_a_little, _dry_send, _ignore, _ignore, _dry_send, _ignore)
_DRY += (_ignore, _dry_run, _ignore, _ignore)


def dry_call(
    runtime: Runtime, method: str, url: Any, headers: Iterable[tuple[str, str]], patience_s: float = 0.0
) -> tuple[OutgoingCall, str]:
    """A call that decided everything and sent nothing; the second value says what was missing, if anything was.

    `patience_s`: how long to wait for each thing that a control plane may still send.

    Raises:
        UnicodeEncodeError: a text that no bytes stand for.
    """
    given = [(on_wire(name), on_wire(value)) for name, value in headers]
    authority = next((value for name, value in given if name.lower() == b"host"), url.authority)
    view = RequestView(on_wire(method), url.scheme, authority, url.target, given)
    call = OutgoingCall(runtime, "explain", view, url.host, url.port)
    machine = call.run()
    try:
        outcome = drive(machine, _DRY, (runtime, patience_s))
    except UnansweredError as error:
        return call, str(error)
    if not isinstance(outcome, LocalReply):
        finish(machine, BodyEnd(complete=True))
    return call, ""


def on_wire(text: str) -> bytes:
    """Text as it is sent: UTF-8; a byte that came as no text (os.fsdecode) is that byte."""
    return text.encode("utf-8", "surrogateescape")


def as_text(value: bytes) -> str:
    """The reverse, for people."""
    return value.decode("utf-8", "replace")


def cluster_name(call: OutgoingCall) -> str | None:
    """The cluster that was drawn, be it known or not."""
    if call.target is not None:
        named = call.request.header(call.target.cluster_header) if call.target.cluster_header else None
        return call.target.cluster or (as_text(named) if named else None)
    if call.cluster is not None:
        return call.cluster.name
    if call.destination is not None and call.destination.cluster:
        return call.destination.cluster
    return None


def failed(reply: LocalReply | None) -> bool:
    """Whether the mesh refuses or fails a request itself; a route's own answer is none of these."""
    return reply is not None and reply.details != CONFIGURED and not 300 <= reply.status < 400


def document(
    call: OutgoingCall, request: Mapping[str, Any], missing: str = "", counts: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The document of one request; every key is always there."""
    runtime, destination, route, reply = call.runtime, call.destination, call.route, call.reply
    action = route.action if route is not None else None
    cluster, host = call.cluster, call.host
    upstream = call.upstream
    name = cluster_name(call)
    kind = _action(call, name)
    http = destination.http if destination is not None else None
    table = http.table(runtime.plan) if http is not None else None
    return {
        "request": dict(request),
        "resolved": {
            "address": destination.resolved if destination is not None else None,
            "by": destination.resolved_by if destination is not None else None,
        },
        "listener": destination.listener if destination is not None else None,
        "filter_chain": destination.chain.name if destination is not None and destination.chain is not None else None,
        "route_config": getattr(getattr(table, "config", None), "name", None),
        "virtual_host": call.vhost.config.name if call.vhost is not None else None,
        "route": route.route.name if route is not None else None,
        "route_index": route.index if route is not None and route.index >= 0 else None,
        "action": kind,
        "status": reply.status if reply is not None else None,
        "response_flags": ",".join(call.flags) or None if reply is not None else None,
        "body": _body(call, reply),
        "location": location(reply),
        "cluster": name,
        "weighted_clusters": _weights(action),
        "mirrors": [
            {"cluster": each.cluster, "percent": each.fraction.percent if each.fraction is not None else 100.0}
            for each in (action.mirrors if action is not None else ())
        ],
        "method": as_text(call.request.method),
        "authority": as_text(upstream.authority if upstream is not None else call.request.authority),
        "path": as_text(upstream.path if upstream is not None else call.request.path),
        "request_headers": _request_headers(call, request["headers"]),
        "response_headers": _response_headers(call),
        "timeout_s": route.timeout_of(call.request) if route is not None else None,
        "idle_timeout_s": _idle_timeout(call, action),
        "retry": _retry(call),
        "fault": _fault(call),
        "rate_limit": None,
        "authorization": None,
        "protocol": _protocol(call, kind),
        "tls": tls_document(call, host) if host is not None else None,
        "lb_policy": cluster.config.lb_policy if cluster is not None else None,
        "hash": str(call.hash) if call.hash is not None else None,
        "endpoints": endpoints(cluster),
        "endpoint": host.address if host is not None else None,
        "not_honoured": [
            {"resource": each.resource, "field": each.field, "reason": each.reason} for each in not_honoured(call)
        ],
        "why": why(call, missing),
        "counts": counts,
    }


def _action(call: OutgoingCall, cluster: str | None) -> str:
    destination, route = call.destination, call.route
    if destination is None or destination.kind == "refused":
        return "refused" if destination is not None else "none"
    if destination.kind == "tcp":
        if destination.cluster == PASSTHROUGH:
            return "passthrough"
        return "refused" if call.reply is not None and call.cluster is None else "tcp"
    if route is None:
        return "none"
    if route.kind == "route" and cluster == PASSTHROUGH:
        return "passthrough"
    return route.kind


def _body(call: OutgoingCall, reply: LocalReply | None) -> str | None:
    if reply is None:
        return None
    return as_text(reply_body(reply, head=call.request.method == b"HEAD"))


def location(reply: LocalReply | None) -> str | None:
    """Where a reply sends the client."""
    if reply is None:
        return None
    return next((as_text(value) for name, value in reply.headers if name == b"location"), None)


def _weights(action: RouteAction | None) -> list[dict[str, Any]]:
    if action is None:
        return []
    return [{"name": each.name, "weight": each.weight} for each in action.weighted_clusters]


def _request_headers(call: OutgoingCall, asked: Iterable[Iterable[str]]) -> list[list[str]]:
    named = [(name.lower(), value) for name, value in asked]
    if call.upstream is not None:
        sent = call.upstream.headers
        named = [(as_text(name).lower(), as_text(value)) for name, value in sent]
    return [[name, value] for name, value in named if name not in EPHEMERAL and name != "host"]


def _response_headers(call: OutgoingCall) -> list[dict[str, str]]:
    levels = call.target.response_levels if call.target is not None else ()
    if call.target is None and call.route is not None:
        levels = call.route.response_levels
    return described_mutations(levels, call.request if call.upstream is None else call.upstream.view())


def described_mutations(levels: Levels, request: RequestView) -> list[dict[str, str]]:
    """Mutations in the order they apply."""
    found: list[dict[str, str]] = []
    for level in levels:
        found += [{"name": name.decode(), "value": "", "action": "remove"} for name in sorted(level.remove)]
        for each in level.additions:
            value = each.value if isinstance(each.value, bytes) else each.value(Subject(request))
            if value or each.keep_empty:
                found.append({"name": as_text(each.name), "value": as_text(value), "action": ACTION_NAMES[each.action]})
    return found


def _idle_timeout(call: OutgoingCall, action: RouteAction | None) -> float | None:
    if action is not None and action.idle_timeout_s is not None:
        return action.idle_timeout_s or None
    http = call.destination.http if call.destination is not None else None
    return http.config.stream_idle_timeout_s if http is not None else None


def _retry(call: OutgoingCall) -> dict[str, Any] | None:
    route = call.route
    if route is None:
        return None
    retry = route.retry if call.upstream is None else call.retry
    if retry is None or not retry.wants:
        return None
    policy, times = retry.policy, route.retry
    return {
        "on": list(policy.retry_on),
        "retries": policy.num_retries,
        "per_try_timeout_s": times.per_try_timeout_s if times is not None else None,
        "status_codes": list(policy.retriable_status_codes),
        "host_predicates": list(policy.host_predicates),
    }


def _fault(call: OutgoingCall) -> dict[str, Any] | None:
    route = call.route
    own = call.destination.http.config.http_filters if call.destination and call.destination.http else ()
    fault: object = next((each.config for each in own if isinstance(each.config, Fault)), None)
    if route is not None:
        filters = call.target.filters if call.target is not None else route.filters
        fault = filters.get(FAULT_FILTER, fault)
    if not isinstance(fault, Fault) or fault == Fault():
        return None
    return {
        "delay_s": fault.delay_s,
        "delay_percent": _percent(fault.delay),
        "abort_status": fault.abort_status,
        "abort_percent": _percent(fault.abort),
    }


def _percent(fraction: Fraction | None) -> float | None:
    return fraction.percent if fraction is not None else None


def _protocol(call: OutgoingCall, action: str) -> str | None:
    if action not in ("route", "passthrough", "tcp"):
        return None
    if call.destination is not None and call.destination.kind == "tcp":
        return "tcp"
    return "http2" if call.cluster is not None and call.cluster.http2 else "http1"


def endpoints(cluster: ClusterRuntime | None) -> list[dict[str, Any]]:
    """The endpoints of a cluster in the order configured."""
    if cluster is not None and cluster.aggregate is not None:
        return [found for each in cluster.aggregate.clusters.values() for found in endpoints(each)]
    if cluster is None or cluster.assignment is None:
        return []
    weights = {(each.locality, each.priority): each.weight for each in cluster.assignment.localities}
    return [_endpoint(host, weights.get((host.locality, host.priority))) for host in cluster.hosts]


def _endpoint(host: Host, locality_weight: int | None) -> dict[str, Any]:
    locality = host.locality
    return {
        "address": host.address,
        "priority": host.priority,
        "locality": {
            "region": locality.region,
            "zone": locality.zone,
            "sub_zone": locality.sub_zone,
            "weight": locality_weight,
        },
        "weight": host.weight,
        "health": host.health,
        "ejected": host.state.ejected,
        "metadata": {name: dict(values) for name, values in host.endpoint.metadata.items()},
    }


def not_honoured(call: OutgoingCall) -> list[Note]:
    """What the configuration on the way asks for and does not get."""
    notes: list[Note] = []
    snapshot = call.runtime.plan.snapshot
    destination, route, cluster = call.destination, call.route, call.cluster
    if destination is not None and destination.listener is not None:
        listener = snapshot.listeners.get(destination.listener)
        if listener is not None and listener.error is None:
            notes += of_chain(listener.notes(), listener.get(), destination.chain)
        if destination.http is not None:
            notes += destination.http.notes
    if route is not None:
        notes += [Note(f"route {route.vhost.name}[{route.index}]", "", each) for each in route.problems]
        notes += _route_notes(call, route)
    if cluster is not None:
        notes += cluster.notes
        resource = snapshot.clusters.get(cluster.name)
        notes += resource.notes() if resource is not None else ()
        assignment = snapshot.assignments.get(cluster.config.assignment_name)
        notes += assignment.notes() if assignment is not None else ()
    return list(dict.fromkeys(notes))


def of_chain(notes: Iterable[Note], listener: Listener, chain: FilterChain | None) -> list[Note]:
    """What concerns the listener itself or the chain that was taken."""
    own = "default_filter_chain"
    if chain in listener.chains:
        own = f"filter_chains[{listener.chains.index(chain)}]"
    return [each for each in notes if "filter_chain" not in each.field.partition(".")[0] or each.field.startswith(own)]


def _route_notes(call: OutgoingCall, route: CompiledRoute) -> list[Note]:
    """What concerns the route that was taken or its virtual host as a whole."""
    own = f"routes[{route.index}]"
    notes = call.vhost.lazy.notes() if call.vhost is not None else ()
    return [each for each in notes if not each.field.startswith("routes[") or each.field.startswith(own)]


def why(call: OutgoingCall, missing: str = "") -> list[str]:
    """Short sentences, one per step."""
    destination, route = call.destination, call.route
    host = as_text(call.url_host)
    if destination is None:
        return [missing or "there is no complete configuration"]
    said = [
        f"{host} is {destination.resolved} ({(destination.resolved_by or '').replace('_', ' ')})"
        if destination.resolved
        else f"{host} is not in the name table" + ("" if destination.found is None else ", nor does DNS have it")
    ]
    if destination.listener is None or destination.kind == "refused":
        return [*said, f"refused: {destination.reason}"]
    chain = destination.chain.name if destination.chain is not None else ""
    said.append(
        f"listener {destination.listener} takes port {call.port}" + (f", filter chain {chain}" if chain else "")
    )
    if destination.kind == "tcp":
        said.append(f"TCP: connections go to cluster {destination.cluster}; no routes, no retries")
    elif route is not None:
        said.append(f"virtual host {route.vhost.name}, {route.label} matches")
        said += said_of_extensions(call, destination.http.filters.active if destination.http is not None else ())
        said += _said_of_target(call, route)
    else:
        said.append("no virtual host or route matches")
    if call.hash is not None:
        said.append(f"the request hashes to {call.hash}")
    if "DI" in call.flags:
        said.append("delayed by a fault that is injected")
    said += [f"shadow mode: {policy} is not enforced ({outcome})" for policy, outcome in call.shadowed]
    if call.policies is not None:
        said += [f"{name} is switched off" for name, mode in call.policies.modes.items() if mode == "off"]
    if call.host is not None:
        said.append(f"endpoint {call.host.address} picked")
        said += said_of_tls(call, call.host)
    if call.fallback:
        said.append(f"a fallback answers in place of a failure: {call.fallback}")
    if call.reply is not None:
        said.append(f"answered {call.reply.status} {','.join(call.flags)}".rstrip())
    return [*said, missing] if missing else said


def _said_of_target(call: OutgoingCall, route: CompiledRoute) -> list[str]:
    if call.target is None:
        return []
    weights = route.action.weighted_clusters if route.action is not None else ()
    share = f" (weight {call.target.config.weight} of {sum(each.weight for each in weights)})" if weights else ""
    policy = (
        f", {call.cluster.config.lb.extension or call.cluster.config.lb_policy}" if call.cluster is not None else ""
    )
    return [f"cluster {call.target.cluster}{share}{policy}"]
