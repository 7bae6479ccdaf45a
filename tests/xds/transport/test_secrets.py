"""Secrets on the stream of everything else: waited for, given up, let go, and kept to those who use them."""

from __future__ import annotations

import logging
import socket
import ssl
from http.client import HTTPResponse
from pathlib import Path

import pytest

import proxyless
from proxyless import Mesh
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.plan import Missing
from proxyless.xds.identity.discovered import DiscoveredSecrets
from proxyless.xds.identity.identity import Identity
from proxyless.xds.identity.merging import merged
from proxyless.xds.identity.secrets import IdentityError
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.tls import DataSource, SanMatcher, SecretName, Validation
from proxyless.xds.transport import control
from tests.differential.test_ads_secrets import ADS, certificate, combined, message, trust, upstream
from tests.differential.test_mtls import listener, socket_of
from tests.governance.suites.blocking import http_server
from tests.support.ads import AdsServer
from tests.support.certificates import authority, spiffe, write
from tests.support.waiting import wait_for

from .conftest import MakeMesh

CLUSTER, LISTENER, SECRET = ResourceType.CLUSTER, ResourceType.LISTENER, ResourceType.SECRET
CA = authority()
ME = CA.workload("client")
TIMES = [False, True]


def found(mesh: Mesh, name: str) -> ClusterRuntime | Missing | None:
    """The cluster as a call sees it, which asks for what is missing."""
    cluster = mesh.runtime.plan.cluster(name)
    if isinstance(cluster, Missing):
        mesh.runtime.require(cluster)
    return cluster


def there(mesh: Mesh, name: str) -> bool:
    return isinstance(found(mesh, name), ClusterRuntime)


@pytest.mark.parametrize("delta", TIMES, ids=["sotw", "delta"])
def test_a_cluster_waits_for_its_secrets_which_are_let_go_with_it(mesh_of: MakeMesh, *, delta: bool) -> None:
    with AdsServer({CLUSTER.value: {"a": message(CLUSTER, upstream("a", 1))}, LISTENER.value: {}}) as server:
        mesh = mesh_of(server, delta=delta)
        mesh.wait_ready(30)
        lacking = found(mesh, "a")
        assert isinstance(lacking, Missing)
        assert lacking.what == "secrets of cluster 'a': me, roots"
        stream = server.stream()
        wait_for(lambda: stream.names.get(SECRET.value) == {"me", "roots"})
        for each in (certificate("me", ME), trust("roots", CA.pem)):
            server.set(SECRET, each["name"], message(SECRET, each))
        server.push(SECRET)
        wait_for(lambda: there(mesh, "a") and len(mesh.identity.discovered.held()) == 2)
        assert mesh.identity.key_pair(SecretName("me", ads=True)) == ME
        graph = mesh._graph
        control_thread = mesh._control
        assert graph is not None
        assert control_thread is not None
        control_thread.soon(lambda: graph.unwant(CLUSTER, ["a"]))
        wait_for(lambda: not mesh.snapshot.secrets)
        with pytest.raises(IdentityError, match="no secret 'me'"):
            mesh.identity.key_pair(SecretName("me", ads=True))
        wait_for(lambda: not stream.names.get(SECRET.value))
        wait_for(lambda: there(mesh, "a"))


def test_what_nobody_sends_is_not_waited_for_without_end(
    mesh_of: MakeMesh, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control, "HOLD_S", 0.05)
    with AdsServer({CLUSTER.value: {"a": message(CLUSTER, upstream("a", 1))}, LISTENER.value: {}}) as server:
        mesh = mesh_of(server)
        mesh.wait_ready(30)
        wait_for(lambda: there(mesh, "a"))
        assert "put in force without what it refers to: Secret me, Secret roots" in caplog.text
        assert mesh.status()["identity"] is None


def test_a_stream_that_breaks_is_asked_again_and_what_is_held_stays(mesh_of: MakeMesh) -> None:
    secrets = {each["name"]: message(SECRET, each) for each in (certificate("me", ME), trust("roots", CA.pem))}
    clusters = {"a": message(CLUSTER, upstream("a", 1))}
    with AdsServer({CLUSTER.value: clusters, LISTENER.value: {}, SECRET.value: secrets}) as server:
        mesh = mesh_of(server, delta=True)
        wait_for(lambda: mesh.ready and there(mesh, "a"))
        server.end()
        wait_for(lambda: len(server.streams) == 2 and SECRET.value in server.streams[1].names)
        asked = next(each for each in server.streams[1].requests if each.type_url == SECRET.value)
        assert set(asked.initial_resource_versions) == {"me", "roots"}
        assert mesh.identity.key_pair(SecretName("me", ads=True)) == ME


