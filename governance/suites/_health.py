"""Asks the endpoints of clusters for their health: one thread that knows when, a few that ask over plain sockets.

They start with the first cluster that configures checks and end with the mesh. A check takes a connection of its own.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from functools import partial
from math import inf
from threading import Thread
from time import monotonic
from weakref import ref

from ...xds.model.health_check import HttpCheck, TcpCheck
from ...xds.model.values import Address, HeaderMutations
from ..attending import Attendant
from ..balancing.host import Host
from ..checking.answers import Answer, Failed, Passed, holds, of_response
from ..checking.checker import Checker, Session
from ..headers import HeaderList, apply_levels, compile_levels
from ..outliers.matching import view_of
from ..request import RequestView
from ..runtime import Runtime
from ..securing import InsecureError, Tls, plain_securing
from ..services.reaching import left_s, secured

MOST_AT_ONCE = 16
"""Threads that ask; a check that finds none free waits."""

USER_AGENT = (b"user-agent", b"Envoy/HC")
LONGEST_BODY = 1 << 20

Dial = Callable[[], socket.socket]
"""Makes the connection of a check."""


class HealthDriver(Attendant):
    """Runs the checks of one runtime; those that are under way when it is closed are left to end."""

    name = "proxyless-health"

    def __init__(self, runtime: ref[Runtime]) -> None:
        super().__init__(runtime)
        self._busy = 0

    def forked(self) -> None:
        super().forked()
        self._busy = 0

    def look(self, runtime: Runtime) -> float:
        """Ask whoever is to be asked now."""
        now, due = runtime.clock(), inf
        for state in list(runtime.states.values()):
            checker = state.checker
            if checker is not None:
                for session in checker.take_due(now):
                    self._start(checker, session, runtime.tls)
                due = min(due, checker.next_due())
        return max(0.0, due - runtime.clock())

    def _start(self, checker: Checker, session: Session, tls: Tls | None) -> None:
        with self._changed:
            while self._busy >= MOST_AT_ONCE and not self._closed:
                self._changed.wait(1.0)
            self._busy += 1
        Thread(target=self._ask, args=(checker, session, tls), name="proxyless-health-check", daemon=True).start()

    def _ask(self, checker: Checker, session: Session, tls: Tls | None) -> None:
        try:
            checker.report(session, ask(checker, session.host, tls))
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()


def ask(checker: Checker, host: Host, tls: Tls | None = None) -> Answer:
    """One check of one endpoint, over before the timeout of the check; by TLS where its requests go by TLS."""
    config = checker.config
    if config is None:
        return Passed()
    secure = plain_securing(host, config.alpn or None)
    if host.must_be_secure and (tls is None or secure is None):
        return Failed("network", host.why_not(checker.cluster))
    own = host.endpoint.health_check
    where = Address(own.host or host.endpoint.address.host, own.port or host.endpoint.address.port)
    until = monotonic() + config.timeout_s
    name = own.hostname
    try:
        dial: Dial = partial(secured, tls, secure, host, where, until)
        if isinstance(config.ask, HttpCheck):
            return _ask_http(config.ask, where, dial, name or config.ask.host or checker.cluster, until)
        if isinstance(config.ask, TcpCheck):
            return _ask_tcp(config.ask, dial, until)
        from ..services.links import connect
        from ._health_grpc import ask_grpc

        wire = partial(connect, tls, secure, host, where, config.timeout_s)
        authority, scheme = name or config.ask.authority or checker.cluster, "http" if secure is None else "https"
        label = f"cluster {checker.cluster}, endpoint {host.address}"
        return ask_grpc(config.ask, wire, authority, config.timeout_s, scheme=scheme, where=label)
    except TimeoutError:
        return Failed("network timeout", f"no answer within {config.timeout_s:g} s")
    except InsecureError as error:
        return Failed("network", f"cluster {checker.cluster}, endpoint {host.address}: {error}")
    except (OSError, http.client.HTTPException) as error:
        return Failed("network", str(error) or type(error).__name__)


def _ask_http(check: HttpCheck, where: Address, dial: Dial, authority: str, until: float) -> Answer:
    path = check.path or "/"
    headers: HeaderList = [(b"host", authority.encode()), USER_AGENT]
    levels, _ = compile_levels(
        [HeaderMutations(request_add=check.add, request_remove=check.remove)], most_specific_wins=False
    )
    view = RequestView(check.method.encode(), b"http", authority.encode(), path.encode(), headers)
    connection = http.client.HTTPConnection(where.host, where.port)
    try:
        connection.sock = dial()
        connection.putrequest(check.method, path, skip_host=True, skip_accept_encoding=True)
        for key, value in apply_levels(levels, headers, view):
            connection.putheader(key.decode("latin-1"), value)
        if check.send:
            connection.putheader("content-length", str(len(check.send)))
        connection.endheaders(check.send or None)
        sock = connection.sock
        sock.settimeout(left_s(until))
        response = connection.getresponse()
        body = b""
        while not response.isclosed() and len(body) < LONGEST_BODY:
            sock.settimeout(left_s(until))
            chunk = response.read1(65536)
            if not chunk:
                break
            body += chunk
        pairs = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in response.getheaders()]
        return of_response(check, view_of(response.status, pairs), body)
    finally:
        connection.close()


def _ask_tcp(check: TcpCheck, dial: Dial, until: float) -> Answer:
    with dial() as connection:
        if not check.receive:
            return Passed()
        if check.send:
            connection.sendall(check.send)
        data = b""
        while not holds(data, check.receive):
            connection.settimeout(left_s(until))
            chunk = connection.recv(65536)
            if not chunk:
                return Failed("network", "the connection was closed before what is expected came")
            data += chunk
        return Passed()
