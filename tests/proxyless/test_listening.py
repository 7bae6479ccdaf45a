"""Where the servers of a control plane's process listen."""

from __future__ import annotations

import socket
from contextlib import closing

import httpx
import pytest

from proxyless._listening import Listening, QuietHandler, QuietServer, parsed
from proxyless.errors import ConfigurationError


class Handler(QuietHandler):
    def do_GET(self) -> None:  # noqa: N802  # what http.server calls
        self.say(200, "text/plain", b"here")


def has_ipv6() -> bool:
    try:
        with closing(socket.create_server(("::1", 0), family=socket.AF_INET6)):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    "host", ["127.0.0.1", pytest.param("[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6"))]
)
def test_the_authority_is_where_it_is_reached(host: str) -> None:
    listening = Listening(f"{host}:0", lambda address: QuietServer(address, Handler), "listening")
    try:
        assert listening.authority.startswith(f"{host}:")
        assert httpx.get(f"http://{listening.authority}/", trust_env=False).text == "here"
    finally:
        listening.stop()


@pytest.mark.parametrize(
    ("said", "host", "port"), [(":8443", "0.0.0.0", 8443), ("[::]:0", "::", 0), ("a.example:1", "a.example", 1)]
)
def test_an_option_is_a_host_and_a_port(said: str, host: str, port: int) -> None:
    assert parsed(said) == (host, port)


@pytest.mark.parametrize("said", ["8443", "a:b", "a:", "a:65536"])
def test_what_is_none_is_named(said: str) -> None:
    with pytest.raises(ConfigurationError, match=f'cannot listen on "{said}"'):
        parsed(said)
