"""What becomes of a new connection to a port of the app's, once its first bytes are there.

(Envoy: a listener filter has told TLS from plaintext, then FilterChainManagerImpl::findFilterChain.) A server suite
asks this before a byte of the connection reaches the app.
"""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from ..xds.model.listener import DETECTION_S, FilterChain
from ..xds.model.records import dataclass
from ..xds.model.resource import ResourceError
from .authorization.question import Question
from .chains import Connection, find_chain, looks_at_source
from .hello import Hello
from .peer import Peer

if TYPE_CHECKING:
    from .runtime import Runtime

HTTP = ("http/1.1",)
"""What Envoy's http_inspector makes of plaintext that a server of HTTP is there for."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing takes the connection. `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """Who connects, and to which address of ours; empty where a server is not told."""

    address: str = ""
    port: int = 0
    local: str = ""


NOWHERE = Source()


MAPPED = "::ffff:"


def plain(address: str) -> str:
    """A socket of both versions of IP spells an address of IPv4 as one of IPv6, and Envoy does not."""
    return address.removeprefix(MAPPED) if address.startswith(MAPPED) and "." in address else address


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may take to say what it is (None: for ever); afterwards it counts as plaintext, or ends."""

    seconds: float | None
    goes_on: bool = False


def patience(runtime: Runtime, port: int) -> Patience:
    """That of the listener that takes an app port (listener_filters_timeout)."""
    entrance = runtime.plan.entrance(port)
    try:
        listener = entrance.get() if entrance is not None else None
    except ResourceError:
        listener = None
    if listener is None:
        return Patience(DETECTION_S)
    return Patience(listener.detection_timeout_s, listener.goes_on_undetected)


def admit(runtime: Runtime, port: int, chain: FilterChain, peer: Peer | None, source: Source) -> Refused | None:
    """Ask the filters of a connection, once it is known who it is; requests ask those of chains of HTTP for themselves.

    A connection that is denied ends at once: whoever waited for `delay_deny` would hold up a thread of the server's.
    """
    door = runtime.plan.door(chain) if chain.http is None else None
    if door is None:
        return None
    local = source.local or runtime.options.workload.address
    asked = Question(source=source.address, destination=local, port=port, peer=peer, source_port=source.port)
    refusal = door.ask(asked)[0]
    return None if refusal is None else Refused(f"filter chain {chain.name!r}: {refusal.details}")


def connection_of(port: int, hello: Hello | None, source: str = "", source_port: int = 0) -> Connection:
    """A connection as filter chains match it. Without a ClientHello it is plaintext."""
    if hello is None:
        return Connection("", port, application_protocols=HTTP, source=source, source_port=source_port)
    return Connection("", port, "tls", hello.server_name, hello.protocols, source, source_port)


def enter(
    runtime: Runtime, port: int, hello: Hello | None, source: str = "", source_port: int = 0
) -> FilterChain | Refused | None:
    """The filter chain that takes a connection; None lets it through in the clear, as the user has asked for."""
    plan = runtime.plan
    if not plan.snapshot.complete:
        if runtime.options.passthrough_until_ready and hello is None:
            return None
        return Refused("no complete configuration yet")
    entrance = plan.entrance(port)
    if entrance is None:
        return Refused(f"no listener takes port {port}")
    try:
        listener = entrance.get()
    except ResourceError as error:
        return Refused(str(error))
    if not source and looks_at_source(listener, port):
        # A guess could be the chain of somebody who need not prove who he is.
        return Refused(f"the filter chains of port {port} differ by address, which this server does not know")
    chain = find_chain(listener, connection_of(port, hello, source, source_port))
    if chain is None:
        what = "plaintext" if hello is None else f"TLS with ALPN {', '.join(hello.protocols) or 'none'}"
        name = f" and SNI {hello.server_name}" if hello is not None and hello.server_name else ""
        return Refused(f"no filter chain of port {port} takes {what}{name}")
    if chain.unknown_socket:
        return Refused(f"transport socket {chain.unknown_socket} of filter chain {chain.name!r} is not supported")
    if chain.http is None and (unenforced := _unenforced(chain, runtime.options.allow_unenforced)):
        return Refused(unenforced)
    if hello is not None and chain.downstream is None and chain.http is None:
        return Refused(f"filter chain {chain.name!r} passes TLS on to the app, which is not served here")
    if chain.rbac and chain.http is None and not source:
        return Refused(f"filter chain {chain.name!r} lets in by address too, which this server does not know")
    return chain


def _unenforced(chain: FilterChain, allowed: Container[str]) -> str:
    """Which filter of a connection's nobody here can carry out; those of HTTP are asked with each request."""
    for each in chain.closed_by:
        if each.name not in allowed and each.type_url not in allowed:
            return f"network filter {each.name} of filter chain {chain.name!r} cannot be enforced: {each.reason}"
    return ""
