"""What becomes of a new connection, by what it begins with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.entrance import NOWHERE, Patience, Refused, Source, admit, enter, patience, plain
from proxyless.governance.hello import ISTIO, Hello
from proxyless.governance.runtime import Options
from proxyless.xds.model.listener import (
    FilterChain,
    FilterChainMatch,
    HttpConnectionManager,
    TcpProxy,
    UnknownNetworkFilter,
)
from proxyless.xds.model.rbac import Anything, NetworkRbac, Policy, Rbac, Rules, WithAddress
from proxyless.xds.model.resource import ResourceError, ResourceType
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.model.tls import DownstreamTls
from proxyless.xds.model.values import Cidr
from tests.support.model import listener
from tests.support.world import World

HTTP = HttpConnectionManager("inbound")
TLS = DownstreamTls()
FOREIGN = Hello("a.b", ("h2",))


def chain(name: str, transport: str = "", *protocols: str, **fields: Any) -> FilterChain:
    fields.setdefault("http", HTTP)
    return FilterChain(
        name, FilterChainMatch(8080, transport_protocol=transport, application_protocols=protocols), **fields
    )


STRICT = (chain("mtls", "tls", downstream=TLS),)
PERMISSIVE = (chain("mtls", "tls", "istio", downstream=TLS), chain("plain", "raw_buffer"))
DISABLE = (chain("plain"),)
GUARDED = (chain("tcp", http=None, tcp=TcpProxy("app"), rbac=(NetworkRbac("rbac", Rbac()),)),)
NEAR = Policy((Anything(),), (WithAddress("source", Cidr("192.0.2.0", 24)),))
NEAR_ONLY = chain(
    "tcp", http=None, tcp=TcpProxy("app"), rbac=(NetworkRbac("rbac", Rbac(Rules(policies=(("near", NEAR),)))),)
)
ODD = UnknownNetworkFilter("odd", "odd.type", "not done")
CLOSED = (chain("tcp", http=None, tcp=TcpProxy("app"), closed_by=(ODD,)),)
BY_ADDRESS = (
    chain("any", "tls", downstream=TLS),
    FilterChain("near", FilterChainMatch(8080, source_prefix_ranges=(Cidr("10.0.0.0", 8),)), http=HTTP, downstream=TLS),
)
APP_TLS = (*PERMISSIVE, chain("own", "tls", http=None, tcp=TcpProxy("app")))


def taken(chains: tuple[FilterChain, ...], hello: Hello | None, port: int = 8080) -> str:
    found = enter(World(listeners=[listener("virtualInbound", *chains)]).runtime, port, hello)
    assert found is not None
    return f"refused: {found.reason}" if isinstance(found, Refused) else found.name


@pytest.mark.parametrize(
    ("chains", "hello", "expected"),
    [
        (STRICT, ISTIO, "mtls"),
        (STRICT, FOREIGN, "mtls"),
        (STRICT, None, "refused: no filter chain of port 8080 takes plaintext"),
        (PERMISSIVE, ISTIO, "mtls"),
        (PERMISSIVE, None, "plain"),
        (PERMISSIVE, FOREIGN, "refused: no filter chain of port 8080 takes TLS with ALPN h2 and SNI a.b"),
        (PERMISSIVE, Hello(), "refused: no filter chain of port 8080 takes TLS with ALPN none"),
        (DISABLE, ISTIO, "plain"),
        (DISABLE, None, "plain"),
        (APP_TLS, FOREIGN, "refused: filter chain 'own' passes TLS on to the app, which is not served here"),
        (GUARDED, None, "refused: filter chain 'tcp' lets in by address too, which this server does not know"),
        (CLOSED, None, "refused: network filter odd of filter chain 'tcp' cannot be enforced: not done"),
        ((chain("http", closed_by=(ODD,)),), None, "http"),
        (
            BY_ADDRESS,
            ISTIO,
            "refused: the filter chains of port 8080 differ by address, which this server does not know",
        ),
        (
            (chain("odd", unknown_socket="q"),),
            None,
            "refused: transport socket q of filter chain 'odd' is not supported",
        ),
    ],
)
def test_the_chain_of_a_connection(chains: tuple[FilterChain, ...], hello: Hello | None, expected: str) -> None:
    assert taken(chains, hello) == expected


def test_without_configuration_nobody_gets_in() -> None:
    runtime = World(Snapshot()).runtime
    found = enter(runtime, 8080, None)
    assert isinstance(found, Refused)
    assert found.reason == "no complete configuration yet"


def test_plaintext_may_pass_until_it_comes() -> None:
    runtime = World(Snapshot(), options=Options(passthrough_until_ready=True)).runtime
    assert enter(runtime, 8080, None) is None
    assert isinstance(enter(runtime, 8080, ISTIO), Refused)


def test_a_port_without_a_listener_takes_nothing() -> None:
    found = enter(World().runtime, 8080, None)
    assert isinstance(found, Refused)
    assert found.reason == "no listener takes port 8080"


def test_a_listener_that_cannot_be_read_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(listeners=[listener("virtualInbound", *STRICT)])
    entrance = world.runtime.plan.entrance(8080)
    assert entrance is not None

    def fails(self: object) -> None:
        raise ResourceError(ResourceType.LISTENER, "virtualInbound", "bad listener")

    monkeypatch.setattr(type(entrance), "get", fails)
    found = enter(world.runtime, 8080, None)
    assert isinstance(found, Refused)
    assert "bad listener" in found.reason


def test_where_the_address_is_known_the_filters_of_the_chain_are_asked_by_it() -> None:
    runtime = World(listeners=[listener("virtualInbound", *GUARDED)]).runtime
    assert isinstance(enter(runtime, 8080, None, "192.0.2.7", 1), FilterChain)


def test_addresses_that_chains_of_other_ports_look_at_do_not_matter() -> None:
    other = FilterChain("other", FilterChainMatch(9090, source_type="EXTERNAL"), http=HTTP)
    assert taken((*STRICT, other), ISTIO) == "mtls"


@pytest.mark.parametrize("allowed", ["odd", "odd.type"])
def test_what_nobody_enforces_may_be_allowed(allowed: str) -> None:
    options = Options(allow_unenforced=frozenset({allowed}))
    runtime = World(listeners=[listener("virtualInbound", *CLOSED)], options=options).runtime
    assert isinstance(enter(runtime, 8080, None), FilterChain)


def test_where_the_address_is_known_chains_may_differ_by_it() -> None:
    runtime = World(listeners=[listener("virtualInbound", *BY_ADDRESS)]).runtime
    found = enter(runtime, 8080, ISTIO, "10.0.0.9", 1)
    assert isinstance(found, FilterChain)


def test_the_listener_says_how_long_a_connection_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert patience(World().runtime, 8080) == Patience(15.0)
    held = replace(listener("virtualInbound", *STRICT), detection_timeout_s=None, goes_on_undetected=True)
    runtime = World(listeners=[held]).runtime
    assert patience(runtime, 8080) == Patience(None, goes_on=True)
    entrance = runtime.plan.entrance(8080)

    def fails(self: object) -> None:
        raise ResourceError(ResourceType.LISTENER, "virtualInbound", "bad listener")

    monkeypatch.setattr(type(entrance), "get", fails)
    assert patience(runtime, 8080) == Patience(15.0)


def test_the_filters_of_a_connection_are_asked_once_it_is_known_who_it_is() -> None:
    runtime = World(listeners=[listener("virtualInbound", *GUARDED)]).runtime
    near, far = Source("192.0.2.7", 1), Source("198.51.100.7", 1, "192.0.2.1")
    assert admit(runtime, 8080, GUARDED[0], None, near) is None
    assert admit(runtime, 8080, STRICT[0], None, near) is None
    said = admit(runtime, 8080, NEAR_ONLY, None, far)
    assert said == Refused("filter chain 'tcp': rbac_access_denied_matched_policy[none]")
    assert admit(runtime, 8080, NEAR_ONLY, None, near) is None
    assert admit(runtime, 8080, NEAR_ONLY, None, NOWHERE) is not None


def test_addresses_of_version_4_are_spelled_as_such() -> None:
    assert [plain(each) for each in ("::ffff:192.0.2.7", "::ffff:1", "192.0.2.7")] == [
        "192.0.2.7",
        "::ffff:1",
        "192.0.2.7",
    ]
