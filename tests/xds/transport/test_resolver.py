"""One look-up, against a real server of names on loopback."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxyless.xds.model.dns import DnsOptions
from proxyless.xds.model.values import Address
from proxyless.xds.transport import resolver
from proxyless.xds.transport.resolver import FAILED, Answer, NameService, resolve
from tests.support.nameserver import Names, Zone

V4, V6, BOTH = socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC

ZONE: Zone = {
    ("a.test.", "A"): [("a.test.", 30, "A", "10.0.0.1", "10.0.0.2")],
    ("a.test.", "AAAA"): [("a.test.", 20, "AAAA", "fd00::1")],
    ("alias.test.", "A"): [("alias.test.", 5, "CNAME", "a.test."), ("a.test.", 30, "A", "10.0.0.1")],
    ("four.test.", "A"): [("four.test.", 30, "A", "10.0.0.4")],
    ("broken.test.", "A"): [],
    ("broken.test.", "AAAA"): [],
}


@pytest.fixture
def names() -> Iterator[Names]:
    server = Names(ZONE)
    server.start()
    yield server
    with_error = server.is_alive()
    server.socket.close()
    assert with_error


def options(server: Names, **fields: object) -> DnsOptions:
    given = {"servers": (Address("127.0.0.1", server.port),), "query_timeout_s": 2.0, "query_tries": 1, **fields}
    return DnsOptions(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "family", "answer"),
    [
        ("a.test", V4, Answer(("10.0.0.1", "10.0.0.2"), 30.0)),
        ("a.test", V6, Answer(("fd00::1",), 20.0)),
        ("a.test", BOTH, Answer(("fd00::1", "10.0.0.1", "10.0.0.2"), 20.0)),
        ("alias.test", V4, Answer(("10.0.0.1",), 5.0)),
        ("four.test", V6, Answer()),
        ("nobody.test", V4, Answer()),
        ("broken.test", V4, FAILED),
    ],
)
def test_servers_tell_addresses_and_ttls(names: Names, host: str, family: int, answer: Answer) -> None:
    found = resolve(host, socket.AddressFamily(family), options(names))
    assert (found.ttl_s, found.failed) == (answer.ttl_s, answer.failed)
    assert sorted(found.addresses) == sorted(answer.addresses)  # a server turns them round


def test_a_literal_needs_no_server(names: Names) -> None:
    assert resolve("10.0.0.7", V4, options(names)) == Answer(("10.0.0.7",))
    assert resolve("10.0.0.7", V6, options(names)) == Answer()
    assert resolve("fd00::7", BOTH, options(names)) == Answer(("fd00::7",))
    assert names.asked == []


def test_the_file_of_hosts_comes_first(names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# nothing\n\n127.0.0.5 other A.test  # 6\n::5 a.test\n")
    monkeypatch.setattr(resolver, "HOSTS", hosts)
    assert resolve("a.test.", V4, options(names)) == Answer(("127.0.0.5",))
    assert resolve("a.test", BOTH, options(names)) == Answer(("127.0.0.5", "::5"))
    monkeypatch.setattr(resolver, "HOSTS", tmp_path / "none")
    assert resolve("a.test", V4, options(names)).ttl_s == 30.0


def test_over_tcp() -> None:
    server = Names(ZONE, tcp=True)
    server.start()
    assert resolve("four.test", V4, options(server, use_tcp=True)) == Answer(("10.0.0.4",), 30.0)
    server.close()


def test_a_silent_server_is_a_failure() -> None:
    silent = socket.socket(V4, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    asked = DnsOptions(servers=(Address("127.0.0.1", silent.getsockname()[1]),), query_timeout_s=0.05, query_tries=2)
    assert resolve("a.test", V4, asked) == FAILED
    silent.close()


def test_servers_may_be_a_fallback(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    import dns.resolver

    original = dns.resolver.Resolver
    configured: list[bool] = []

    def without_configuration(*, configure: bool) -> dns.resolver.Resolver:
        configured.append(configure)
        if configure:
            raise dns.resolver.NoResolverConfiguration
        return original(configure=False)

    monkeypatch.setattr(dns.resolver, "Resolver", without_configuration)
    assert resolve("four.test", V4, options(names, servers_are_fallback=True)) == Answer(("10.0.0.4",), 30.0)
    assert configured == [True, False]
    # nobody to ask: the system's resolver is left, and knows no TTL
    assert resolve("localhost.", V4, DnsOptions(respect_ttl=True)).ttl_s is None


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (socket.gaierror(socket.EAI_NONAME, "no"), Answer()),
        (socket.gaierror(socket.EAI_AGAIN, "later"), FAILED),
        (UnicodeError("label too long"), FAILED),
    ],
)
def test_the_systems_resolver_tells_no_name_from_no_answer(
    error: Exception, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert resolve("a.test", V4, DnsOptions()) == answer


def test_the_systems_resolver_is_asked_where_nothing_else_is_wanted() -> None:
    assert resolve("localhost", V4, DnsOptions()) == Answer(("127.0.0.1",))


def test_a_request_may_wait_for_a_name(names: Names) -> None:
    service = NameService()
    asked = ("alias.test", options(names, lookup_family="V4_ONLY"))
    assert service.ask(asked, 5.0) == (("10.0.0.1",), 5.0)
    assert asyncio.run(service.ask_async(asked, 5.0)) == (("10.0.0.1",), 5.0)
    assert service.ask(("broken.test", asked[1]), 5.0) == (None, None)


def test_a_task_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NameService, "ask", lambda self, request, timeout_s: time.sleep(0.3))
    assert asyncio.run(NameService().ask_async(("a.test", DnsOptions()), 0.01)) == (None, None)
