"""Handshakes in memory: what a connection of a scene's cluster and a server that a test makes see of each other.

The certificates are real and the contexts are those that the mesh makes; nothing is sent anywhere.
"""

from __future__ import annotations

import atexit
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from proxyless.governance.actions import OpenConnection
from proxyless.governance.balancing.host import Host
from proxyless.governance.securing import Securing
from proxyless.xds.identity.client import ClientContexts, EndpointContext
from proxyless.xds.identity.contexts import as_file
from proxyless.xds.identity.identity import Identity
from proxyless.xds.identity.secrets import IdentityError, KeyPair
from proxyless.xds.identity.sources import Source
from proxyless.xds.model.tls import DataSource, Validation
from tests.support.certificates import authority

from .scene import Scene
from .seeing import See

DAY = timedelta(days=1)
CA, OTHER = authority(ends=DAY), authority("other authority", ends=DAY)
SERVER = CA.leaf("spiffe://cluster.local/ns/shop/sa/a", dns=("a.shop", "shop"), ends=DAY)
CLIENT = CA.leaf("spiffe://cluster.local/ns/shop/sa/client", ends=DAY)

_folder = TemporaryDirectory(prefix="proxyless-effects-")
atexit.register(_folder.cleanup)


def written(name: str, content: bytes) -> str:
    """The path of a file that holds this until the tests are over."""
    path = Path(_folder.name, name)
    path.write_bytes(content)
    return str(path)


class Agent:
    """A source of secrets by name: `default` is the client's own certificate, `ROOTCA` trusts one authority."""

    error, settled = "", True

    def key_pair(self, name: str) -> KeyPair:
        if name != "default":
            raise IdentityError(f"there is no certificate {name!r}")
        return CLIENT

    def validation(self, name: str) -> Validation:
        if name != "ROOTCA":
            raise IdentityError(f"there are no roots {name!r}")
        return Validation(DataSource(inline=CA.pem))

    def step(self) -> None:
        return None

    def held(self) -> list[Any]:
        return []

    def rotations(self) -> Mapping[str, int]:
        return {}

    def failures(self) -> Mapping[str, int]:
        return {}

    def forked(self) -> None: ...

    def close(self) -> None: ...


class _Identity(Identity):
    """The identity of a workload beside that agent, without a thread that looks at files."""

    def _make(self, *_: Any) -> Source:
        return Agent()

    def _begin_looking(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What the two sides know when the handshake is over. `refused`: why it failed, and nothing else is known then."""

    refused: str = ""
    sni: str | None = None
    alpn: str | None = None
    version: str | None = None
    cipher: str = ""
    shown: bytes = b""
    """The client's certificate."""
    resumed: bool | None = None


class Server:
    """A server in memory, whatever may be asked of it; `context` may be changed before it is used."""

    def __init__(self, pair: KeyPair = SERVER, alpn: Sequence[str] = ("h2", "http/1.1")) -> None:
        self.context = made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with as_file(pair.key + b"\n" + pair.chain) as path:
            made.load_cert_chain(path)
        made.load_verify_locations(cadata=CA.pem.decode())
        made.verify_mode = ssl.CERT_OPTIONAL
        if alpn:
            made.set_alpn_protocols(list(alpn))
        self._names: list[str | None] = []
        made.sni_callback = self._named

    def _named(self, tls: Any, name: str | None, context: Any) -> None:
        del tls, context
        self._names.append(name)

    def meet(self, client: EndpointContext) -> tuple[Seen, Any]:
        """What is seen, and the client's side of the connection, which is to be let go when it is over."""
        return self.shake(*self.open(client))

    def open(self, client: EndpointContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
        """Both sides of a connection that has not begun."""
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        return client.wrap_bio(back, there), self.context.wrap_bio(there, back, server_side=True)

    def shake(self, ours: ssl.SSLObject, theirs: ssl.SSLObject) -> tuple[Seen, Any]:
        """The handshake, and a byte."""
        self._names.clear()
        waiting: list[Any] = [ours, theirs]
        while waiting:
            for side in tuple(waiting):
                try:
                    side.do_handshake()
                    waiting.remove(side)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:
                    return Seen(f"{'client' if side is ours else 'server'}: {error.strerror or error.reason}"), ours
        theirs.write(b"x")  # after the tickets of TLS 1.3
        assert ours.read(1) == b"x"
        cipher = ours.cipher()
        name = self._names[0] if self._names else None
        spoken = ours.selected_alpn_protocol(), ours.version(), cipher[0] if cipher else ""
        return Seen("", name, *spoken, theirs.getpeercert(True) or b"", theirs.session_reused), ours


class _Nobody:
    """Takes what a connection is secured by for possible: the tests make the contexts."""

    def client(self, wanted: Securing, address: str) -> Any:
        raise AssertionError(wanted, address)


def secured(scene: Scene, url: str = "http://shop/a", **request: Any) -> tuple[Host, Securing | None] | None:
    """The endpoint that a call goes to and what secures the connection; None where there is none."""
    scene.world.runtime.tls = _Nobody()
    steps = scene.world.steps(url, **request)
    if steps.until(OpenConnection) is None:
        return None
    wanted = steps.wants(OpenConnection)
    return wanted.host, wanted.pool.secure


def contexts(scene: Scene, **request: Any) -> Callable[[], EndpointContext] | str:
    """What makes the context of each connection that a call would open, or why there is none."""
    found = secured(scene, **request)
    if found is None:
        return "no connection"
    host, wanted = found
    if wanted is None:
        return "plaintext"
    return contexts_of(wanted, host)


def contexts_of(wanted: Securing, host: Host) -> Callable[[], EndpointContext] | str:
    """The same of what is known to secure it."""
    made = ClientContexts(_Identity(None))

    def one() -> EndpointContext:
        return made.context(wanted.tls, wanted.alpn, wanted.names, wanted.sni, host.address)

    try:
        one()
    except (IdentityError, ValueError) as error:
        return f"insecure: {error}"
    return one


def shaken(server: Callable[[], Server] = Server, *attributes: str, **request: Any) -> See:
    """What is seen of a handshake; of it, the attributes of `Seen` alone."""

    def see(scene: Scene) -> Any:
        client = contexts(scene, **request)
        if isinstance(client, str):
            return client
        seen, _ = server().meet(client())
        return seen if not attributes else tuple(getattr(seen, each) for each in attributes)

    return see


def refused(server: Callable[[], Server] = Server, **request: Any) -> See:
    """Whether the connection comes about: empty, or who refuses it, and what for."""

    def see(scene: Scene) -> str:
        found = shaken(server, **request)(scene)
        return found if isinstance(found, str) else found.refused

    return see


def resumed(rounds: Iterable[int]) -> See:
    """So many connections at once, then so many: which of them resume a session."""

    def see(scene: Scene) -> list[list[bool | None]] | str:
        client, server = contexts(scene), Server()
        if isinstance(client, str):
            return client
        found = []
        for count in rounds:
            opened = [server.open(client()) for _ in range(count)]
            meetings = [server.shake(*each) for each in opened]
            found.append([seen.resumed for seen, _ in meetings])
            del opened, meetings
        return found

    return see
