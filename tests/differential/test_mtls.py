"""Endpoints behind mTLS, by Envoy and by us: the same clusters, the same servers (Envoys with certificates of one CA).

What fails, fails in the same way, and no byte of a request comes through to the program behind.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

import proxyless.httpx
from proxyless import Mesh, Node
from proxyless.xds.identity.secrets import KeyPair
from tests.differential.bootstrap import HCM, LOG, TYPE, access_log
from tests.differential.custom import cluster
from tests.differential.recording import Recording, Resource
from tests.support.backends import Backends
from tests.support.certificates import authority, self_signed, spiffe, write
from tests.support.envoy import Envoy
from tests.support.waiting import wait_for

pytestmark = pytest.mark.envoy

APP = ("127.0.46.1", 8080)
EXPECTED = spiffe("server")
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ROUTER = {"name": "router", "typed_config": {"@type": TYPE + "filters.http.router.v3.Router"}}


@dataclass(frozen=True)
class Case:
    """A server's certificate (None: plaintext), the client's (None: none), what it asks for, what Envoy makes of it.

    `reason`: a part of what our own record says.
    """

    name: str
    server: KeyPair | None
    client: KeyPair | None
    validation: Resource = field(default_factory=dict)
    cluster: Resource = field(default_factory=dict)
    context: Resource = field(default_factory=dict)
    tls: Resource = field(default_factory=dict)
    flags: str = ""
    reason: str = ""


def exact(value: str, kind: str = "URI") -> Resource:
    return {"match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": value}}]}


def matching(**matcher: Any) -> Resource:
    kind = matcher.pop("kind", "URI")
    return {"match_typed_subject_alt_names": [{"san_type": kind, "matcher": matcher}]}


def http(**options: Any) -> Resource:
    return {"typed_extension_protocol_options": {HTTP: {"@type": f"type.googleapis.com/{HTTP}", **options}}}


CA, OTHER = authority(), authority("another")
MID = CA.intermediate()
GOOD, ME = CA.workload("server"), CA.workload("client")
NAMED = CA.leaf(dns=["www.example.com", "*.wild.example.com", "127.0.46.9"], name="named")
DUE: Resource = {"explicit_http_config": {"http2_protocol_options": {}}}
AUTO: Resource = {"auto_config": {"http2_protocol_options": {}}}
SNI_OPTIONS = {"upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True}}
ONE: Resource = {"explicit_http_config": {"http_protocol_options": {}}}
NEWEST: Resource = {"tls_maximum_protocol_version": "TLSv1_3"}
HALF = dt.timedelta(minutes=30)
TOLD = " ".join(
    f"{name.partition('(')[0]}=%UPSTREAM_{name}%"
    for name in (
        *("PEER_SUBJECT", "PEER_ISSUER", "PEER_URI_SAN", "PEER_DNS_SAN", "PEER_IP_SAN", "PEER_CERT_V_START(%s)"),
        *("PEER_CERT_V_END", "PEER_CERT", "LOCAL_URI_SAN", "LOCAL_DNS_SAN", "LOCAL_IP_SAN", "TLS_VERSION"),
    )
)
"""What a response says of who has sent it; which cipher is agreed on is the TLS library's choice."""

