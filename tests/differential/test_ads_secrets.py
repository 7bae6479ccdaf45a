"""Secrets on the stream of everything else (`sds_config: {ads: {}}`): one control plane, the real Envoy and we.

Both follow the same scripted server, by state of the world and by delta, and call the same server behind mTLS, which
answers with who has called it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from google.protobuf import json_format

import proxyless.httpx
from proxyless import Mesh, Node
from proxyless.xds.identity.secrets import KeyPair
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.schema import pool
from proxyless.xds.wire.schema import types as pb
from tests.differential.custom import cluster
from tests.differential.recording import Resource
from tests.differential.test_mtls import exact, listener, socket_of
from tests.support.ads import AdsServer, Stream
from tests.support.certificates import authority, spiffe, write
from tests.support.envoy import Envoy
from tests.support.in_thread import in_thread
from tests.support.waiting import wait_for

pytestmark = pytest.mark.envoy

CLUSTER, LISTENER, SECRET = ResourceType.CLUSTER, ResourceType.LISTENER, ResourceType.SECRET
CA, OTHER = authority(), authority("another")
ME, ALSO_ME = CA.workload("client"), CA.workload("client-2")
SERVER = spiffe("server")
ADS: Resource = {"ads": {}, "resource_api_version": "V3"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections: ClassVar[set[int]] = set()

    def do_GET(self) -> None:
        names = self.connection.getpeercert()["subjectAltName"]
        body = f"{names[0][1]} {self.client_address[1]}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def secured_server(folder: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write(CA.workload("server"), folder, "server"))
    context.load_verify_locations(cadata=CA.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.block_on_close = False
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with in_thread(server):
        yield server.server_address[1]


def message(type_: ResourceType, fields: Resource) -> Any:
    kind: Any = {
        CLUSTER: pb.cluster_v3.Cluster,
        LISTENER: pb.listener_v3.Listener,
        SECRET: pb.tls_v3.Secret,
    }[type_]
    return json_format.ParseDict(fields, kind(), descriptor_pool=pool())


def certificate(name: str, pair: KeyPair) -> Resource:
    return {
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"inline_string": pair.chain.decode()},
            "private_key": {"inline_string": pair.key.decode()},
        },
    }


def trust(name: str, pem: bytes, **more: Any) -> Resource:
    return {"name": name, "validation_context": {"trusted_ca": {"inline_string": pem.decode()}, **more}}


def upstream(name: str, port: int, certificate_name: str = "me", **validation: Any) -> Resource:
    common = {
        "tls_certificate_sds_secret_configs": [{"name": certificate_name, "sds_config": ADS}],
        **(validation or {"validation_context_sds_secret_config": {"name": "roots", "sds_config": ADS}}),
    }
    return cluster(
        name, ("127.0.0.1", port), transport_socket=socket_of("UpstreamTlsContext", common_tls_context=common)
    )


def combined(secret: str, default: Resource) -> Resource:
    return {
        "combined_validation_context": {
            "default_validation_context": default,
            "validation_context_sds_secret_config": {"name": secret, "sds_config": ADS},
        }
    }


def bootstrap(port: int, *, delta: bool) -> Resource:
    source: Resource = {"ads": {}, "resource_api_version": "V3"}
    ads = {
        "api_type": "DELTA_GRPC" if delta else "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
    }
    return {
        "node": {"id": "envoy", "cluster": "c"},
        "dynamic_resources": {"ads_config": ads, "cds_config": source, "lds_config": source},
        "static_resources": {"clusters": [cluster("xds", ("127.0.0.1", port), http2_protocol_options={})]},
    }


@dataclass
class Sides:
    server: AdsServer
    port: int
    envoy: Envoy
    mesh: Mesh
    theirs: httpx.Client
    ours: httpx.Client

    def stream(self, who: str) -> Stream:
        found: list[Stream] = []

        def there() -> bool:
            found[:] = [
                each
                for each in self.server.streams
                if each.requests and (each.requests[0].node.id == "envoy") is (who == "envoy")
            ]
            return bool(found)

        wait_for(there)
        return found[-1]

    def get(self, name: str) -> dict[str, httpx.Response]:
        host = f"{name}.test"
        port = self.envoy.port("out")
        return {
            "envoy": self.theirs.get(f"http://127.0.0.1:{port}/", headers={"host": host}),
            "ours": self.ours.get(f"http://{host}/"),
        }

    def put(self, type_: ResourceType, fields: Resource) -> None:
        self.server.set(type_, fields["name"], message(type_, fields))

    def push(self, type_: ResourceType, fields: Resource) -> dict[str, int]:
        """Send one resource to both, and wait for what they say to it; how often each has refused one."""
        streams = [self.stream(each) for each in WHO]
        self.put(type_, fields)
        self.server.push(type_, *([fields["name"]] if type_ is SECRET else []))
        nonces = [f"n{len(self.server.streams)}.{each.nonce}" for each in streams]
        wait_for(
            lambda: all(
                any(asked.response_nonce == nonce for asked in each.requests)
                for each, nonce in zip(streams, nonces, strict=True)
            )
        )
        return {who: len(each.errors(SECRET.value)) for who, each in zip(WHO, streams, strict=True)}


WHO = ("envoy", "ours")
NAMES = ["plain", "combined", "fresh", "wrong", "own-names", "both-names", "late", "bad", "moving"]
FAILED = "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"


@contextmanager
def sides(folder: Path, *, delta: bool) -> Iterator[Sides]:
    hosts = [
        {
            "name": each,
            "domains": [f"{each}.test"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": each, "timeout": "30s"}}],
        }
        for each in NAMES
    ]
    theirs = listener("out", hosts)
    ours = {
        **listener("0.0.0.0_80", hosts),
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}},
        "bind_to_port": False,
    }
    for each in (theirs, ours):
        config = each["filter_chains"][0]["filters"][0]["typed_config"]
        config.pop("access_log")
        config["route_config"]["validate_clusters"] = False
    with secured_server(folder) as port:
        wrong = exact(spiffe("nobody"))
        clusters = [
            upstream("plain", port),
            upstream("combined", port, **combined("roots", exact(SERVER))),
            upstream("fresh", port),
            upstream("moving", port),
            upstream("wrong", port, **combined("roots", wrong)),
            upstream("own-names", port, **combined("roots-of-nobody", {})),
            upstream("both-names", port, **combined("roots-of-nobody", exact(SERVER))),
        ]
        secrets = [certificate("me", ME), trust("roots", CA.pem), trust("roots-of-nobody", CA.pem, **wrong)]
        resources = {
            CLUSTER.value: {each["name"]: message(CLUSTER, each) for each in clusters},
            LISTENER.value: {each["name"]: message(LISTENER, each) for each in (theirs, ours)},
            SECRET.value: {each["name"]: message(SECRET, each) for each in secrets},
        }
        with (
            AdsServer(resources) as server,
            Envoy(bootstrap(server.port, delta=delta)) as envoy,
            Mesh(
                f"xds://{server.address}",
                node=Node("frontend", "shop", "127.0.46.2"),
                registry=False,
                cache_dir=folder / "cache",
                delta=delta,
            ) as mesh,
            httpx.Client(trust_env=False, timeout=60) as theirs_client,
            httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=60) as ours_client,
        ):
            mesh.wait_ready(60)
            yield Sides(server, port, envoy, mesh, theirs_client, ours_client)


def seen(answers: dict[str, httpx.Response]) -> set[tuple[int, str]]:
    """What both got, less the port that the server saw."""
    return {
        (each.status_code, each.text.partition(" ")[0] if each.is_success else each.text) for each in answers.values()
    }


def given(pair: KeyPair, **fields: Any) -> Resource:
    made = certificate("bad", pair)
    made["tls_certificate"].update(fields)
    return made


BAD = [
    given(ME, private_key={"inline_string": ALSO_ME.key.decode()}),
    given(ME, certificate_chain={"inline_string": "x"}),
    {"name": "bad", "tls_certificate": {"certificate_chain": {"inline_string": ME.chain.decode()}}},
    {"name": "bad", "generic_secret": {"secret": {"inline_string": "x"}}},
    {"name": "bad"},
]
BAD_ROOTS = [
    {"name": "roots", "validation_context": {"trusted_ca": {"inline_string": "x"}}},
    {"name": "roots", "validation_context": {}},
    {"name": "roots", "validation_context": exact(SERVER)},
    certificate("roots", ME),
]


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_secrets_come_rotate_and_are_refused_as_by_envoy(tmp_path: Path, *, delta: bool) -> None:
    client, other = (200, spiffe("client")), (200, spiffe("client-2"))
    with sides(tmp_path, delta=delta) as world:
        # What a secret asks of a peer is joined with what the context does.
        expected = {"plain": client, "combined": client, "both-names": client}
        assert {name: seen(world.get(name)) for name in NAMES[:6] if name != "fresh"} == {
            name: {expected.get(name, (503, FAILED))} for name in NAMES[:6] if name != "fresh"
        }
        # A secret that is replaced is that of new connections; those that are open live on.
        kept = {who: each.text for who, each in world.get("plain").items()}
        world.push(SECRET, certificate("me", ALSO_ME))
        assert {who: each.text for who, each in world.get("plain").items()} == kept
        assert seen(world.get("fresh")) == {other}
        # What cannot be used is refused: the cluster is there, and fails; what came before stays.
        world.put(SECRET, BAD[0])
        world.put(CLUSTER, upstream("bad", world.port, "bad"))
        world.server.push(CLUSTER)
        wait_for(lambda: seen(world.get("bad")) == {(503, FAILED)})  # we ask with the first call only
        wait_for(lambda: all(world.stream(each).errors(SECRET.value) for each in WHO))
        refused = [world.push(SECRET, each) for each in (*BAD[1:], *BAD_ROOTS)]
        for who in WHO:
            assert [each[who] for each in refused] == list(range(2, 2 + len(refused))), who
        assert seen(world.get("bad")) == {(503, FAILED)}
        # Made good.
        world.push(SECRET, certificate("bad", ME))
        assert seen(world.get("bad")) == {client}
        # A cluster in use that names another secret serves by the one before until it is there; a delta response that
        # says that there is none ends the waiting.
        world.push(SECRET, trust("roots", CA.pem))
        assert seen(world.get("moving")) == {other}
        world.put(CLUSTER, upstream("moving", world.port, "newer"))
        world.server.push(CLUSTER)  # Envoy acknowledges it when the cluster is warm
        wait_for(lambda: all("newer" in world.stream(each).names[SECRET.value] for each in WHO))
        if delta:
            wait_for(lambda: seen(world.get("moving")) == {(503, FAILED)})
        else:
            assert seen(world.get("moving")) == {other}
        world.push(SECRET, certificate("newer", ME))
        wait_for(lambda: seen(world.get("moving")) == {client})
        # What a delta response takes away stays, and is acknowledged.
        world.server.remove(SECRET, "roots")
        world.server.push(SECRET, "roots")
        # Nobody else gets to see what is in them.
        assert {each["name"]: each["resource"] for each in world.mesh.dump(kind="Secret")["dump"]}["me"] == {}
        assert world.mesh.status()["identity"]["ready"]
        world.mesh.close()
        assert not any(b"BEGIN" in each.read_bytes() for each in (tmp_path / "cache").rglob("*") if each.is_file())