def connected(port: int, folder: Path) -> ssl.SSLSocket:
    """A client's connection, with a certificate of the same authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_cert_chain(*write(ME, folder, "client"))
    context.load_verify_locations(cadata=CA.pem.decode())
    made = context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
    made.settimeout(30)
    return made


def shown(connection: ssl.SSLSocket) -> str:
    """Whose certificate the server has shown, after an exchange."""
    connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
    response = HTTPResponse(connection)
    response.begin()
    assert response.status == 200
    response.read()
    certificate_of = connection.getpeercert() or {}
    return str(certificate_of["subjectAltName"][0][1])


def test_a_server_takes_its_secrets_from_the_control_plane(
    mesh_of: MakeMesh, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    common = {
        "tls_certificate_sds_secret_configs": [{"name": "own", "sds_config": ADS}],
        **combined("roots", {}),
    }
    tls = socket_of("DownstreamTlsContext", common_tls_context=common, require_client_certificate=True)
    inbound = {**listener("virtualInbound", [], transport_socket=tls), "traffic_direction": "INBOUND"}
    listeners = {"virtualInbound": message(LISTENER, inbound)}
    with AdsServer({CLUSTER.value: {}, LISTENER.value: listeners}) as server:
        mesh = mesh_of(server)
        mesh.wait_ready(30)
        with http_server(proxyless.tls.server_context(mesh, port=8080)) as app:
            port = app.server_address[1]
            with pytest.raises(OSError):  # an alert, or a reset
                shown(connected(port, tmp_path))
            wait_for(lambda: "waits for secrets of the control plane: own, roots" in caplog.text)
            wait_for(lambda: server.stream().names.get(SECRET.value) == {"own", "roots"})
            for each in (certificate("own", CA.workload("first")), trust("roots", CA.pem)):
                server.set(SECRET, each["name"], message(SECRET, each))
            server.push(SECRET)
            wait_for(lambda: mesh.snapshot.secrets == {"own", "roots"})
            with connected(port, tmp_path) as before:
                assert shown(before) == spiffe("first")
                generation = mesh.identity.generation
                server.set(SECRET, "own", message(SECRET, certificate("own", CA.workload("second"))))
                server.push(SECRET, "own")
                wait_for(lambda: mesh.identity.generation > generation)
                with connected(port, tmp_path) as after:
                    assert shown(after) == spiffe("second")
                assert shown(before) == spiffe("first")
    assert "PRIVATE" not in caplog.text


def test_what_cannot_be_used_leaves_what_was_there() -> None:
    told: list[int] = []
    secrets = DiscoveredSecrets(lambda: 1.0, lambda: told.append(1))
    raw = message(SECRET, certificate("me", ME)).SerializeToString()
    assert not secrets
    secrets.take("me", raw)
    secrets.take("me", raw)
    assert (len(told), dict(secrets.rotations())) == (1, {"me": 0})
    for bad in (b"\xff", message(SECRET, trust("me", CA.pem)).SerializeToString(), b""):
        with pytest.raises(IdentityError):
            secrets.take("me", bad)
    assert secrets.pair("me").key.inline == ME.key
    with pytest.raises(IdentityError, match="is a certificate"):
        secrets.validation("me")
    secrets.take("roots", message(SECRET, trust("roots", CA.pem)).SerializeToString())
    with pytest.raises(IdentityError, match="is no certificate"):
        secrets.pair("roots")
    assert [each.kind for each in secrets.held()] == ["leaf", "root"]
    assert ME.key.decode() not in repr(secrets.pair("me"))


def test_a_context_and_its_secret_are_merged() -> None:
    any_name, typed = SanMatcher("exact", "a"), SanMatcher("exact", "b", "URI")
    own = Validation(sans=(any_name,), certificate_hashes=("1",))
    both = merged(own, Validation(sans=(typed,), certificate_hashes=("2",), spki_hashes=("3",), allow_expired=True))
    assert (both.sans, both.certificate_hashes, both.spki_hashes) == ((typed,), ("1", "2"), ("3",))
    assert (both.allow_expired, both.accept_untrusted) == (True, False)
    assert merged(own, Validation()).sans == (any_name,)


def test_an_identity_says_what_its_secret_adds() -> None:
    identity = Identity(None)
    secret = Validation(secret=SecretName("roots", ads=True))
    with pytest.raises(IdentityError, match="no secret 'roots'"):
        identity.complete(secret)
    assert identity.complete(Validation(roots=DataSource("/roots"))) == Validation(roots=DataSource("/roots"))
    named = trust("roots", CA.pem, match_typed_subject_alt_names=[{"san_type": "URI", "matcher": {"exact": "x"}}])
    identity.discovered.take("roots", message(SECRET, named).SerializeToString())
    assert identity.complete(secret).sans == (SanMatcher("exact", "x", "URI"),)
    state = identity.state()
    assert (state.source, state.ready, len(state.certificates)) == ("the control plane", True, 1)
    system = Validation(secret=SecretName("file-root:system", "sds-grpc"))
    assert identity.complete(system) is system