CASES = [
    Case("good", GOOD, ME, exact(EXPECTED)),
    Case("http2", GOOD, ME, exact(EXPECTED), http(**DUE), {"alpn_protocols": ["istio-h2", "istio", "h2"]}),
    Case("auto", GOOD, ME, exact(EXPECTED), http(**AUTO)),
    Case("intermediate", MID.workload("server"), MID.workload("client"), exact(EXPECTED)),
    Case("prefix", GOOD, ME, matching(prefix="spiffe://cluster.local/ns/shop/")),
    Case("suffix", GOOD, ME, matching(suffix="/sa/server")),
    Case("contains", GOOD, ME, matching(contains="/ns/shop/")),
    Case("regex", GOOD, ME, matching(safe_regex={"regex": "spiffe://[^/]+/ns/shop/sa/server"})),
    Case("regex of a part", GOOD, ME, matching(safe_regex={"regex": "server"}), flags="UF", reason=EXPECTED),
    Case("any kind", GOOD, ME, {"match_subject_alt_names": [{"exact": EXPECTED}]}),
    Case("dns", NAMED, ME, exact("www.example.com", "DNS")),
    Case("dns wildcard", NAMED, ME, exact("a.wild.example.com", "DNS")),
    Case("dns below wildcard", NAMED, ME, exact("a.b.wild.example.com", "DNS"), flags="UF", reason="a.b.wild"),
    Case("ip", NAMED, ME, exact("127.0.46.9", "IP_ADDRESS")),
    Case("other ip", NAMED, ME, exact("127.0.46.8", "IP_ADDRESS"), flags="UF", reason="127.0.46.9"),
    Case("nothing verified", self_signed(EXPECTED), ME, {"trust_chain_verification": "ACCEPT_UNTRUSTED"}),
    Case("tls 1.2", GOOD, ME, exact(EXPECTED), tls={"tls_maximum_protocol_version": "TLSv1_2"}),
    Case(
        "other trust domain",
        CA.leaf(spiffe("server", domain="other.domain")),
        ME,
        exact(EXPECTED),
        flags="UF",
        reason=f"expected {EXPECTED}, presented {spiffe('server', domain='other.domain')}",
    ),
    Case(
        "other san",
        CA.workload("other"),
        ME,
        exact(EXPECTED),
        flags="UF",
        reason=f"expected {EXPECTED}, presented {spiffe('other')}",
    ),
    Case("expired", CA.leaf(EXPECTED, ends=-HALF), ME, exact(EXPECTED), flags="UF", reason="expired"),
    Case(
        "expired and allowed", CA.leaf(EXPECTED, ends=-HALF), ME, {**exact(EXPECTED), "allow_expired_certificate": True}
    ),
    Case("not yet valid", CA.leaf(EXPECTED, starts=HALF), ME, exact(EXPECTED), flags="UF", reason="not yet valid"),
    Case("root rotated away", OTHER.workload("server"), ME, exact(EXPECTED), flags="UF", reason="issuer"),
    Case("self-signed", self_signed(EXPECTED), ME, exact(EXPECTED), flags="UF", reason="self-signed"),
    Case("server without tls", None, ME, exact(EXPECTED), flags="UF", reason=""),
    Case("no client certificate", GOOD, None, exact(EXPECTED), flags="UF"),
    Case("stranger as client", GOOD, OTHER.workload("client"), exact(EXPECTED), flags="UF"),
    Case(
        "no client certificate by 1.2",
        GOOD,
        None,
        exact(EXPECTED),
        tls={"tls_maximum_protocol_version": "TLSv1_2"},
        flags="UF",
    ),
    Case("no client certificate by 1.3", GOOD, None, exact(EXPECTED), tls=NEWEST, flags="UC"),
    Case("stranger as client by 1.3", GOOD, OTHER.workload("client"), exact(EXPECTED), tls=NEWEST, flags="UC"),
    Case("good by 1.3", GOOD, ME, exact(EXPECTED), tls=NEWEST),
    Case("auto san", NAMED, ME, {}, http(**ONE, **SNI_OPTIONS), flags="UF", reason="expected auto-san.test"),
    Case("revoked", GOOD, ME, {**exact(EXPECTED), "crl": {"inline_bytes": "CRL"}}, flags="UF", reason="revoked"),
]


def data(path: Path) -> Resource:
    return {"filename": str(path)}


def pair(folder: Path, name: str, made: KeyPair) -> Resource:
    chain, key = write(made, folder, name)
    return {"certificate_chain": data(chain), "private_key": data(key)}


def socket_of(kind: str, **context: Any) -> Resource:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": f"{TYPE}transport_sockets.tls.v3.{kind}", **context},
    }


def slug(name: str) -> str:
    return name.replace(" ", "-").replace(".", "-")


def manager(hosts: list[Resource]) -> Resource:
    config = {
        "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "a",
        "route_config": {"name": "a", "virtual_hosts": hosts},
        "access_log": [access_log()],
        "http_filters": [ROUTER],
    }
    return {"name": HCM, "typed_config": config}


def listener(name: str, hosts: list[Resource], **chain: Any) -> Resource:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    return {"name": name, "address": address, "filter_chains": [{"filters": [manager(hosts)], **chain}]}


