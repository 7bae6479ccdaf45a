"""Certificates and roots are replaced again and again under load, and no request notices."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless
from proxyless.xds.identity.identity import Identity
from proxyless.xds.identity.settings import FromAuthority
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.tls import CommonTls, SanMatcher, SecretName, UpstreamTls, Validation
from tests.governance.suites.served import LEDGER, by_uvicorn
from tests.support.authorities import Asked, CertificateServer, certificate_server, sign
from tests.support.certificates import Authority, authority, spiffe
from tests.support.model import cluster, route, snapshot, table
from tests.support.serving import Server
from tests.support.waiting import wait_for

LEAVES, ROOTS = 100, 5
PER_S = 200
MOST_AT_ONCE = 20
PAUSE_S = 0.1
"""Of the authority, before each answer: certificates are asked for without a break."""

ALPN = ("istio-http/1.1", "istio", "http/1.1")
SERVED_AS = spiffe("ledger", "bank")


class Issuer:
    """An authority whose root is replaced as one does it: trusted beside the old one, then signing, then alone."""

    def __init__(self, server: CertificateServer) -> None:
        self.signer: Authority = server.root
        self.trusted: list[Authority] = [server.root]
        server.answer = self.answer

    def answer(self, asked: Asked) -> list[str]:
        time.sleep(PAUSE_S)
        leaf, _ = sign(self.signer, asked.csr)
        return [leaf, "".join(each.pem.decode() for each in self.trusted)]

    def follow(self, identities: list[Identity]) -> None:
        """One root after the other."""
        for number in range(ROOTS):
            following = authority(f"root {number + 2}")
            self.trusted = [self.signer, following]
            _all_renew(identities)
            self.signer = following
            _all_renew(identities)
            self.trusted = [following]
            _all_renew(identities)


def rotations(identity: Identity, name: str = "default") -> int:
    return identity.state().rotations.get(name, 0)


def _all_renew(identities: list[Identity]) -> None:
    """Each has asked after now, and has what it asked for."""
    before = [rotations(each) for each in identities]
    wait_for(lambda: all(rotations(each) >= seen + 2 for each, seen in zip(identities, before, strict=True)), 90)


@contextmanager
def identity_of(account: str, namespace: str, server: CertificateServer, root: Path) -> Iterator[Identity]:
    """Asks for its next certificate as soon as it has one."""
    settings = FromAuthority(
        server.address, spiffe(account, namespace), root_cert=str(root), grace_ratio=1.0, grace_jitter=0.0
    )
    made = Identity(settings)
    made.start()
    try:
        wait_for(lambda: made.settled)
        yield made
    finally:
        made.close()


async def app(scope: Any, receive: Any, send: Any) -> None:
    del receive
    peer = proxyless.tls.peer()
    body = json.dumps(peer.uri_sans if peer is not None else None).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def load(mesh: proxyless.Mesh, done: threading.Event) -> tuple[int, int, list[str]]:
    """(requests, connections that ended with them, what failed); one request in ten wants a new connection."""
    failed: list[str] = []
    count = fresh = 0

    async def call(client: httpx.AsyncClient, number: int) -> None:
        try:
            headers = {} if number % 10 else {"connection": "close"}
            response = await client.get("http://shop/", headers=headers)
        except Exception as error:
            failed.append(repr(error))
        else:
            if response.status_code != 200 or response.json() != [spiffe("front")]:
                failed.append(f"{response.status_code} {response.text}")

    async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=60) as client:
        under_way: set[asyncio.Task[None]] = set()
        started = time.monotonic()
        while not done.is_set():
            task = asyncio.create_task(call(client, count))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            count += 1
            fresh += not count % 10
            await asyncio.sleep(max(0.0, started + count / PER_S - time.monotonic()))
            if len(under_way) > MOST_AT_ONCE:  # this machine is slower than that
                await asyncio.wait(under_way)
        await asyncio.gather(*under_way)
    # While there is a loop in which the other side can be told.
    mesh.runtime.close_idle()
    await asyncio.sleep(0.2)
    return count, fresh, failed


@pytest.mark.punctual
@pytest.mark.timeout(300)
def test_no_request_fails_while_leaves_and_roots_are_replaced(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(certificate_server())
        (tmp_path / "root.pem").write_bytes(server.root.pem)
        issuer = Issuer(server)
        ours = stack.enter_context(identity_of("front", "shop", server, tmp_path / "root.pem"))
        theirs = stack.enter_context(identity_of("ledger", "bank", server, tmp_path / "root.pem"))
        serving = stack.enter_context(proxyless.Mesh.from_recorded(LEDGER, registry=False, identity=theirs))
        governed = proxyless.asgi.Middleware(app, serving, port=8080)
        context = proxyless.tls.server_context(serving, port=8080)
        at = stack.enter_context(Server(governed, by_uvicorn(context, http="h11", loop="asyncio")))
        validation = Validation(secret=SecretName("ROOTCA"), sans=(SanMatcher("exact", SERVED_AS),))
        upstream = UpstreamTls(CommonTls(SecretName("default"), validation, ALPN), sni="ledger")
        made = cluster("a", at.where, transport_socket=TransportSocket("tls", upstream))
        calling = stack.enter_context(
            proxyless.Mesh._from_snapshot(
                snapshot(tables=[table(route("/", "a"))], clusters=[made]),
                identity=ours,
            )
        )
        done = threading.Event()
        found: list[tuple[int, int, list[str]]] = []
        loading = threading.Thread(target=lambda: found.append(asyncio.run(load(calling, done))))
        loading.start()
        try:
            issuer.follow([ours, theirs])
            wait_for(lambda: all(rotations(each) >= LEAVES for each in (ours, theirs)), 200)
        finally:
            done.set()
            loading.join(90)
        [(count, fresh, failed)] = found
        assert not failed, f"{len(failed)} of {count}: {failed[:3]}"
        assert fresh > LEAVES
        # Each root comes, and the one before it goes.
        assert [rotations(each, "ROOTCA") for each in (ours, theirs)] == [2 * ROOTS, 2 * ROOTS]
        assert not ours.state().failures
        assert not theirs.state().failures
