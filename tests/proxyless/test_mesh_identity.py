"""A mesh and its identity: who gives it one, and what waits for the first certificate."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import proxyless
from proxyless._identity import FirstCertificate, OwnIdentity
from proxyless.governance.securing import Securing
from proxyless.xds.identity.bootstrap import Bootstrap, BootstrapError
from proxyless.xds.identity.environment import from_environment
from proxyless.xds.identity.secrets import IdentityError
from proxyless.xds.identity.settings import FromFiles
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.model.tls import SecretName, UpstreamTls, Validation
from proxyless.xds.wire.refused import RefusedError
from proxyless.xds.wire.schema import types as pb
from proxyless.xds.wire.trust_bundle import TYPE, decode_bundle
from tests.support.ads import AdsServer
from tests.support.authorities import Asked, CertificateServer, RefusalError, certificate_server
from tests.support.certificates import authority, spiffe, write
from tests.support.waiting import wait_for

NODE = proxyless.Node(app="front", namespace="shop", service_account="front", ip="127.0.10.1")
DEFAULT = SecretName("default", "sds-grpc")


@pytest.fixture
def server() -> Iterator[CertificateServer]:
    with certificate_server() as found:
        yield found


def files(server: CertificateServer, folder: Path) -> dict[str, str]:
    (folder / "root.pem").write_bytes(server.root.pem)
    (folder / "token").write_text("a-token")
    return {"root_cert": str(folder / "root.pem"), "token_file": str(folder / "token")}


def mesh_of(server: CertificateServer, folder: Path) -> proxyless.Mesh:
    url = f"xds+tls://{server.address}"
    found = files(server, folder)
    root_cert, token_file = found["root_cert"], found["token_file"]
    return proxyless.Mesh(url, node=NODE, registry=False, cache_dir=False, root_cert=root_cert, token_file=token_file)


def test_with_tls_and_a_token_the_authority_gives_a_certificate(server: CertificateServer, tmp_path: Path) -> None:
    with mesh_of(server, tmp_path) as mesh:
        wait_for(lambda: mesh.identity.ready)
        pair = mesh.identity.key_pair(DEFAULT)
        roots = mesh.identity.roots(Validation(secret=SecretName("ROOTCA", "sds-grpc")))
        assert roots is not None
        assert roots.pem == server.root.pem
        assert [each.subject for each in mesh.identity.state().certificates][:1] == [spiffe("front")]
        assert b"PRIVATE KEY" in pair.key
    assert server.asked[0].metadata["clusterid"] == "Kubernetes"


def test_wait_ready_says_why_no_certificate_has_come(server: CertificateServer, tmp_path: Path) -> None:
    def answer(asked: Asked) -> list[str]:
        raise RefusalError(grpc.StatusCode.UNAUTHENTICATED, "expired")

    server.answer = answer
    with mesh_of(server, tmp_path) as mesh:
        wait_for(lambda: server.asked)
        with pytest.raises(proxyless.NotReadyError, match=r"no certificate either: it refused the token: expired"):
            mesh.wait_ready(timeout=1)
        with pytest.raises(IdentityError, match="it refused the token: expired"):
            mesh.identity.key_pair(DEFAULT)


def test_a_control_plane_without_an_authority_is_not_waited_for(tmp_path: Path) -> None:
    root = authority()
    with AdsServer(tls=root.server("127.0.0.1")) as ads:
        (tmp_path / "root.pem").write_bytes(root.pem)
        (tmp_path / "token").write_text("a-token")
        with proxyless.Mesh(
            f"xds+tls://{ads.address}",
            node=NODE,
            registry=False,
            cache_dir=False,
            root_cert=str(tmp_path / "root.pem"),
            token_file=str(tmp_path / "token"),
        ) as mesh:
            mesh.wait_ready(timeout=10)
            assert not mesh.identity.ready


def test_an_identity_in_files_is_given(tmp_path: Path) -> None:
    root = authority()
    pair = root.workload("front")
    chain, key = write(pair, tmp_path)
    identity = proxyless.Identity.from_files(chain, key)
    try:
        with proxyless.Mesh("xds://127.0.0.1:1", node=NODE, registry=False, cache_dir=False, identity=identity) as mesh:
            assert mesh.identity is identity
            assert mesh.identity.key_pair(DEFAULT) == pair
        assert identity.key_pair(DEFAULT) == pair
    finally:
        identity.close()


def test_what_is_no_identity_is_refused() -> None:
    with pytest.raises(proxyless.ConfigurationError, match="identity='x' is neither"):
        proxyless.Mesh("xds://127.0.0.1:1", node=NODE, registry=False, cache_dir=False, identity="x")  # type: ignore[arg-type]


def test_without_one_there_is_no_thread_and_nothing_to_wait_for() -> None:
    with proxyless.Mesh("xds://127.0.0.1:1", node=NODE, registry=False, cache_dir=False) as mesh:
        with pytest.raises(IdentityError, match="no authority, agent or file is configured"):
            mesh.identity.key_pair(DEFAULT)
        assert mesh.identity._thread is None
        assert not mesh.identity.expected


def test_a_child_keeps_the_certificate_and_asks_for_the_next_one_itself(
    server: CertificateServer, tmp_path: Path
) -> None:
    server.ttl_s = 3600
    with mesh_of(server, tmp_path) as mesh:
        wait_for(lambda: mesh.identity.ready)
        reading, writing = os.pipe()
        wanted = Securing(UpstreamTls())
        tls: Any = mesh.runtime.tls
        before = tls.client(wanted, "a").context
        assert tls.client(wanted, "a").context is before
        pid = os.fork()
        if pid == 0:  # pragma: no cover  # another process
            ok = mesh.identity.ready and mesh.identity._thread is not None and mesh.identity._thread.is_alive()
            ok = ok and tls.client(wanted, "a").context is not before  # its sessions are the parent's
            os.write(writing, b"1" if ok else b"0")
            os._exit(0)
        os.close(writing)
        assert os.read(reading, 1) == b"1"
        os.close(reading)
        os.waitpid(pid, 0)


class Settling:
    """An identity that settles when it is told to."""

    settled = False


def test_the_first_configuration_waits_for_the_first_certificate_but_not_for_ever() -> None:
    published: list[Snapshot] = []
    now = [0.0]
    for settles in (True, False):
        published.clear()
        now[0] = 0.0
        own = OwnIdentity(Bootstrap("x", NODE), False, lambda: None)
        own.made = settling = Settling()  # type: ignore[assignment]  # as much of it as is asked
        gate = FirstCertificate(published.append, own, lambda: now[0])
        gate.look()
        first, second = Snapshot(), Snapshot()
        gate(first)
        gate(second)
        assert not published
        if settles:
            settling.settled = True
        else:
            now[0] = 15.0
        gate.look()
        gate(first)
        assert published == [second, first]


@pytest.mark.parametrize("delta", [False, True])
def test_roots_that_the_control_plane_sends_are_trusted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, delta: bool
) -> None:
    root, other = authority(), authority("other")
    chain, key = write(root.workload("front"), tmp_path)
    (tmp_path / "root.pem").write_bytes(root.pem)
    identity = proxyless.Identity.from_files(chain, key, tmp_path / "root.pem")
    monkeypatch.setenv("PROXY_CONFIG_XDS_AGENT", "true")

    def sent(pem: str, nonce: str) -> bytes:
        response: Any = pb.discovery_v3.DeltaDiscoveryResponse() if delta else pb.discovery_v3.DiscoveryResponse()
        response.type_url, response.nonce = TYPE, nonce
        packed = response.resources.add().resource if delta else response.resources.add()
        packed.type_url = TYPE
        packed.value = pb.istio_mesh_v1alpha1.ProxyConfig(ca_certificates_pem=[pem]).SerializeToString()
        return bytes(response.SerializeToString())

    def trusted() -> bytes:
        found = identity.roots(Validation(secret=SecretName("ROOTCA")))
        assert found is not None
        return found.pem

    with AdsServer(automatic=False) as ads:
        monkeypatch.setenv("PROXYLESS_XDS", f"xds://{ads.address}")
        monkeypatch.setenv("PROXYLESS_DELTA", "1" if delta else "")
        with proxyless.Mesh.from_env(registry=False, cache_dir=False, identity=identity):
            stream = ads.stream()
            wait_for(lambda: any(each.type_url == TYPE for each in stream.requests))
            ads.send(sent(other.pem.decode(), "n1"))
            wait_for(lambda: trusted() == root.pem + other.pem)
            ads.send(sent("nonsense", "n2"))
            wait_for(lambda: stream.errors(TYPE))
            assert "holds no certificate in PEM" in stream.errors(TYPE)[0]
            assert trusted() == root.pem + other.pem
            assert [each.response_nonce for each in stream.requests if each.type_url == TYPE] == ["", "n1", "n2"]
    identity.close()


@pytest.mark.parametrize("delta", [False, True])
def test_a_trust_bundle_on_the_wire(*, delta: bool) -> None:
    response: Any = pb.discovery_v3.DeltaDiscoveryResponse() if delta else pb.discovery_v3.DiscoveryResponse()
    packed = response.resources.add().resource if delta else response.resources.add()
    packed.type_url = TYPE
    packed.value = pb.istio_mesh_v1alpha1.ProxyConfig(ca_certificates_pem=["a", "b"]).SerializeToString()
    assert decode_bundle(response.SerializeToString(), delta=delta) == b"a\nb"
    packed.value = b"\xff"
    with pytest.raises(RefusedError, match="malformed ProxyConfig"):
        decode_bundle(response.SerializeToString(), delta=delta)
    packed.type_url = "other"
    with pytest.raises(RefusedError, match="a resource that is no"):
        decode_bundle(response.SerializeToString(), delta=delta)


def test_roots_of_the_proxy_config_are_trusted_too(tmp_path: Path) -> None:
    root, other = authority(), authority("other")
    environ = {"PROXY_CONFIG": json.dumps({"caCertificatesPem": [other.pem.decode()]})}
    assert from_environment(environ, tmp_path).more_roots == other.pem
    with pytest.raises(BootstrapError, match="caCertificatesPem is no list"):
        from_environment({"PROXY_CONFIG": json.dumps({"caCertificatesPem": ["x"]})}, tmp_path)
    chain, key = write(root.workload("front"), tmp_path)
    (tmp_path / "root.pem").write_bytes(root.pem)
    files = FromFiles(str(chain), str(key), str(tmp_path / "root.pem"))
    own = OwnIdentity(Bootstrap("x", NODE, identity=files, more_roots=other.pem), True, lambda: None)
    found = own.get().roots(Validation(secret=SecretName("ROOTCA")))
    assert found is not None
    assert found.pem == root.pem + other.pem
    own.close()
