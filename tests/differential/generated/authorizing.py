"""Requests decided by Envoy's RBAC filter and by ours: policies by route, client certificates, tokens.

Envoy listens with a PROXY protocol line in front, which says where a connection comes from and where it goes; clients
come from that address, too. Each port normalizes paths in another of Istio's ways. Envoy reads tokens by its own
filter; ours gets what they say as metadata.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.xds.identity.secrets import KeyPair
from proxyless.xds.model.resource import ResourceType
from tests.differential.bootstrap import SIDECAR_RUNTIME
from tests.differential.generated.policies import ISSUERS, JWT, PORTS, Asked, Json
from tests.effects.resources import parsed
from tests.effects.scene import Scene
from tests.support.certificates import Authority, authority, spiffe, write
from tests.support.envoy import Envoy
from tests.support.rawhttp import Reader, proxy_header

TYPE = "type.googleapis.com/envoy.extensions."
HTTP = TYPE + "filters.http."
LISTENER = TYPE + "filters.listener."
MARK = "x-mark"
CASE = "x-case"
LOG = "access.jsonl"
LOG_WAIT_S = 20.0

NORMALIZATIONS: Mapping[int, Json] = {
    PORTS[0]: {},
    PORTS[1]: {"normalize_path": True},
    PORTS[2]: {"normalize_path": True, "merge_slashes": True},
    PORTS[3]: {
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
    },
}
"""MeshConfig.pathNormalization: NONE, BASE, MERGE_SLASHES, DECODE_AND_MERGE_SLASHES."""


class Tokens:
    """Signs tokens with a key that Envoy is given."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def jwks(self) -> str:
        public = self._key.public_key().public_numbers()
        numbers = {
            name: _url64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
            for name, value in (("n", public.n), ("e", public.e))
        }
        return json.dumps({"keys": [{"kty": "RSA", "alg": "RS256", "kid": "k", **numbers}]})

    def sign(self, claims: Json) -> str:
        head = {"alg": "RS256", "typ": "JWT", "kid": "k"}
        signed = ".".join(_url64(json.dumps(each).encode()) for each in (head, claims))
        return f"{signed}.{_url64(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Identities:
    """Clients with certificates, by name: "" is plaintext, "-" TLS without a certificate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root: Authority = authority()
        self.peers: dict[str, Peer | None] = {"": None, "-": Peer()}
        self._contexts: dict[str, ssl.SSLContext] = {"-": _context()}
        write(self.root.leaf(dns=("shop.example",), name="shop"), folder, "server")
        (folder / "root.pem").write_bytes(self.root.pem)
        for account, space in (("frontend", "shop"), ("cart", "shop"), ("ledger", "bank"), ("front-end", "shop-2")):
            self._add(account, self.root.workload(account, space), Peer(b"x", True, (spiffe(account, space),)))
        self._add(
            "web",
            self.root.leaf(dns=("web.shop.example",), name="web"),
            Peer(b"x", True, (), ("web.shop.example",), "CN=web"),
        )
        wild = Peer(b"x", True, (), ("*.web.shop.example",), "")
        self._add("wild", self.root.leaf(dns=("*.web.shop.example",)), wild)
        both = Peer(b"x", True, (spiffe("cart"), "https://two.example/"), ("web.shop.example",), "CN=both")
        self._add(
            "both", self.root.leaf(spiffe("cart"), "https://two.example/", dns=("web.shop.example",), name="both"), both
        )

    def _add(self, name: str, pair: KeyPair, peer: Peer) -> None:
        context = _context()
        chain, key = write(pair, self.folder, name)
        context.load_cert_chain(chain, key)
        self.peers[name] = peer
        self._contexts[name] = context

    def wrapped(self, sock: socket.socket, asked: Asked) -> socket.socket:
        if not asked.identity:
            return sock
        return self._contexts[asked.identity].wrap_socket(sock, server_hostname=asked.server_name or None)

    def peer(self, asked: Asked) -> Peer | None:
        """As a server would say who it is."""
        known = self.peers[asked.identity]
        if known is None:
            return None
        return Peer(
            known.certificate, known.validated, known.uri_sans, known.dns_sans, known.subject, asked.server_name
        )

    def transport_socket(self) -> Json:
        config = {
            "@type": TYPE + "transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [
                    {
                        "certificate_chain": {"filename": str(self.folder / "server-cert.pem")},
                        "private_key": {"filename": str(self.folder / "server-key.pem")},
                    }
                ],
                "validation_context": {"trusted_ca": {"filename": str(self.folder / "root.pem")}},
            },
        }
        return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Case:
    """The rules of one route, at the port where it is, and what is asked there."""

    port: int
    rbac: Json
    asked: tuple[Asked, ...]


def listener(cases: Sequence[Case], identities: Identities, jwks: str | None, log: str | None) -> Json:
    """One chain for each port, plaintext and TLS, with a route for each case."""
    chains = []
    for port, normalization in NORMALIZATIONS.items():
        routes = [_route(number, case) for number, case in enumerate(cases) if case.port == port]
        for transport in ("raw_buffer", "tls"):
            manager = {
                "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "s",
                "route_config": {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]},
                "http_filters": _filters(jwks),
                **normalization,
                **({"access_log": [_access_log(log)]} if log is not None else {}),
            }
            chain: Json = {
                "name": f"{port} {transport}",
                "filter_chain_match": {"destination_port": port, "transport_protocol": transport},
                "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}],
            }
            if transport == "tls":
                chain["transport_socket"] = identities.transport_socket()
            chains.append(chain)
    filters = [
        {"name": "proxy", "typed_config": {"@type": LISTENER + "proxy_protocol.v3.ProxyProtocol"}},
        {"name": "tls", "typed_config": {"@type": LISTENER + "tls_inspector.v3.TlsInspector"}},
    ]
    return {
        "name": "virtualInbound",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "listener_filters": filters if log is not None else [],
        "filter_chains": chains,
    }


def _route(number: int, case: Case) -> Json:
    own = {"@type": HTTP + "rbac.v3.RBACPerRoute", "rbac": case.rbac}
    return {
        "match": {"prefix": "/", "headers": [{"name": CASE, "string_match": {"exact": str(number)}}]},
        "direct_response": {"status": 200},
        "metadata": {"filter_metadata": {"route.own": {"payload": {"role": "admin", "iss": ISSUERS[0], "level": 3}}}},
        "typed_per_filter_config": {"rbac": own},
    }


def _filters(jwks: str | None) -> list[Json]:
    found: list[Json] = [
        {"name": "rbac", "typed_config": {"@type": HTTP + "rbac.v3.RBAC"}},
        {"name": "router", "typed_config": {"@type": HTTP + "router.v3.Router"}},
    ]
    if jwks is None:
        return found
    provider = {
        "issuer": ISSUERS[0],
        "local_jwks": {"inline_string": jwks},
        "payload_in_metadata": "payload",
        "forward": True,
    }
    requires = {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]}}
    config = {
        "@type": HTTP + "jwt_authn.v3.JwtAuthentication",
        "providers": {"p": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": requires}],
    }
    return [{"name": JWT, "typed_config": config}, *found]


def _access_log(path: str) -> Json:
    fields = {
        "mark": f"%REQ({MARK})%",
        "code": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "rbac": "%DYNAMIC_METADATA(envoy.filters.http.rbac)%",
        "hint": "%DYNAMIC_METADATA(envoy.common:access_log_hint)%",
        "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    }
    config = {
        "@type": TYPE + "access_loggers.file.v3.FileAccessLog",
        "path": path,
        "log_format": {"json_format": fields},
    }
    return {"name": "envoy.access_loggers.file", "typed_config": config}


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a request. `details` are RBAC's own alone, and so is what it wrote."""

    status: int
    body: bytes
    details: str = ""
    written: tuple[tuple[str, Any], ...] = ()
    hint: bool | None = None


