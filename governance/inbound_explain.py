"""What the inbound chain of an app's port would say of a request: `proxyless explain --inbound PORT`.

The same document as for outgoing requests (governance.explain); what does not apply to an incoming one is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..xds.model.filters import LocalRateLimit
from ..xds.model.values import Note
from .authorization.decisions import denied_details
from .explain import EPHEMERAL, KEYS, as_text, described_mutations, location, of_chain, on_wire
from .filters.extension import said_of_extensions
from .filters.rbac import decisions_of
from .inbound import InboundRequest
from .replies import reply_body
from .request import RequestView
from .runtime import Runtime

UNSAID = EPHEMERAL | {"host"}
"""Headers that the document leaves out."""


def dry_request(
    runtime: Runtime, method: str, url: Any, headers: Iterable[tuple[str, str]], port: int, source: str
) -> InboundRequest:
    """A request that was decided and reached no app."""
    given = [(on_wire(name).lower(), on_wire(value)) for name, value in headers]
    authority = next((value for name, value in given if name == b"host"), url.authority)
    view = RequestView(on_wire(method), url.scheme, authority, url.target, given, source)
    inbound = InboundRequest(runtime, view, port)
    inbound.decide()
    return inbound


def inbound_document(
    inbound: InboundRequest, request: Mapping[str, Any], counts: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The document of one incoming request; every key is always there."""
    route, reply, chain, http = inbound.route, inbound.reply, inbound.chain, inbound.http
    view = inbound.request
    entrance = inbound.runtime.plan.entrance(inbound.port)
    table = http.table(inbound.runtime.plan) if http is not None else None
    known: dict[str, Any] = {
        "request": dict(request),
        "listener": entrance.name if entrance is not None and chain is not None else None,
        "filter_chain": chain.name if chain is not None else None,
        "route_config": getattr(getattr(table, "config", None), "name", None),
        "virtual_host": route.vhost.name if route is not None else None,
        "route": route.route.name if route is not None else None,
        "route_index": route.index if route is not None and route.index >= 0 else None,
        "action": _action(inbound),
        "status": reply.status if reply is not None else None,
        "response_flags": reply.flag if reply is not None and reply.flags else None,
        "body": None if reply is None else as_text(reply_body(reply, head=view.method == b"HEAD")),
        "location": location(reply),
        "cluster": inbound.target.cluster if inbound.target is not None else None,
        "method": as_text(view.method),
        "authority": as_text(view.authority),
        "path": as_text(view.path),
        "request_headers": [
            [as_text(name), as_text(value)] for name, value in view.raw_headers if as_text(name) not in UNSAID
        ],
        "response_headers": described_mutations(inbound.target.response_levels if inbound.target else (), view),
        "timeout_s": route.timeout_of(view) if route is not None else None,
        "rate_limit": _rate_limit(inbound),
        "authorization": _authorization(inbound),
        "protocol": "http1" if http is not None else "tcp" if chain is not None else None,
        "not_honoured": [
            {"resource": each.resource, "field": each.field, "reason": each.reason} for each in _not_honoured(inbound)
        ],
        "why": _why(inbound),
        "counts": counts,
    }
    empty = ("weighted_clusters", "mirrors", "endpoints")
    return {key: known.get(key, [] if key in empty else None) for key in KEYS}


def _not_honoured(inbound: InboundRequest) -> list[Note]:
    listener = inbound.runtime.plan.entrance(inbound.port)
    notes: list[Note] = []
    if listener is not None and inbound.chain is not None:
        notes += of_chain(listener.notes(), listener.get(), inbound.chain)
    if inbound.http is not None:
        notes += inbound.http.notes
    return list(dict.fromkeys(notes))


def _action(inbound: InboundRequest) -> str:
    if inbound.chain is None or (inbound.reply is not None and inbound.http is None):
        return "refused"
    if inbound.http is None:
        return "tcp"
    if inbound.route is None:
        return "refused" if inbound.reply is not None and inbound.reply.details == "refused" else "none"
    return inbound.route.kind


def _rate_limit(inbound: InboundRequest) -> dict[str, Any] | None:
    http = inbound.http
    if http is None or not any(isinstance(each.config, LocalRateLimit) for each in http.config.http_filters):
        return None
    limited = inbound.reply is not None and "RL" in inbound.reply.flags
    return {"allowed": not limited, "status": inbound.reply.status if limited and inbound.reply is not None else None}


def _authorization(inbound: InboundRequest) -> dict[str, Any] | None:
    """What the filters said of who may do what, in their order; None where none was asked."""
    http = inbound.http
    if http is not None and http.filters.closed is not None:
        return {"allowed": False, "reason": http.filters.closed, "decisions": []}
    decisions = decisions_of(inbound)
    if not decisions:
        return None
    denied = next((each for each in decisions if each.enforced and not each.allowed), None)
    return {
        "allowed": denied is None,
        "reason": None if denied is None else denied.reason or denied_details(denied.policy),
        "decisions": [
            {
                "filter": each.filter,
                "enforced": each.enforced,
                "allowed": each.allowed,
                "policy": each.policy or None,
            }
            for each in decisions
        ],
    }


def _why(inbound: InboundRequest) -> list[str]:
    if inbound.chain is None:
        return [as_text(inbound.reply.body) if inbound.reply is not None else "no listener takes incoming requests"]
    said = [f"filter chain {inbound.chain.name} takes port {inbound.port}"]
    if inbound.route is not None:
        said.append(f"{inbound.route.label} matches")
    said += said_of_extensions(inbound, inbound.http.filters.active if inbound.http is not None else ())
    for each in decisions_of(inbound):
        verb = "says" if each.enforced else "would say"
        if each.tokens:
            said.append(f"{each.filter} {'takes' if each.allowed else 'refuses'} the tokens ({each.reason or 'valid'})")
            continue
        said.append(f"{each.filter} {verb} {'allowed' if each.allowed else 'denied'} ({each.policy or 'no policy'})")
    if inbound.reply is not None:
        said.append(f"answered {inbound.reply.status} {inbound.reply.flag if inbound.reply.flags else ''}".rstrip())
        if inbound.reply.details == "refused":
            said.append(as_text(inbound.reply.body))
    else:
        said.append("the app gets the request")
    return said
