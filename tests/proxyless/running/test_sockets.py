"""Which sockets of servers get a context of the mesh's."""

from __future__ import annotations

import socket

import pytest
import uvicorn

from proxyless.running.servers import ports_of
from proxyless.running.sockets import MTLS, SKIP, context, left_alone, number, port_of


def test_a_socket_without_a_port_has_none() -> None:
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as listening:
        assert (port_of(unix), port_of(listening)) == (0, listening.getsockname()[1])


def test_uvicorn_listens_at_its_port_or_where_it_is_told() -> None:
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        plain = uvicorn.Config("app", port=8000)
        assert (ports_of(plain, None), ports_of(plain, [unix, listening])) == ([8000], [0, port])
        assert ports_of(uvicorn.Config("app", uds="/run/app.sock"), None) == []
        assert ports_of(uvicorn.Config("app", fd=listening.fileno()), None) == [port]
        assert listening.getsockname()[1] == port


@pytest.mark.parametrize("ports", [[], [0]])
def test_where_no_port_is_known_there_is_no_context(ports: list[int], caplog: pytest.LogCaptureFixture) -> None:
    assert context("a server", ports) is None
    assert not caplog.messages


def test_one_context_is_for_one_port(caplog: pytest.LogCaptureFixture) -> None:
    assert context("a server", [8001, 8000]) is None
    told = "a server listens on ports 8000, 8001 with one context for them all: its socket is left as it is"
    assert caplog.messages == [told]


def test_what_is_left_alone_on_purpose_is_not_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(SKIP, f"httpx, {MTLS}")
    left_alone("a server")
    assert context("a server", [8000]) is None
    assert not caplog.messages


def test_a_port_may_be_a_text() -> None:
    assert [number(each) for each in (8000, "8000", "http")] == [8000, 8000, 0]
