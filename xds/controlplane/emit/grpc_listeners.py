"""Listeners for gRPC's own xDS (`GENERATOR=grpc`).

A client asks for `host:port` and is told where that host's routes are; the host may be short, and comes back as it was
asked for. A server asks for `xds.istio.io/grpc/lds/inbound/IP:PORT` and is told whom to let in. Filters are those that
every gRPC knows: faults and the router to call, RBAC and the router to serve.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from ...wire.schema.types import (
    core_v3,
    http_connection_manager_v3,
    http_rbac_v3,
    listener_v3,
    rbac_v3,
    route_v3,
    tls_v3,
)
from ..hosts import outbound, with_port
from ..registry.endpoints import TLS_MODE
from ..registry.policies import PolicyObject
from ..registry.services import Service
from . import filters
from .filters import HttpFilter
from .grpc_clusters import common_tls
from .messages import flag, pack, socket_address
from .rbac_rule import Context, translate
from .tls import TLS_SOCKET
from .view import View

Listener = listener_v3.Listener
Manager = http_connection_manager_v3.HttpConnectionManager
RBAC = rbac_v3.RBAC

INBOUND = "xds.istio.io/grpc/lds/inbound/"
_NAMES = {RBAC.DENY: "envoy.filters.http.rbac.DENY", RBAC.ALLOW: "envoy.filters.http.rbac"}


@dataclass(slots=True)
class Asked:
    """How a host was asked for, and on which ports; no ports means all of them."""

    names: set[str] = field(default_factory=set)
    ports: set[str] | None = None


def asked_hosts(names: Collection[str], domain: str, namespace: str) -> dict[str, Asked]:
    """What clients ask for, by the hosts that may be meant."""
    out: dict[str, Asked] = {}
    for name in names:
        if name.startswith(INBOUND):
            continue
        host, colon, port = name.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]") if colon else name
        full = _expanded(bare, domain, namespace)
        for known in (bare, full) if full else (bare,):
            entry = out.get(known)
            if entry is None:
                entry = out[known] = Asked(ports={port} if colon else None)
            elif not colon:
                entry.ports = None
            elif entry.ports is not None:
                entry.ports.add(port)
            entry.names.add(bare)
    return out


def _expanded(name: str, domain: str, namespace: str) -> str:
    """The full name that a resolver in the proxy's namespace would try for a short one; "" for none."""
    if "." not in name:
        return f"{name}.{domain}"
    for suffix in (namespace, f"{namespace}.svc"):
        short = name.removesuffix(f".{suffix}")
        if short != name and domain.startswith(suffix):
            return f"{short}.{domain}"
    return ""


def grpc_listeners(view: View, names: Collection[str]) -> Iterator[Listener]:
    """The listeners of those names; without names those of every service."""
    asked = asked_hosts(names, view.proxy.node.domain, view.proxy.namespace)
    for service in view.scope.services:
        found = asked.get(service.hostname) if names else Asked({service.hostname})
        for host in sorted(found.names) if found else ():
            for port in service.ports:
                if found and (found.ports is None or str(port.number) in found.ports):
                    yield _client(service, host, port.number, view)
    for name in names:
        if name.startswith(INBOUND):
            made = _server(name, view)
            if made is not None:
                yield made


def _client(service: Service, host: str, port: int, view: View) -> Listener:
    manager = Manager(http_filters=[filters.fault(), filters.router()])
    manager.rds.config_source.ads.SetInParent()
    manager.rds.route_config_name = outbound(service.hostname, port)
    addresses = service.listener_addresses(view.proxy.reach)
    made = Listener(name=with_port(host, port), address=_address(addresses[0], port))
    made.api_listener.api_listener.CopyFrom(pack(manager))
    for address in addresses[1:]:
        made.additional_addresses.add(address=_address(address, port))
    return made


def _address(address: str, port: int) -> core_v3.Address:
    return core_v3.Address(socket_address=core_v3.SocketAddress(address=address, port_value=port))


def _server(name: str, view: View) -> Listener | None:
    host, colon, number = name.removeprefix(INBOUND).rpartition(":")
    if not colon or not number.isdecimal():
        return None
    port = int(number)
    if all(target.target != port for target in view.proxy.targets):
        return None
    made = Listener(name=name, address=socket_address(host.removeprefix("[").removesuffix("]"), port))
    mode = view.peer_policy.of(port)
    # gRPC has no chain for both: callers who see the label come with mTLS, else everybody comes without.
    strict = mode == "STRICT" or (mode == "PERMISSIVE" and view.proxy.labels.get(TLS_MODE) == "istio")
    made.filter_chains.append(_chain("mtls" if strict else "plaintext", view, mutual=strict))
    return made


def _chain(kind: str, view: View, *, mutual: bool) -> listener_v3.FilterChain:
    routes = route_v3.RouteConfiguration(name="inbound")
    route = routes.virtual_hosts.add(domains=["*"]).routes.add(match=route_v3.RouteMatch(prefix="/"))
    route.non_forwarding_action.SetInParent()
    manager = Manager(route_config=routes, http_filters=[*_security(view), filters.router()])
    made = listener_v3.FilterChain(
        name=f"inbound-{kind}",
        filters=[listener_v3.Filter(name=f"inbound-hcm{kind}", typed_config=pack(manager))],
    )
    if mutual:
        context = tls_v3.DownstreamTlsContext(common_tls_context=common_tls(), require_client_certificate=flag(True))
        made.transport_socket.CopyFrom(core_v3.TransportSocket(name=TLS_SOCKET, typed_config=pack(context)))
    return made


def _security(view: View) -> Iterator[HttpFilter]:
    """Denying first. As in istiod a policy without rules adds nothing, so one that allows nobody stops nobody."""
    for action, policies in ((RBAC.DENY, view.applied.deny), (RBAC.ALLOW, view.applied.allow)):
        rules = _rules(action, policies, view)
        if rules.policies:
            yield HttpFilter(name=_NAMES[action], typed_config=pack(http_rbac_v3.RBAC(rules=rules)))


def _rules(action: int, policies: Collection[PolicyObject], view: View) -> RBAC:
    made = RBAC(action=action)
    for source in policies:
        context = Context(source.meta.namespace, view.mesh, tcp=False, allows=action == RBAC.ALLOW)
        for index, rule in enumerate(source.spec.rules):
            translated = translate(rule, context)
            if translated is not None:
                made.policies[f"{source.meta.namespace}-{source.meta.name}-{index}"].CopyFrom(translated)
    return made
