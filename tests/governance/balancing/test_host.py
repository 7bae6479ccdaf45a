"""One endpoint."""

from __future__ import annotations

import pytest

from proxyless.governance.balancing.host import Host, HostState
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.endpoint import HealthStatus
from proxyless.xds.model.tls import UpstreamTls
from tests.support.model import host


@pytest.mark.parametrize(("address", "name"), [("10.0.0.1:80", b"10.0.0.1"), ("[fd00::1]:80", b"fd00::1")])
def test_a_host_says_where_it_is(address: str, name: bytes) -> None:
    found = Host(host(address, weight=3, health="DRAINING"), HostState())
    assert (found.address, found.host, found.port, found.weight, found.health) == (address, name, 80, 3, "DRAINING")
    assert repr(found) == f"<Host {address}>"


@pytest.mark.parametrize(
    ("socket", "secure", "why"),
    [
        (TransportSocket(), False, None),
        (TransportSocket("tls", UpstreamTls()), True, "has no identity to offer"),
        (
            TransportSocket("alts", unsupported="alts is not supported"),
            True,
            "endpoint 10.0.0.1:80: alts is not supported",
        ),
    ],
)
def test_a_host_behind_tls_or_something_unknown_must_be_secure_and_says_why_it_is_not_spoken_to(
    socket: TransportSocket, secure: bool, why: str | None
) -> None:
    found = Host(host("10.0.0.1:80"), HostState(), socket=socket)
    assert found.must_be_secure == secure
    assert why is None or found.why_not("a").endswith(why)


@pytest.mark.parametrize(
    ("health", "flags", "seen"),
    [
        ("UNKNOWN", (), "healthy"),
        ("HEALTHY", ("pending",), "healthy"),
        ("HEALTHY", ("degraded",), "degraded"),
        ("DEGRADED", (), "degraded"),
        ("DEGRADED", ("ejected",), "unhealthy"),
        ("HEALTHY", ("failing",), "unhealthy"),
        ("DRAINING", (), "unhealthy"),
        ("TIMEOUT", (), "unhealthy"),
        ("UNHEALTHY", ("degraded",), "unhealthy"),
    ],
)
def test_the_worst_that_is_known_of_a_host_counts(health: HealthStatus, flags: tuple[str, ...], seen: str) -> None:
    state = HostState()
    for each in flags:
        setattr(state, each, True)
    assert Host(host("10.0.0.1:80", health=health), state).coarse_health == seen
