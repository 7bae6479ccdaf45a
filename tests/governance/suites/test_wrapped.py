"""A connection of the mesh's context as libraries use it: also those that read before the handshake has let it in."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

import proxyless
from tests.governance.suites.served import FRONTEND, LEDGER, client_context, context_of
from tests.support.certificates import HeldSecrets, authority

CA = authority()
SECRETS = HeldSecrets(CA.workload("ledger", "bank"), CA.roots)
REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.fixture
def strict() -> Iterator[proxyless.Mesh]:
    with proxyless.Mesh.from_recorded(LEDGER, registry=False) as mesh:
        yield mesh


def connected(mesh: proxyless.Mesh) -> tuple[ssl.MemoryBIO, ssl.MemoryBIO, Any]:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    return there, back, context_of(mesh, SECRETS).wrap_bio(there, back, server_side=True)


def test_plaintext_is_not_read_where_the_chain_wants_tls(strict: proxyless.Mesh) -> None:
    there, back, server = connected(strict)
    with pytest.raises(ssl.SSLWantReadError):
        server.read()
    there.write(REQUEST)
    for act in (server.read, server.do_handshake, server.read, lambda: server.write(b"x")):
        with pytest.raises(ssl.SSLError, match="no filter chain"):
            act()
    assert not back.pending


def test_plaintext_is_read_where_the_chain_takes_it() -> None:
    with proxyless.Mesh.from_recorded(FRONTEND, registry=False) as mesh:
        there, _, server = connected(mesh)
        there.write(REQUEST)
        assert server.read() == REQUEST


def test_one_byte_at_a_time_and_the_peer_is_known_all_the_same(strict: proxyless.Mesh) -> None:
    there, back, server = connected(strict)
    sent, answered = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(CA, CA.workload("caller")).wrap_bio(answered, sent)
    written = False
    got = b""
    for _ in range(10):
        try:
            client.do_handshake()
            if not written:
                client.write(REQUEST)
                written = True
        except ssl.SSLWantReadError:
            pass
        for each in sent.read():
            there.write(bytes([each]))
            try:
                got += server.read()
            except ssl.SSLWantReadError:
                pass
        answered.write(back.read())
    assert got == REQUEST
    assert server.served.peer.validated
