"""Blocking servers with a context of the mesh's: who gets in by TLS and in the clear, and whom nobody waits for."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless
from tests.governance.suites.blocking import http_server
from tests.governance.suites.served import FRONTEND, LEDGER, client_context, context_of, turned_away
from tests.support.certificates import HeldSecrets, authority, self_signed, spiffe

MINUTE = dt.timedelta(minutes=1)
CALLER = spiffe("caller")
CA = authority()


def secrets() -> HeldSecrets:
    return HeldSecrets(CA.workload("ledger", "bank"), CA.roots)


@contextmanager
def served(folder: Path, held: HeldSecrets, kind: type[HTTPServer] = ThreadingHTTPServer) -> Iterator[tuple[str, Any]]:
    with (
        proxyless.Mesh.from_recorded(folder, registry=False) as mesh,
        http_server(context_of(mesh, held), kind) as server,
    ):
        yield f"127.0.0.1:{server.server_address[1]}", server


def test_strict_takes_a_workload_of_the_mesh_and_tells_the_program_who_it_is() -> None:
    with (
        served(LEDGER, secrets()) as (where, _),
        httpx.Client(verify=client_context(CA, CA.workload("caller")), trust_env=False) as client,
    ):
        for _ in range(2):
            told = client.get(f"https://{where}/").json()
            assert told == {
                "uris": [CALLER],
                "same": True,
                "certificate": True,
                "version": "TLSv1.3",
                "alpn": "http/1.1",
            }


def test_strict_refuses_everybody_else_before_a_byte_reaches_the_program(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    cases = {
        "wrong trust domain": (CA.workload("caller", domain="other.local"), "spiffe://other.local/ns/shop/sa/caller"),
        "expired": (CA.leaf(CALLER, starts=-2 * MINUTE, ends=-MINUTE), "certificate has expired"),
        "self-signed": (self_signed(CALLER), "self-signed certificate"),
        "none": (None, "presented no certificate"),
    }
    with served(LEDGER, secrets()) as (where, server):
        turned_away(where, CA, cases, caplog)
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.get(f"http://{where}/")
        assert "no filter chain of port 8080 takes plaintext" in caplog.text
        assert not server.arrived
    assert "Traceback" not in capfd.readouterr().err


def test_permissive_takes_both_and_tells_them_apart() -> None:
    with served(FRONTEND, secrets()) as (where, server):
        with httpx.Client(verify=client_context(CA, CA.workload("caller")), trust_env=False) as client:
            assert client.get(f"https://{where}/").json()["uris"] == [CALLER]
        with httpx.Client(trust_env=False) as client:
            for _ in range(2):
                told = client.post(f"http://{where}/", content=b"x" * 100_000).json()
                assert told == {"uris": None, "same": True, "certificate": False, "version": None, "alpn": None}
        assert len(server.arrived) == 3


def test_new_connections_use_new_certificates_and_old_ones_live_on() -> None:
    held, newer = secrets(), authority("newer")
    with (
        served(LEDGER, held) as (where, _),
        httpx.Client(verify=client_context(CA, CA.workload("caller")), trust_env=False) as old,
        httpx.Client(verify=client_context(newer, newer.workload("other")), trust_env=False) as new,
    ):
        assert old.get(f"https://{where}/").json()["uris"] == [CALLER]
        held.rotate(newer.workload("ledger", "bank"), newer.roots)
        assert new.get(f"https://{where}/").json()["uris"] == [spiffe("other")]
        assert old.get(f"https://{where}/").json()["uris"] == [CALLER]


@pytest.mark.parametrize("kind", [ThreadingHTTPServer, HTTPServer])
def test_who_connects_and_hangs_up_is_nobody(kind: type[HTTPServer], caplog: pytest.LogCaptureFixture) -> None:
    with (
        served(LEDGER, secrets(), kind) as (where, server),
        httpx.Client(verify=client_context(CA, CA.workload("caller")), trust_env=False) as client,
    ):
        for sent in (b"", b"\x16\x03"):
            with socket.create_connection(server.server_address) as gone:
                gone.sendall(sent)
        assert client.get(f"https://{where}/").json()["uris"] == [CALLER]
    assert not caplog.records


@contextmanager
def listening(folder: Path) -> Iterator[tuple[ssl.SSLSocket, tuple[str, int]]]:
    with (
        proxyless.Mesh.from_recorded(folder, registry=False) as mesh,
        context_of(mesh, secrets()).wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as made,
    ):
        made.settimeout(30)
        yield made, made.getsockname()


def dialled(where: tuple[str, int], pair: Any = None) -> ssl.SSLSocket:
    context = client_context(CA, pair if pair is not None else CA.workload("caller"))
    return context.wrap_socket(socket.create_connection(where, 30), do_handshake_on_connect=False)


def in_a_thread(act: Any) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_a_client_that_says_nothing_holds_up_nobody_who_accepts() -> None:
    with listening(LEDGER) as (server, where), socket.create_connection(where):
        silent, _ = server.accept()
        client = dialled(where)
        thread = in_a_thread(lambda: client.sendall(b"hello"))
        other, address = server.accept()
        with silent, other, client:
            assert other.recv(100) == b"hello"
            found = proxyless.tls.peer(other)
            assert found is not None
            assert found.uri_sans == (CALLER,)
            assert address == client.getsockname()
            assert proxyless.tls.peer(silent) is None
            thread.join(30)


def test_a_program_that_wraps_a_connection_is_told_at_once_whether_it_is_let_in() -> None:
    for pair, said in ((CA.workload("caller"), ""), (CA.workload("caller", domain="other.local"), "other.local")):
        with (
            proxyless.Mesh.from_recorded(LEDGER, registry=False) as mesh,
            socket.create_server(("127.0.0.1", 0)) as bare,
        ):
            client = dialled(bare.getsockname(), pair)
            thread = in_a_thread(client.do_handshake)
            accepted, _ = bare.accept()
            context = context_of(mesh, secrets())
            if said:
                with pytest.raises(ssl.SSLError, match=said):
                    context.wrap_socket(accepted, server_side=True)
            else:
                with context.wrap_socket(accepted, server_side=True) as made:
                    assert dict(made.getpeercert() or {})["subjectAltName"] == (("URI", CALLER),)
                    assert made.cipher()
                    assert not made.session_reused
            thread.join(30)
            client.close()


def test_what_was_refused_reads_as_ended_and_cannot_be_written() -> None:
    with listening(LEDGER) as (server, where), socket.create_connection(where) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        made, _ = server.accept()
        with made:
            made.settimeout(30)
            assert made.recv(100) == b""
            assert made.recv_into(bytearray(10)) == 0
            with pytest.raises(ssl.SSLError, match="takes plaintext"):
                made.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(ssl.SSLError, match="takes plaintext"):
                made.do_handshake()
            with pytest.raises(ValueError, match="handshake"):
                made.getpeercert()
            assert made.version() is None
        assert client.recv(100) == b""


def test_much_is_sent_and_received_in_both_directions_at_once() -> None:
    much = bytes(range(256)) * 20_000
    got = bytearray()

    with listening(LEDGER) as (server, where), dialled(where) as client:

        def talk() -> None:
            client.do_handshake()
            client.setblocking(False)
            sent = 0
            while sent < len(much) or len(got) < len(much):
                try:
                    sent += client.send(much[sent : sent + 65536]) if sent < len(much) else 0
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass
                try:
                    got.extend(client.recv(65536))
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass

        talking = in_a_thread(talk)
        made, _ = server.accept()
        with made:
            made.settimeout(30)
            made.do_handshake()
            writer = in_a_thread(lambda: made.sendall(much))
            read = bytearray()
            while len(read) < len(much):
                read += made.recv(65536)
            writer.join(30)
            talking.join(30)
            assert read == got == much
            made.shutdown(socket.SHUT_WR)
            client.setblocking(True)
            assert client.recv(10) == b""  # the end of TLS, and not just of TCP


def test_a_socket_that_does_not_wait_says_what_it_waits_for() -> None:
    with listening(LEDGER) as (server, where), dialled(where) as client:
        made, _ = server.accept()
        made.setblocking(False)
        client.setblocking(False)
        ends = [made, client]
        with made:
            for _ in range(1000):
                for each in list(ends):
                    try:
                        each.do_handshake()
                        ends.remove(each)
                    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                        pass
                if not ends:
                    break
            assert not ends
            with pytest.raises(ssl.SSLWantReadError):
                made.recv(10)
            much, sent, got = b"x" * 5_000_000, 0, 0
            try:
                while True:
                    sent += made.send(much[sent:])
            except ssl.SSLWantWriteError:
                assert sent < len(much)
            with pytest.raises(ssl.SSLError, match="bad write retry"):
                made.send(b"x")
            while got < len(much):
                try:
                    if sent < len(much):
                        sent += made.send(much[sent:])
                except ssl.SSLWantWriteError:
                    pass
                try:
                    got += len(client.recv(65536))
                except ssl.SSLWantReadError:
                    pass
            assert (sent, got) == (len(much), len(much))


def test_tls_can_be_ended_and_the_connection_go_on_in_the_clear() -> None:
    with listening(LEDGER) as (server, where):
        client = dialled(where)
        bare: list[socket.socket] = []

        def talk() -> None:
            client.sendall(b"a")
            bare.append(client.unwrap())
            bare[0].sendall(b"clear")

        thread = in_a_thread(talk)
        made, _ = server.accept()
        made.settimeout(30)
        assert made.recv(10) == b"a"
        with made.unwrap() as after:
            assert after.recv(10) == b"clear"
        thread.join(30)
        bare[0].close()


def test_what_makes_no_sense_for_such_a_connection_is_refused() -> None:
    with listening(LEDGER) as (server, where):
        for act in (lambda: server.recv(1), lambda: server.sendall(b"x"), server.do_handshake):
            with pytest.raises(OSError, match="not connected"):
                act()
        assert server.version() is None
        with dialled(where):
            made, _ = server.accept()
            with made:
                for again in (made.dup, made.recvfrom, made.sendmsg):
                    with pytest.raises(NotImplementedError):
                        again()
                with pytest.raises(ValueError, match="flags"):
                    made.recv(1, socket.MSG_PEEK)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, pytest.raises(NotImplementedError):
            server.context.wrap_socket(datagrams, server_side=True)
        with socket.socket() as client, pytest.raises(ValueError, match="for servers"):
            server.context.wrap_socket(client)
