"""Work with a network in steps that sync code and tasks share: what is decided between them is written once.

A step is called with the library's network backend (or stream), and for tasks what it returns is awaited. What it
raises is raised where it was yielded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ...xds.model.tls import Presented
from ...xds.model.values import Address
from ..peer import Peer, Principals
from ..runtime import Runtime
from ..securing import InsecureError, Securing

T = TypeVar("T")

Step = Callable[[Any], Any]
Steps = Generator[Step, Any, T]


def run(steps: Steps[T], inner: Any) -> T:
    """Until they have a result."""
    try:
        step = next(steps)
        while True:
            try:
                found = step(inner)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(found)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def run_async(steps: Steps[T], inner: Any) -> T:
    """The same, awaiting each."""
    try:
        step = next(steps)
        while True:
            try:
                found = await step(inner)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(found)
    except StopIteration as stop:
        result: T = stop.value
        return result


def open_connection(address: Address, port: int, timeout_s: float | None, options: dict[str, Any]) -> Step:
    """To an endpoint, which may be a Unix socket."""
    if address.unix and not port:
        return lambda backend: backend.connect_unix_socket(address.unix, timeout_s)
    return lambda backend: backend.connect_tcp(address.host, port, timeout=timeout_s, **options)


def secured(stream: Any, runtime: Runtime, secure: Securing, endpoint: str, timeout_s: float | None) -> Step:
    """TLS on a connection. The context brings the name to ask for; raises InsecureError where there is none."""
    if runtime.tls is None:
        raise InsecureError("this process has no identity to offer")
    context = runtime.tls.client(secure, endpoint)
    return lambda _: stream.start_tls(context, None, timeout_s)


def closing(stream: Any) -> Step:
    """The end of a connection that nothing goes over."""
    return lambda _: stream.aclose() if hasattr(stream, "aclose") else stream.close()


def _tls_of(stream: Any) -> Any:
    tls = stream.get_extra_info("ssl_object")
    return getattr(tls, "owner", tls)  # of a socket httpcore gives what is inside


def principals_of(stream: Any) -> Principals | None:
    """Who has completed the handshake of a connection that the mesh has secured."""
    tls = _tls_of(stream)
    return None if tls is None else Principals(*tls.context.principals(tls))


def handshake_of(stream: Any) -> Callable[[], Peer] | None:
    """The same with everything that its certificate says, which is read when somebody asks: the connection may have
    ended by then."""
    tls = _tls_of(stream)
    if tls is None:
        return None
    context, chain, agreed = tls.context, tls.context.chain(tls), _agreed(tls)
    return lambda: peer_shown(context.presented(chain), agreed)


def _agreed(tls: Any) -> dict[str, str]:
    cipher, session = tls.cipher(), tls.session
    return {
        "alpn": tls.selected_alpn_protocol() or "",
        "version": tls.version() or "",
        "cipher": cipher[0] if cipher else "",
        "session_id": session.id.hex() if session is not None else "",
    }


def accepted(shown: Presented, tls: Any, server_name: str) -> Peer:
    """Who has completed a handshake with a server. `server_name`: who was asked for."""
    return peer_shown(shown, {**_agreed(tls), "server_name": server_name})


def peer_shown(shown: Presented, agreed: dict[str, str]) -> Peer:
    """What a handshake has come to."""
    return Peer(
        certificate=shown.chain[0] if shown.chain else b"",
        validated=shown.validated,
        uri_sans=shown.uri_sans,
        dns_sans=shown.dns_sans,
        ip_sans=shown.ip_sans,
        email_sans=shown.email_sans,
        subject=shown.subject,
        local_uri_sans=shown.local.uri_sans,
        local_dns_sans=shown.local.dns_sans,
        local_ip_sans=shown.local.ip_sans,
        local_email_sans=shown.local.email_sans,
        local_subject=shown.local.subject,
        chain=shown.chain,
        chain_serials=shown.chain_serials,
        issuer=shown.issuer,
        serial=shown.serial,
        begins=shown.begins,
        ends=shown.ends,
        **agreed,
    )


def speaks_http2(stream: Any) -> bool:
    """What was agreed on (ALPN) by whoever offered both."""
    tls = stream.get_extra_info("ssl_object")
    return tls is not None and tls.selected_alpn_protocol() == "h2"
