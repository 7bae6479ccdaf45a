"""The doctor beside a real control plane and its authority: all is well, then one thing after the other is broken."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from proxyless._variables import switched
from proxyless.examining.finding import Finding
from proxyless.examining.here import Place, examine
from proxyless.examining.versions import switches
from proxyless.xds.controlplane.authority.authority import Authority
from proxyless.xds.controlplane.authority.callers import Caller
from tests.support.certificates import authority as other_authority
from tests.support.certificates import write
from tests.support.ports import free_port
from tests.xds.controlplane.authority.support import Clock, Known, authority, serving
from tests.xds.controlplane.support import endpoints, istio, service

MESH = service("web", "http:80") + endpoints("web", "http:8080", "10.0.0.9")
STRICT = istio("PeerAuthentication", "strict", "{mtls: {mode: STRICT}}")
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ACCOUNT = "system:serviceaccount:shop:cart"


def jwt(**claims: Any) -> str:
    body = {"aud": ["istio-ca"], "sub": ACCOUNT, "iat": time.time(), "exp": time.time() + 3600, **claims}
    parts = (json.dumps(each).encode() for each in ({"alg": "none"}, body))
    return ".".join(urlsafe_b64encode(each).rstrip(b"=").decode() for each in (*parts, b"s"))


@dataclass
class World:
    """A control plane, and a place whose environment leads to it."""

    folder: Path
    root: Path
    address: str
    made: Authority
    known: Known

    def place(
        self,
        token: str | None = None,
        labels: str = 'app="cart"\nsecurity.istio.io/tlsMode="istio"',
        **more: str,
    ) -> Place:
        said = jwt() if token is None else token
        self.known.tokens[said] = Caller("shop", "cart")
        (self.root / "token").write_text(said)
        (self.root / "root.pem").write_bytes(self.made.roots)
        (self.root / "etc/istio/pod").mkdir(parents=True, exist_ok=True)
        (self.root / "etc/istio/pod/labels").write_text(labels)
        environ = {
            "POD_NAME": "cart-0",
            "POD_NAMESPACE": "shop",
            "INSTANCE_IP": "10.0.0.7",
            "PILOT_DISCOVERY_ADDRESS": self.address,
            "PROXYLESS_TOKEN_FILE": str(self.root / "token"),
            "PROXYLESS_ROOT_CERT": str(self.root / "root.pem"),
        }
        return Place({**environ, **more}, self.root, timeout_s=30.0)

    def found(self, place: Place) -> list[Finding]:
        return list(examine(place))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    folder, root = tmp_path / "mesh", tmp_path / "root"
    folder.mkdir()
    root.mkdir()
    (folder / "mesh.yaml").write_text(MESH)
    made, _ = authority(Clock(time.time()))
    known = Known()
    with serving(folder, made, known) as server:
        yield World(folder, root, server.tls_address, made, known)


def wrong(findings: list[Finding], check: str = "") -> list[str]:
    return [
        f"{each.level} {each.check}: {each.text}"
        for each in findings
        if each.level in ("error", "warning") and (not check or each.check == check)
    ]


def test_where_all_is_well_nothing_is_found(world: World) -> None:
    findings = world.found(world.place())
    assert wrong(findings) == []
    seen = {each.check: each.text for each in findings if each.level == "good"}
    assert {
        "versions",
        "environment",
        "token",
        "root",
        "control plane",
        "tls",
        "xds",
        "identity",
        "mtls",
        "sidecar",
        "fields",
    } <= seen.keys()
    assert seen["identity"].startswith("spiffe://cluster.local/ns/shop/sa/cart, ")
    assert "Cluster" in seen["xds"]
    assert all(each.do for each in findings if each.level == "unknown")
    assert jwt()[:20] not in json.dumps([each.document() for each in findings]), "no token is told"


def test_what_is_wrong_with_mtls_and_fields_is_seen_in_what_is_sent(world: World) -> None:
    patch = f"{{operation: MERGE, value: {{typed_config: {{'@type': {HCM}, proxy_status_config: {{}}}}}}}}"
    match = "{listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}"
    status = istio(
        "EnvoyFilter", "status", f"{{configPatches: [{{applyTo: NETWORK_FILTER, match: {match}, patch: {patch}}}]}}"
    )
    (world.folder / "mesh.yaml").write_text(MESH + STRICT + status)
    with serving(world.folder, world.made, world.known) as server:
        world.address = server.tls_address
        findings = world.found(world.place(labels='app="cart"'))
        (mtls,) = wrong(findings, "mtls")
        assert mtls.startswith("error mtls: PeerAuthentication STRICT holds for ")
        assert "peers are told to call it in plaintext" in mtls
        (fields,) = wrong(findings, "fields")
        assert fields.startswith("warning fields: proxy-status is not sent yet: ")
        findings = world.found(world.place(PROXYLESS_IDENTITY="none"))
        assert any("and this workload has no certificate: every caller is refused" in each for each in wrong(findings))
        assert any("may ask for a certificate, and there is none" in each for each in wrong(findings))
        assert any("PROXYLESS_IDENTITY=none" in each for each in wrong(findings, "environment"))


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "error token: the token file"),
        ("opaque", "warning token:"),
        (jwt(aud=["https://kubernetes.default.svc"]), "is for https://kubernetes.default.svc, not for istio-ca"),
        (jwt(exp=time.time() - 7200), "expired 2 h ago"),
        (jwt(iat=time.time() + 12_400), "error clock: the token is from 3 h in the future"),
    ],
)
def test_a_token_that_is_none_or_out_of_time_is_said(world: World, token: str, said: str) -> None:
    place = world.place(token)
    if not token:
        place = replace(place, timeout_s=2.0)  # nobody will answer
    assert any(said in each for each in wrong(world.found(place))), said


def test_a_token_that_would_go_in_the_clear_is_said(world: World) -> None:
    place = replace(world.place(CA_ADDR="127.0.0.1:15010"), timeout_s=2.0)
    said = [each for each in wrong(world.found(place), "token") if "127.0.0.1:15010" in each]
    (found,) = said
    assert found.startswith(("error token: ", "warning token: "))
    assert "everybody on the way" in found


def test_a_token_that_the_control_plane_does_not_know_is_said(world: World) -> None:
    place = world.place()
    world.known.tokens.clear()
    findings = world.found(Place(place.environ, place.root, timeout_s=3.0))
    (xds,) = wrong(findings, "xds")
    assert "the control plane refused the token" in xds
    assert any("refused the token" in each for each in wrong(findings, "identity"))


def test_a_certificate_for_somebody_else_is_said(world: World) -> None:
    place = world.place()
    world.known.tokens = dict.fromkeys(world.known.tokens, Caller("shop", "other"))
    (said,) = wrong(world.found(place), "identity")
    assert "spiffe://cluster.local/ns/shop/sa/other is not the expected spiffe://cluster.local/ns/shop/sa/cart" in said


def test_a_root_that_is_missing_or_anothers_is_said(world: World) -> None:
    place = world.place()
    root = world.root / "root.pem"
    root.write_bytes(other_authority("another").pem)
    found = wrong(world.found(place))
    assert any("error tls: its certificate does not verify by" in each for each in found)
    assert not any("xds:" in each for each in found), "what comes after is not tried"
    root.write_text("nonsense")
    assert any("holds no certificate in PEM" in each for each in wrong(world.found(place), "root"))
    root.unlink()
    assert any("cannot read the root certificate" in each for each in wrong(world.found(place), "root"))


def test_where_nobody_answers_the_address_is_what_is_said(world: World) -> None:
    port = free_port()
    for address, said in (
        (f"127.0.0.1:{port}", "Connection refused"),
        ("istiod.nowhere.invalid:15012", "istiod.nowhere.invalid does not resolve"),
    ):
        (found,) = wrong(world.found(world.place(PILOT_DISCOVERY_ADDRESS=address)), "control plane")
        assert said in found


def test_a_port_of_something_else_is_said(world: World, tmp_path: Path) -> None:
    ca = other_authority()
    (world.root / "mine.pem").write_bytes(ca.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(ca.leaf(dns=("127.0.0.1", "old.name")), tmp_path, "web"))
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            while True:
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                with accepted:
                    try:
                        context.wrap_socket(accepted, server_side=True).close()
                    except OSError:
                        continue

        def hang_up() -> None:
            while True:
                try:
                    accepted, _ = plain.accept()
                except OSError:
                    return
                accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                accepted.close()

        for each in (answer, hang_up):
            threading.Thread(target=each, daemon=True).start()
        port, other = listening.getsockname()[1], plain.getsockname()[1]
        mine = {"PROXYLESS_ROOT_CERT": str(world.root / "mine.pem")}
        for host, said in (
            ("127.0.0.1", "no HTTP/2"),
            ("localhost", "is not for localhost: it is for 127.0.0.1, old.name"),
        ):
            (found,) = wrong(world.found(world.place(PILOT_DISCOVERY_ADDRESS=f"{host}:{port}", **mine)), "tls")
            assert said in found
        (found,) = wrong(world.found(world.place(PILOT_DISCOVERY_ADDRESS=f"127.0.0.1:{other}")), "tls")
        assert "TLS" in found or "hung up" in found
        for open_one in (listening, plain):
            open_one.shutdown(socket.SHUT_RDWR)


def test_a_place_without_a_name_or_with_nonsense_is_said(world: World) -> None:
    place = world.place(PILOT_DISCOVERY_ADDRESS="istiod")
    assert wrong(world.found(place)) == ["error environment: PILOT_DISCOVERY_ADDRESS 'istiod' is not host:port"]
    place = world.place(labels="", INSTANCE_IP="", POD_NAME="")
    found = wrong(world.found(place), "environment")
    assert "warning environment: INSTANCE_IP and POD_NAME missing: istiod does not know which Pod this is" in found
    assert any("no labels" in each for each in found)


def test_plaintext_and_switches_are_said(world: World) -> None:
    environ = {
        "POD_NAME": "a",
        "INSTANCE_IP": "10.0.0.7",
        "PROXYLESS_XDS": "xds://127.0.0.1:1",
        "PROXYLESS_DISABLE": "1",
        "GRPC_ENABLE_FORK_SUPPORT": "1",
    }
    found = wrong(list(examine(Place(environ, world.root, timeout_s=1.0))))
    assert any("spoken to in plaintext" in each for each in found)
    assert any("PROXYLESS_DISABLE=1: every suite passes requests through" in each for each in found)
    assert any(each.startswith("error environment: GRPC_ENABLE_FORK_SUPPORT=1") for each in found)


def test_a_switch_that_is_off_is_none() -> None:
    said = {
        "PROXYLESS_DISABLE": "Yes",
        "PROXYLESS_ALLOW_SIDECAR": "false",
        "PROXYLESS_IDENTITY": "auto",
        "PROXYLESS_ALLOW_UNENFORCED": "x",
    }
    found = [each.text.partition(":")[0] for each in switches(said)]
    assert found == ["PROXYLESS_DISABLE=Yes", "PROXYLESS_ALLOW_UNENFORCED=x"]
    assert switched("PROXYLESS_DISABLE", said)
    assert not switched("PROXYLESS_ALLOW_SIDECAR", said)