def by_envoy(cases: Sequence[Case], identities: Identities) -> dict[str, Decided]:
    """Envoy's decisions by the mark of the request."""
    tokens = Tokens()
    own = listener(cases, identities, tokens.jwks(), "{FOLDER}/" + LOG)
    bootstrap: Json = {
        "node": {"id": "rig", "cluster": "rig"},
        "layered_runtime": {"layers": [{"name": "sidecar", "static_layer": dict(SIDECAR_RUNTIME)}]},
        "static_resources": {"listeners": [own]},
    }
    answers: dict[str, tuple[int, bytes]] = {}
    with Envoy(bootstrap) as envoy:
        port = envoy.port("virtualInbound")
        for mark, number, asked in marked(cases):
            answers[mark] = _sent(port, asked, number, mark, identities, tokens)
        logs = _logs(envoy.folder / LOG, {mark for mark, (status, _) in answers.items() if status})
    return {mark: _decided(answer, logs.get(mark)) for mark, answer in answers.items()}


def marked(cases: Sequence[Case]) -> Iterable[tuple[str, int, Asked]]:
    """(mark, number of the case, request) of each."""
    for number, case in enumerate(cases):
        for serial, asked in enumerate(case.asked):
            yield f"{number}.{serial}", number, asked


def _sent(port: int, asked: Asked, number: int, mark: str, identities: Identities, tokens: Tokens) -> tuple[int, bytes]:
    headers = [*asked.headers, (CASE, str(number)), (MARK, mark)]
    if asked.claims is not None:
        headers.append(("authorization", f"Bearer {tokens.sign(asked.claims)}"))
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers)
    data = asked.method.encode() + b" " + asked.target + b" HTTP/1.1\r\n" + lines + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=15, source_address=(asked.client, 0)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(proxy_header((asked.pod, asked.port), (asked.client, sock.getsockname()[1])))
        with identities.wrapped(sock, asked) as wrapped:
            wrapped.sendall(data)
            response = Reader(wrapped, head=asked.method == "HEAD").response()
    return response.status, response.body


