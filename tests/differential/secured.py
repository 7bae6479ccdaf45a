"""Servers behind mTLS and those who call them: recorded inbound chains, by Envoy and by us, and istiod's clusters.

The client is the real Envoy with the cluster that istiod makes for auto mTLS, its certificates in files in place of
SDS; it says by ALPN what Istio's filter would. The server is another Envoy with a recorded inbound chain and a backend
behind it, or an app with `proxyless.tls` and the middleware.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias
from uuid import uuid4

import httpx
import uvloop

import proxyless
from proxyless.xds.identity.secrets import KeyPair
from tests.differential import bootstrap
from tests.differential.bootstrap import HCM, TYPE
from tests.differential.conftest import SHOP
from tests.differential.custom import cluster
from tests.differential.recording import Recording, Resource
from tests.differential.test_jwt_payment import JWT, KEY, LIMIT, filters_of, without
from tests.differential.test_mtls import DUE, ROUTER, data, http, listener, logged, pair, slug
from tests.governance.suites.blocking import http_server
from tests.proxyless import test_tls
from tests.support.backends import Backends
from tests.support.certificates import Authority
from tests.support.envoy import Envoy
from tests.support.serving import Serve, Server
from tests.support.tokens import key_set

Header: TypeAlias = tuple[str, str]
Calls: TypeAlias = "dict[tuple[str, str], Caller]"  # by the names of server and client

APP = ("127.0.47.1", 8080)
XFCC = "x-forwarded-client-cert"
FRONTEND = Recording.load(SHOP / "frontend")
CALLED = {
    "ledger": "outbound|8080||ledger.bank.svc.cluster.local",
    "payment": "outbound|80||payment.shop.svc.cluster.local",
}
OFFERED = {"h1": "istio-http/1.1,istio,http/1.1", "h2": "istio-h2,istio,h2"}


@dataclass(frozen=True)
class Place:
    """A server: whose recorded inbound chains, what is changed of them, the certificate that it shows."""

    node: str
    certificate: KeyPair
    manager: Resource = field(default_factory=dict)
    plaintext_only: bool = False
    inspected: bool = True
    bare: bool = False
    """Chains are not chosen by the protocol of the transport."""


@dataclass(frozen=True)
class Caller:
    """A client: the certificate it shows (None: none), whether it speaks TLS at all, the limits of its TLS."""

    certificate: KeyPair | None
    tls: bool = True
    params: Resource = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What the client answered and logged, and what came through: of each request the headers about the client.

    Behind `BLOCKING` it is the path of each.
    """

    status: int
    flags: str
    protocol: str
    failure: str
    arrived: tuple[tuple[bytes, ...], ...]


