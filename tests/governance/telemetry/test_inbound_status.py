"""What the status document says of who may come in: policies, services that are asked, tokens."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

from rich.console import Console

from proxyless import Mesh
from proxyless.cli._status_view import view
from proxyless.cli._url import parse_url
from proxyless.governance.actions import Failure
from proxyless.governance.hello import ISTIO
from proxyless.governance.inbound_explain import dry_request
from proxyless.governance.telemetry.inbound_status import inbound_status
from proxyless.xds.model.ext_authz import ExtAuthz, HttpAuthorizer
from proxyless.xds.model.filters import GrpcTarget
from proxyless.xds.model.jwt import JwtAuthentication, JwtProvider, RemoteJwks
from proxyless.xds.model.listener import TcpProxy, UnknownNetworkFilter
from proxyless.xds.model.matching import MatcherTree
from proxyless.xds.model.rbac import Anything, NetworkRbac, Policy, Rbac, Rules
from proxyless.xds.model.tls import CommonTls, DownstreamTls, SanMatcher, Validation
from tests.governance.suites.served import PAYMENT
from tests.governance.telemetry.test_status import PAGE
from tests.support.model import chain, http_filter, listener, manager, route, table
from tests.support.tokens import key_set, signer
from tests.support.world import World

RBAC = "envoy.filters.http.rbac"
REMOTE = RemoteJwks("https://issuer.example/keys", "issuer", 2.0)
ANYBODY = Policy((Anything(),), (Anything(),))


def documented() -> set[str]:
    section = PAGE.partition("\nEach entry of `inbound`")[2].partition("\nEach entry of")[0]
    return {key for line in section.splitlines() for key in re.findall(r"`(\w+)`", line.partition(" | ")[0])}


def test_the_recorded_payment_says_whom_it_lets_in() -> None:
    """Nobody has come in by a port before the first connection; TLS and plaintext are chains of one name."""
    with Mesh.from_recorded(PAYMENT, registry=False, status_socket=False) as mesh:
        assert mesh.status()["inbound"] == []
        url = parse_url("http://payment/")
        dry_request(mesh.runtime, "GET", url, [], 8080, "10.0.0.9")
        mesh.runtime.plan.inbound(8080, "10.0.0.9", ISTIO)
        document = mesh.status()
        plain, secure = sorted(document["inbound"], key=lambda each: str(each["tls"] == "mutual"))
        assert set(plain) == documented()
        named = "ns[shop]-policy[payment-{}]-rule[{}]".format
        for found, action, count in zip(plain["authorization"], ("DENY", "ALLOW"), (2, 3), strict=True):
            policies = [named(action.lower(), each) for each in range(count)]
            assert found == {"filter": RBAC, "shadow": False, "action": action, "policies": policies}
        (tokens,) = plain["tokens"]
        assert (tokens["issuer"], tokens["keys_from"]) == ("https://issuer.example", None)
        assert (plain["tls"], plain["expected"], plain["closed"]) == ("none", [], None)
        assert (secure["tls"], secure["expected"]) == ("mutual", ["prefix spiffe://cluster.local/"])
        shown = text(document)
        for each in ("who may come in", "mTLS", "payment-deny", "https://issuer.example", "configured"):
            assert each in shown


def test_every_kind_of_guard() -> None:
    rules = Rules("ALLOW", ())
    asked = Rbac(shadow=Rules("DENY", (("istio-ext-authz-asker-ns[shop]-policy[ask]-rule[0]", ANYBODY),)))
    filters = [
        http_filter("asked", asked),
        http_filter("asker", ExtAuthz(GrpcTarget("authz"), failure_mode_allow=True)),
        http_filter("other asker", ExtAuthz(HttpAuthorizer("http-authz"), status_on_error=503)),
        http_filter("tree", Rbac(rules=MatcherTree("list"))),
        http_filter("off", Rbac(rules=rules), disabled=True),
        http_filter("jwt", JwtAuthentication((("one", JwtProvider(remote=REMOTE, audiences=("a",))),))),
    ]
    tls = DownstreamTls(CommonTls(validation=Validation(sans=(SanMatcher("exact", "spiffe://a"),))))
    door = NetworkRbac("door", Rbac(rules))
    wasm = UnknownNetworkFilter("wasm", "x", "y")
    chains = [
        chain(manager(table(route("/", "a")), *filters), "http", destination_port=80),
        replace(chain(TcpProxy("a"), "tcp", destination_port=81), rbac=(door,), downstream=tls),
        replace(chain(TcpProxy("a"), "shut", destination_port=82), closed_by=(wasm,)),
        replace(chain(TcpProxy("a"), "odd", destination_port=83), unknown_socket="alts"),
    ]
    world = World(listeners=[listener("virtualInbound", *chains)])
    runtime = world.runtime
    for port in (83, 80, 81, 82, 84, 80):
        runtime.plan.inbound(port, "10.0.0.9")
    http, tcp, shut, odd = inbound_status(runtime)
    assert [each["action"] for each in http["authorization"]] == ["DENY", None]
    assert [each["shadow"] for each in http["authorization"]] == [True, False]
    shown_of = ("filter", "cluster", "protocol", "fails_open", "status_on_error")
    assert [tuple(each[key] for key in shown_of) for each in http["asks"]] == [
        ("asker", "authz", "grpc", True, 403),
        ("other asker", "http-authz", "http", False, 503),
    ]
    (tokens,) = http["tokens"]
    assert (tokens["issuer"], tokens["audiences"], tokens["keys_from"]) == ("", ["a"], REMOTE.uri)
    assert (tokens["keys_age_s"], tokens["last_failure"]) == (None, None)
    assert (tcp["tls"], tcp["expected"]) == ("server", ["exact spiffe://a"])
    assert tcp["authorization"] == [{"filter": "door", "shadow": False, "action": "ALLOW", "policies": []}]
    assert (shut["closed"], odd["tls"]) == ("wasm", "unknown")
    keys = runtime.key_set(REMOTE)
    keys.ahead(key_set(signer("RS256")).encode())
    world.clock.advance(7.0)
    keys.ahead(Failure("timeout", "no answer in time"))
    (tokens,) = inbound_status(runtime)[0]["tokens"]
    assert (tokens["keys_age_s"], tokens["last_failure"]) == (7.0, "no answer in time")
    with Mesh.from_recorded(PAYMENT, registry=False, status_socket=False) as mesh:
        shown = text({**mesh.status(), "inbound": inbound_status(runtime)})
    for each in ("CUSTOM", "or lets pass", "matcher", "closed", "refused", "no answer in time", "7 s"):
        assert each in shown


def text(document: dict[str, Any]) -> str:
    """As people see it."""
    console = Console(file=io.StringIO(), width=300)
    console.print(view(document))
    return str(console.file.getvalue())  # type: ignore[attr-defined]