def servers(folder: Path, roots: Path, backends: Backends) -> Resource:
    app = cluster("app", (APP[0], backends.ports[APP]))
    hosts = [{"name": "a", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]
    made = []
    for case in CASES:
        chain: Resource = {}
        if case.server is not None:
            common = {
                "tls_certificates": [pair(folder, f"server-{slug(case.name)}", case.server)],
                "validation_context": {"trusted_ca": data(roots)},
                "alpn_protocols": ["h2", "http/1.1"],
            }
            chain["transport_socket"] = socket_of(
                "DownstreamTlsContext", common_tls_context=common, require_client_certificate=True
            )
        made.append(listener(slug(case.name), hosts, **chain))
    return {"static_resources": {"listeners": made, "clusters": [app]}}


def clusters(folder: Path, roots: Path, ports: dict[str, int]) -> list[Resource]:
    found = []
    crl = folder / "crl.pem"
    crl.write_bytes(CA.revoked(GOOD))
    for case in CASES:
        validation = {"trusted_ca": data(roots), **case.validation}
        if "crl" in validation:
            validation["crl"] = data(crl)
        common: Resource = {"validation_context": validation, **case.context}
        if case.client is not None:
            common["tls_certificates"] = [pair(folder, f"client-{slug(case.name)}", case.client)]
        if case.tls:
            common["tls_params"] = case.tls
        tls = socket_of(
            "UpstreamTlsContext",
            common_tls_context=common,
            sni=f"outbound_.80_._.{slug(case.name)}.shop.svc.cluster.local",
        )
        found.append(cluster(case.name, ("127.0.0.1", ports[slug(case.name)]), transport_socket=tls, **case.cluster))
    return found


def routes() -> list[Resource]:
    return [
        {
            "name": slug(case.name),
            "domains": [f"{slug(case.name)}.test"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": case.name}}],
            "response_headers_to_add": [{"header": {"key": "x-tls", "value": TOLD}}],
        }
        for case in CASES
    ]


@dataclass
class Sides:
    backends: Backends
    envoy: Envoy
    port: int
    mesh: Mesh


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    folder = tmp_path_factory.mktemp("mtls")
    roots = folder / "roots.pem"
    roots.write_bytes(CA.pem)
    with Backends([APP]) as backends, Envoy(servers(folder, roots, backends)) as server:
        made = clusters(folder, roots, {slug(each.name): server.port(slug(each.name)) for each in CASES})
        client: Resource = {"static_resources": {"listeners": [listener("out", routes())], "clusters": made}}
        recording = Recording(
            listeners={
                "0.0.0.0_80": {
                    **listener("0.0.0.0_80", routes()),
                    "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}},
                }
            },
            clusters={each["name"]: each for each in made},
        )
        ours = folder / "ours"
        ours.mkdir()
        recording.write(ours)
        with (
            Envoy(client) as envoy,
            Mesh.from_recorded(ours, node=Node("frontend", "shop", "127.0.46.2"), registry=False) as mesh,
        ):
            yield Sides(backends, envoy, envoy.port("out"), mesh)


def flags_of(response: httpx.Response) -> str:
    return ",".join(response.extensions["proxyless"].flags) or "-"


def logged(envoy: Envoy, serial: str) -> dict[str, Any]:
    """Envoy's own line about a request."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        text = (envoy.folder / LOG).read_text() if (envoy.folder / LOG).exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # the last one may still be in writing
        found[:] = [each for each in map(json.loads, lines) if each["path"] == f"/{serial}"]
        return bool(found)

    wait_for(there)
    return found[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_an_endpoint_is_spoken_to_or_fails_as_by_envoy(sides: Sides, case: Case, asynchronous: bool) -> None:
    host, serial = f"{slug(case.name)}.test", uuid4().hex
    sides.backends.take()
    theirs = httpx.get(f"http://127.0.0.1:{sides.port}/{serial}", headers={"host": host}, trust_env=False)
    their_arrivals = len(sides.backends.take())
    log = logged(sides.envoy, serial)

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(sides.mesh)) as client:
            return await client.get(f"http://{host}/")

    if asynchronous:
        ours = asyncio.run(call())
    else:
        with httpx.Client(transport=proxyless.httpx.Transport(sides.mesh)) as client:
            ours = client.get(f"http://{host}/")
    arrivals = len(sides.backends.take())
    assert (ours.status_code, flags_of(ours), arrivals) == (theirs.status_code, log["flags"], their_arrivals)
    assert (log["flags"], arrivals) == (case.flags or "-", 0 if case.flags else 1)
    assert ours.headers.get("x-tls") == theirs.headers.get("x-tls")
    assert ours.http_version == "HTTP/1.1" or log["upstream_protocol"] == "HTTP/2"
    if case.flags:
        assert ours.text == theirs.text
    if case.flags == "UF":
        reason = ours.extensions["proxyless"].reply.transport
        assert f"cluster {case.name}, endpoint 127.0.0.1:" in reason
        assert case.reason in reason
