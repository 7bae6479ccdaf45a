"""gunicorn, werkzeug and wsgiref with the context of a mesh: who gets in, and who the app is told that it is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from werkzeug import serving

import proxyless
from tests.governance.suites.served import FRONTEND, LEDGER, client_context
from tests.proxyless.gunicorn_config import app, mesh_of
from tests.support.certificates import authority, spiffe, write
from tests.support.in_thread import in_thread
from tests.support.waiting import wait_for

CA = authority()
CALLER = spiffe("caller")
PATIENCE = 60

Started = AbstractContextManager[str]
"""A server; where it is."""


def by_gunicorn(*options: str) -> Callable[[Path, Path], Started]:
    @contextmanager
    def serve(recorded: Path, identity: Path) -> Iterator[str]:
        """A process; connections wait in the socket, which is bound here, until a worker accepts them."""
        environ = {**os.environ, "GUNICORN_RECORDED": str(recorded), "GUNICORN_IDENTITY": str(identity)}
        with socket.create_server(("127.0.0.1", 0), backlog=64) as sock:
            where = f"127.0.0.1:{sock.getsockname()[1]}"
            command = [sys.executable, "-m", "gunicorn", "-c", "python:tests.proxyless.gunicorn_config"]
            own = ["--bind", f"fd://{sock.fileno()}", "--worker-tmp-dir", str(identity), "--timeout", "300"]
            process = subprocess.Popen(
                [*command, *own, *options],
                env=environ,
                pass_fds=[sock.fileno()],
                cwd=Path(__file__).parents[2],
                stderr=subprocess.DEVNULL,
            )
        try:
            yield where
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()

    return serve


class Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


class SilentToo(serving.WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def by_wsgiref(recorded: Path, identity: Path) -> Iterator[str]:
    with mesh_of(str(recorded), str(identity)) as mesh:
        server = make_server("127.0.0.1", 0, app, handler_class=Silent)
        context = proxyless.tls.server_context(mesh, port=8080)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        with in_thread(server):
            yield f"127.0.0.1:{server.server_port}"


@contextmanager
def by_werkzeug(recorded: Path, identity: Path) -> Iterator[str]:
    with mesh_of(str(recorded), str(identity)) as mesh:
        context = proxyless.tls.server_context(mesh, port=8080)
        server = serving.make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context, request_handler=SilentToo)
        server.daemon_threads = True  # type: ignore[attr-defined]
        with in_thread(server):
            yield f"127.0.0.1:{server.server_port}"


SERVERS: dict[str, Callable[[Path, Path], Started]] = {
    "gunicorn sync": by_gunicorn("--worker-class", "sync"),
    "gunicorn gthread": by_gunicorn("--worker-class", "gthread", "--threads", "1"),
    "werkzeug": by_werkzeug,
    "wsgiref": by_wsgiref,
}


def files(folder: Path) -> None:
    """The identity of a server."""
    chain, key = write(CA.workload("ledger", "bank"), folder)
    chain.rename(folder / "chain.pem")
    key.rename(folder / "key.pem")
    (folder / "roots.pem").write_bytes(CA.pem)


def body_of(answers: BinaryIO) -> Any:
    """Of the next answer on a connection."""
    length = 0
    while (line := answers.readline()).strip():
        name, _, value = line.lower().partition(b":")
        length = int(value) if name == b"content-length" else length
    return json.loads(answers.read(length))


@pytest.mark.parametrize("name", SERVERS)
def test_strict_and_permissive_decide_who_gets_in(name: str, tmp_path: Path) -> None:
    files(tmp_path)
    with ExitStack() as held:
        strict, permissive = (held.enter_context(SERVERS[name](each, tmp_path)) for each in (LEDGER, FRONTEND))

        def ask(url: str, pair: Any = None) -> Any:
            verify = client_context(CA, pair)
            with httpx.Client(verify=verify, trust_env=False, timeout=PATIENCE) as client:
                return client.get(url).json()

        for where in (strict, permissive):
            assert ask(f"https://{where}/in", CA.workload("caller")) == {"uris": [CALLER], "path": "/in"}
            for pair in (None, CA.workload("caller", domain="other.local")):
                with pytest.raises(httpx.TransportError):
                    ask(f"https://{where}/out", pair)
        with pytest.raises(httpx.TransportError):
            ask(f"http://{strict}/clear")
        assert ask(f"http://{permissive}/clear") == {"uris": None, "path": "/clear"}
        assert ask(f"https://{strict}/in", CA.workload("other"))["uris"] == [spiffe("other")]


def test_a_request_that_came_with_the_one_before_is_not_taken_for_that_of_another_client(tmp_path: Path) -> None:
    """One thread serves both clients in turn, and reads nothing for the request that it holds already."""
    files(tmp_path)
    request = b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n"
    with (
        SERVERS["gunicorn gthread"](FRONTEND, tmp_path) as where,
        httpx.Client(verify=client_context(CA, CA.workload("caller")), trust_env=False, timeout=PATIENCE) as client,
        socket.create_connection(("127.0.0.1", int(where.partition(":")[2])), PATIENCE) as clear,
        clear.makefile("rb") as answers,
    ):
        clear.sendall(request % 1 + request % 2)
        told = [body_of(answers)]
        assert client.get(f"https://{where}/between").json()["uris"] == [CALLER]
        clear.sendall(request % 3)
        told += [body_of(answers), body_of(answers)]
    assert told == [{"uris": None, "path": f"/{each}"} for each in (1, 2, 3)]


def gunicorn(folder: Path, *options: str, port: str = "", **more: Any) -> subprocess.Popen[str]:
    """A process on the recorded STRICT chains, whose errors are read."""
    files(folder)
    environ = {
        **os.environ,
        "GUNICORN_RECORDED": str(LEDGER),
        "GUNICORN_IDENTITY": str(folder),
        "GUNICORN_PORT": port,
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "python:tests.proxyless.gunicorn_config", *options]
    return subprocess.Popen(
        [*command, "--worker-tmp-dir", str(folder), "--timeout", "300"],
        env=environ,
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_gunicorn_does_not_start_with_workers_that_a_silent_client_would_stop(tmp_path: Path) -> None:
    process = gunicorn(tmp_path, "--worker-class", "gevent", "--bind", "127.0.0.1:0")
    _, said = process.communicate(timeout=PATIENCE * 4)
    assert process.returncode
    assert "is for workers of class sync and gthread, not 'gevent'" in said


def test_a_port_that_gunicorn_was_handed_over_is_the_one_of_the_connection(tmp_path: Path) -> None:
    """The recording has no chain for it, and what catches all the others takes the client by its certificate."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as sock:
        where = f"127.0.0.1:{sock.getsockname()[1]}"
        process = gunicorn(tmp_path, "--bind", f"fd://{sock.fileno()}", pass_fds=[sock.fileno()])
        try:
            verify = client_context(CA, CA.workload("caller"))
            with httpx.Client(verify=verify, trust_env=False, timeout=PATIENCE) as client:
                assert client.get(f"https://{where}/in").json() == {"uris": [CALLER], "path": "/in"}
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def test_gunicorn_on_a_unix_socket_has_to_be_told_the_port(tmp_path: Path) -> None:
    path = tmp_path / "s"
    process = gunicorn(tmp_path, "--bind", f"unix:{path}")
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE * 4)
            # It is there for a moment before anybody listens.
            wait_for(lambda: client.connect_ex(str(path)) == 0 or process.poll() is not None, PATIENCE * 4)
            with suppress(ConnectionError):
                client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200 OK" not in read_all(client)
    finally:
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE)
    assert "a Unix socket has no port: proxyless.tls.gunicorn(mesh, port=...) says the app's" in said


def read_all(client: socket.socket) -> bytes:
    """What comes until the other side hangs up."""
    found = b""
    with suppress(ConnectionError):
        while data := client.recv(65536):
            found += data
    return found