def _logs(path: Path, wanted: set[str]) -> dict[str, Json]:
    deadline = time.monotonic() + LOG_WAIT_S
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        found = {entry["mark"]: entry for entry in map(json.loads, lines[:])}
        if wanted <= found.keys() or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _decided(answer: tuple[int, bytes], log: Json | None) -> Decided:
    status, body = answer
    log = log or {}
    details = str(log.get("details", ""))
    written = tuple(sorted((log.get("rbac") or {}).items()))
    return Decided(status, body, details if details.startswith("rbac") else "", written, log.get("hint"))


def by_us(cases: Sequence[Case], identities: Identities) -> dict[str, Decided]:
    """Our own."""
    own = parsed(ResourceType.LISTENER, listener(cases, identities, None, None))
    scene = Scene({ResourceType.LISTENER: [own]}, {})
    assert not scene.refused, scene.refused
    found = {}
    for mark, number, asked in marked(cases):
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in asked.headers]
        raw += [(CASE.encode(), str(number).encode()), (MARK.encode(), mark.encode())]
        if asked.claims is not None:
            raw.append((b"authorization", b"Bearer x"))
        host = dict(raw)[b"host"]
        view = RequestView(asked.method.encode(), b"http", host, asked.target, raw, asked.client)
        peer = identities.peer(asked)
        request = InboundRequest(scene.world.runtime, view, asked.port, peer=peer, local=asked.pod)
        if asked.claims is not None:
            request.dynamic[JWT] = {"payload": asked.claims}
        reply = request.decide()
        assert reply is not None  # routes answer by themselves
        written = tuple(sorted(request.dynamic.get("envoy.filters.http.rbac", {}).items()))
        hint = request.dynamic.get("envoy.common", {}).get("access_log_hint")
        details = reply.details if reply.details.startswith("rbac") else ""
        found[mark] = Decided(reply.status, reply.body, details, written, hint)
    return found