class App:
    """Remembers who it was told that the client is."""

    def __init__(self) -> None:
        self.arrived: list[tuple[bytes, ...]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.arrived.append(tuple(value for name, value in scope["headers"] if name == XFCC.encode()))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


OURS: dict[str, tuple[Callable[[proxyless.Mesh], Serve], Callable[[], asyncio.AbstractEventLoop]]] = {
    "uvicorn": (test_tls.by_uvicorn, asyncio.new_event_loop),
    "uvloop": (lambda mesh: test_tls.by_uvicorn(mesh, http="httptools"), uvloop.new_event_loop),
    "hypercorn": (test_tls.by_hypercorn, asyncio.new_event_loop),
}
"""How they serve, and on which event loop: that of uvloop has TLS of its own."""
BLOCKING = "http.server"
SPOKEN = (("uvicorn", "h1"), ("uvloop", "h1"), ("hypercorn", "h1"), ("hypercorn", "h2"))


def in_files(common: Resource, certificate: Resource | None, roots: Path) -> None:
    """The certificates that SDS would bring."""
    common.pop("tls_certificate_sds_secret_configs")
    default = common.pop("combined_validation_context")["default_validation_context"]
    common["validation_context"] = {**default, "trusted_ca": data(roots)}
    if certificate is not None:
        common["tls_certificates"] = [certificate]


def inbound(place: Place) -> Recording:
    """The recorded inbound chains of port 8080, with a key of ours and without the limit of requests."""
    recording = Recording.load(SHOP / place.node)
    held = recording.listeners["virtualInbound"]
    held["filter_chains"] = [
        each
        for each in held["filter_chains"]
        if each["filter_chain_match"].get("destination_port") == 8080
        and not (place.plaintext_only and "transport_socket" in each)
    ]
    held["listener_filters"] = [
        each
        for each in held["listener_filters"]
        if not each["name"].endswith("http_inspector")
        and (place.inspected or not each["name"].endswith("tls_inspector"))
    ]
    if place.bare:
        for each in held["filter_chains"]:
            each["filter_chain_match"].pop("transport_protocol")
    without(held, LIMIT)
    for config in filters_of(held, JWT):
        for provider in config["providers"].values():
            provider["local_jwks"] = {"inline_string": key_set(KEY)}
    for config in filters_of(held, HCM):
        config.update(place.manager)
    return recording


def served_by_envoy(name: str, recording: Recording, certificate: Resource, roots: Path) -> Resource:
    """The recorded listener on a port of its own."""
    held = copy.deepcopy(recording.listeners["virtualInbound"])
    held.update(name=slug(name), address={"socket_address": {"address": "127.0.0.1", "port_value": 0}})
    held.pop("access_log", None)
    held["listener_filters"] = [each for each in held["listener_filters"] if not each["name"].endswith("original_dst")]
    for each in held["listener_filters"]:
        each.pop("filter_disabled", None)
    for chain in held["filter_chains"]:
        chain["filter_chain_match"].pop("destination_port")
        if "transport_socket" in chain:
            in_files(chain["transport_socket"]["typed_config"]["common_tls_context"], certificate, roots)
        chain["filters"] = [each for each in chain["filters"] if not each["name"].startswith("istio.")]
        for config in filters_of(chain, HCM):
            config.pop("access_log", None)
            config.pop("tracing", None)
            bootstrap._connection_manager(config, recording)
    return held


def calling(place: Place, caller: Caller, port: int, certificate: Resource | None, roots: Path) -> Resource:
    """The cluster that istiod made for the server, with its one endpoint here."""
    made = copy.deepcopy(FRONTEND.clusters[CALLED[place.node]])
    for each in ("eds_cluster_config", "filters", "alt_stat_name"):
        made.pop(each)
    endpoint: Resource = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
    if caller.tls:
        endpoint["metadata"] = {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": "istio"}}}
    load: Resource = {"endpoints": [{"lb_endpoints": [endpoint], "load_balancing_weight": 1}]}
    made.update(type="STATIC", load_assignment=load)
    common = made["transport_socket_matches"][0]["transport_socket"]["typed_config"]["common_tls_context"]
    in_files(common, certificate, roots)
    common["tls_params"].update(caller.params)
    return made


def outbound(alpn: str, clusters: list[str]) -> Resource:
    """A listener that names its protocols as Istio's filter does and passes the client's header on."""
    hosts = [
        {
            "name": each,
            "domains": [each],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": f"{alpn} {each}"}}],
        }
        for each in clusters
    ]
    made = listener(f"out-{alpn}", hosts)
    state = {
        "object_key": "envoy.network.application_protocols",
        "format_string": {"text_format_source": {"inline_string": OFFERED[alpn]}},
    }
    config = made["filter_chains"][0]["filters"][0]["typed_config"]
    config["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY"
    config["http_filters"] = [
        {
            "name": "alpn",
            "typed_config": {"@type": TYPE + "filters.http.set_filter_state.v3.Config", "on_request_headers": [state]},
        },
        ROUTER,
    ]
    return made


def renamed(made: Resource, name: str, **fields: Any) -> Resource:
    """The same cluster by another name."""
    other = {**copy.deepcopy(made), "name": name, **fields}
    other["load_assignment"]["cluster_name"] = name
    return other


def domain(place: str, who: str, kind: str) -> str:
    """By which host name the client knows a server."""
    return f"{slug(place)}.{slug(who)}.{kind}.test"


class World:
    """Every server, and one client for all of them."""

    def __init__(self, folder: Path, trusted: Authority, places: dict[str, Place], calls: Calls) -> None:
        self.apps: dict[tuple[str, str], App] = {}
        self.blocking: dict[str, Any] = {}
        self._folder, self._places, self._calls = folder, places, calls
        self._roots = folder / "roots.pem"
        self._roots.write_bytes(trusted.pem)
        self._held = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start(self._held)
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _start(self, held: ExitStack) -> None:
        self._backends = held.enter_context(Backends([APP]))
        ports, listeners = {}, []
        for name, place in self._places.items():
            recording = inbound(place)
            listeners.append(
                served_by_envoy(
                    name, recording, pair(self._folder, f"{slug(name)}-server", place.certificate), self._roots
                )
            )
            for kind, port in self._ours(held, name, recording):
                ports[name, kind] = port
        app = cluster("inbound|8080||", (APP[0], self._backends.ports[APP]))
        server_side: Resource = {"listeners": listeners, "clusters": [app]}
        server = held.enter_context(Envoy({"static_resources": server_side}))
        ports.update({(name, "envoy"): server.port(slug(name)) for name in self._places})
        clusters, names = [], []
        for name, who in self._calls:
            caller = self._calls[name, who]
            held_by = f"{slug(who)}-client"
            shown = pair(self._folder, held_by, caller.certificate) if caller.certificate is not None else None
            for kind in ("envoy", *OURS, BLOCKING):
                names.append(domain(name, who, kind))
                made = calling(self._places[name], caller, ports[name, kind], shown, self._roots)
                clusters += [renamed(made, f"h1 {names[-1]}"), renamed(made, f"h2 {names[-1]}", **http(**DUE))]
        client: Resource = {"listeners": [outbound(each, names) for each in OFFERED], "clusters": clusters}
        self._client = held.enter_context(Envoy({"static_resources": client}))
        self._http = held.enter_context(httpx.Client(trust_env=False, timeout=20))

    def _ours(self, held: ExitStack, name: str, recording: Recording) -> Iterator[tuple[str, int]]:
        folder = self._folder / slug(name)
        folder.mkdir()
        recording.write(folder)
        (folder / "node.json").write_text(json.dumps(recording.node))
        files = pair(self._folder, f"{slug(name)}-ours", self._places[name].certificate)
        identity = proxyless.Identity.from_files(
            Path(files["certificate_chain"]["filename"]), Path(files["private_key"]["filename"]), self._roots
        )
        mesh = held.enter_context(proxyless.Mesh.from_recorded(folder, registry=False, identity=identity))
        for kind, (serve, loop) in OURS.items():
            app = self.apps[name, kind] = App()
            governed = proxyless.asgi.Middleware(app, mesh, port=8080)
            yield kind, held.enter_context(Server(governed, serve(mesh), loop=loop)).port
        blocking = held.enter_context(http_server(proxyless.tls.server_context(mesh, port=8080)))
        self.blocking[name] = blocking
        yield BLOCKING, blocking.server_address[1]

    def ask(
        self, place: str, who: str, kind: str, spoken: str, method: str = "GET", path: str = "/", *sent: Header
    ) -> Seen:
        """One request by the client to a server; `path` ends in something that no other request has."""
        serial = f"{path}?{uuid4().hex}"
        headers = [("host", domain(place, who, kind)), *sent]
        port = self._client.port(f"out-{spoken}")
        answer = self._http.request(method, f"http://127.0.0.1:{port}{serial}", headers=headers)
        log = logged(self._client, serial[1:])
        if kind == "envoy":
            taken = self._backends.take()
            arrived = tuple(tuple(v.encode("latin-1") for name, v in each.headers if name == XFCC) for each in taken)
        elif kind == BLOCKING:
            server = self.blocking[place]
            arrived, server.arrived = tuple((path.encode(),) for path in server.arrived), []
        else:
            app = self.apps[place, kind]
            arrived, app.arrived = tuple(app.arrived), []
        failure = "" if answer.is_success else f"{answer.text} {log['transport_failure']}"
        return Seen(answer.status_code, log["flags"], log["upstream_protocol"], failure, arrived)
