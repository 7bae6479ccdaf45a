"""Secrets from an agent's socket: pushed, replaced, refused, and kept while the agent is away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import grpc
import pytest

from proxyless.xds.identity.identity import Identity
from proxyless.xds.identity.secrets import IdentityError, KeyPair, Roots
from proxyless.xds.identity.settings import FromSocket
from proxyless.xds.model.tls import SecretName, Validation
from proxyless.xds.wire.schema import types as pb
from proxyless.xds.wire.secrets import METHOD, TYPE
from tests.support.certificates import authority, spiffe, write
from tests.support.waiting import wait_for

ROOT = authority()
SPIFFE = "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
NODE = {"id": "sidecar~1.2.3.4~front.shop~shop.svc.cluster.local"}
ROOTCA = Validation(secret=SecretName("ROOTCA", "sds-grpc"))


def certificate(pair: KeyPair) -> pb.tls_v3.Secret:
    secret = pb.tls_v3.Secret()
    secret.tls_certificate.certificate_chain.inline_bytes = pair.chain
    secret.tls_certificate.private_key.inline_bytes = pair.key
    return secret


def bundle(pem: bytes) -> pb.tls_v3.Secret:
    secret = pb.tls_v3.Secret()
    secret.validation_context.trusted_ca.inline_bytes = pem
    return secret


class Agent:
    """Serves secrets by name, one for each stream, and pushes what is put."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.secrets: dict[str, Any] = {}
        self.requests: list[Any] = []
        self._streams: dict[str, list[SimpleQueue[bytes | None]]] = {}
        self._lock = Lock()
        self._version = 0
        self._server = grpc.server(ThreadPoolExecutor(16))
        service, _, method = METHOD.removeprefix("/").partition("/")
        handler = grpc.stream_stream_rpc_method_handler(self._serve, None, None)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        self._server.add_insecure_port(f"unix:{path}")

    def put(self, name: str, secret: Any) -> None:
        with self._lock:
            self.secrets[name] = secret
            for queue in self._streams.get(name, []):
                queue.put(self._response(name))

    def end(self, name: str) -> None:
        with self._lock:
            for queue in self._streams.pop(name, []):
                queue.put(None)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        for name in list(self._streams):
            self.end(name)
        self._server.stop(0).wait()

    def errors(self) -> list[str]:
        return [each.error_detail.message for each in self.requests if each.HasField("error_detail")]

    def acks(self, name: str) -> list[str]:
        return [each.version_info for each in self.requests if each.response_nonce and name in each.resource_names]

    def _response(self, name: str) -> bytes:
        self._version += 1
        message = pb.discovery_v3.DiscoveryResponse(
            version_info=f"v{self._version}", nonce=f"n{self._version}", type_url=TYPE
        )
        secret = self.secrets[name]
        if isinstance(secret, bytes):
            message.resources.add(type_url=TYPE, value=secret)
        else:
            secret.name = secret.name or name
            message.resources.add(type_url=TYPE, value=secret.SerializeToString())
        return message.SerializeToString()

    def _serve(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        first = pb.discovery_v3.DiscoveryRequest.FromString(next(requests))
        [name] = first.resource_names
        queue: SimpleQueue[bytes | None] = SimpleQueue()
        with self._lock:
            self.requests.append(first)
            self._streams.setdefault(name, []).append(queue)
            if name in self.secrets:
                queue.put(self._response(name))
        context.add_callback(lambda: queue.put(None))

        def read() -> None:
            try:
                for raw in requests:
                    with self._lock:
                        self.requests.append(pb.discovery_v3.DiscoveryRequest.FromString(raw))
            except grpc.RpcError:
                pass

        from threading import Thread

        Thread(target=read, daemon=True).start()
        while (raw := queue.get()) is not None:
            yield raw


@contextmanager
def agent_at(path: Path) -> Iterator[Agent]:
    agent = Agent(path)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with agent_at(tmp_path / "socket") as found:
        yield found


@pytest.fixture
def identity(agent: Agent) -> Iterator[Identity]:
    found = Identity(FromSocket(str(agent.path)), NODE, uniform=lambda: 0.05)
    try:
        yield found
    finally:
        found.close()


def roots(identity: Identity, wanted: Validation = ROOTCA) -> Roots:
    found = identity.roots(wanted)
    assert found is not None
    return found


def key(identity: Identity, name: str = "default") -> KeyPair:
    return identity.key_pair(SecretName(name, "sds-grpc"))


def test_what_is_pushed_replaces_what_was_there(agent: Agent, identity: Identity) -> None:
    first, second, other = ROOT.workload("front"), ROOT.workload("front"), authority("other")
    agent.put("default", certificate(first))
    agent.put("ROOTCA", bundle(ROOT.pem))
    with pytest.raises(IdentityError, match="no secret 'default': it has not come yet"):
        key(identity)
    identity.start()
    wait_for(lambda: identity.settled)
    assert key(identity) == first
    assert roots(identity).pem == ROOT.pem
    assert agent.requests[0].node.id == NODE["id"]
    generation = identity.generation
    agent.put("default", certificate(second))
    wait_for(lambda: identity.generation > generation)
    assert key(identity) == second
    agent.put("ROOTCA", bundle(ROOT.pem + other.pem))
    wait_for(lambda: roots(identity).pem == ROOT.pem + other.pem)
    wait_for(lambda: len(agent.acks("default")) == 2 and len(agent.acks("ROOTCA")) == 2)
    assert identity.state().rotations["default"] == 1
    assert [each.subject for each in identity.state().certificates if each.kind == "leaf"] == [spiffe("front")]
    assert not agent.errors()


def test_what_cannot_be_used_is_refused_and_the_last_stays(agent: Agent, identity: Identity) -> None:
    pair = ROOT.workload("front")
    agent.put("default", certificate(pair))
    agent.put("ROOTCA", bundle(ROOT.pem))
    identity.start()
    wait_for(lambda: identity.settled)
    bad = certificate(KeyPair(pair.chain, ROOT.workload("front").key))
    wrong = bundle(ROOT.pem)
    pkcs12 = pb.tls_v3.Secret()
    pkcs12.tls_certificate.pkcs12.inline_bytes = b"x"
    nothing = pb.tls_v3.Secret(name="default")
    for count, secret in enumerate((bad, b"\xff", pkcs12, nothing), 1):
        agent.put("default", secret)
        wait_for(lambda count=count: len(agent.errors()) == count)  # type: ignore[misc]  # bound now
    wrong.name = "other"
    agent.put("ROOTCA", wrong)
    wait_for(lambda: len(agent.errors()) == 5)
    sans = bundle(ROOT.pem)
    sans.validation_context.max_verify_depth.value = 1
    agent.put("ROOTCA", sans)
    wait_for(lambda: len(agent.errors()) == 6)
    assert key(identity) == pair
    assert roots(identity).pem == ROOT.pem
    errors = agent.errors()
    assert "the private key is not the one" in errors[0]
    assert errors[1] == "a secret is truncated or malformed"
    assert "not PEM" in errors[2]
    assert "neither certificate nor roots" in errors[3]
    assert errors[4] == "the answer holds 'other'"
    assert "max_verify_depth" in errors[5]
    assert all("PRIVATE" not in each for each in errors)
    assert identity.state().failures == {"refused": 6}


def test_while_the_agent_is_away_what_it_sent_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "proxyless.identity")
    path = tmp_path / "socket"
    first, second = ROOT.workload("front"), ROOT.workload("front")
    identity = Identity(FromSocket(str(path)), NODE, uniform=lambda: 0.05)
    try:
        identity.start()
        wait_for(lambda: identity.state().error)
        with pytest.raises(IdentityError, match="UNAVAILABLE"):
            key(identity)
        with agent_at(path) as agent:
            agent.put("default", certificate(first))
            agent.put("ROOTCA", bundle(ROOT.pem))
            wait_for(lambda: identity.settled)
        wait_for(lambda: "what came before stays in use" in caplog.text)
        assert key(identity) == first
        with agent_at(path) as agent:
            agent.put("default", certificate(second))
            wait_for(lambda: key(identity) == second)
    finally:
        identity.close()


def test_a_stream_that_ends_is_opened_again(agent: Agent, identity: Identity) -> None:
    agent.put("default", certificate(ROOT.workload("front")))
    agent.put("ROOTCA", bundle(ROOT.pem))
    identity.start()
    wait_for(lambda: identity.settled)
    agent.end("default")
    second = ROOT.workload("front")
    agent.secrets["default"] = certificate(second)
    wait_for(lambda: key(identity) == second)


def test_names_are_followed_when_they_are_first_asked_for(agent: Agent, identity: Identity) -> None:
    """SPIRE's names are SPIFFE identities, and a bundle may have roots for each trust domain."""
    name, other = spiffe("front"), authority("other")
    pair = ROOT.workload("front")
    config = pb.tls_v3.SPIFFECertValidatorConfig()
    for domain, pem in (("cluster.local", ROOT.pem), ("partner.example", other.pem)):
        config.trust_domains.add(name=domain).trust_bundle.inline_bytes = pem
    domains = pb.tls_v3.Secret()
    custom = domains.validation_context.custom_validator_config
    custom.name = "envoy.tls.cert_validator.spiffe"
    custom.typed_config.type_url = f"type.googleapis.com/{SPIFFE}"
    custom.typed_config.value = config.SerializeToString()
    agent.put(name, certificate(pair))
    agent.put("ALL", domains)
    identity.start()
    everyone = Validation(secret=SecretName("ALL", "spire_agent"))
    for ask in (lambda: key(identity, name), lambda: roots(identity, everyone)):
        with pytest.raises(IdentityError, match="has not come yet"):
            ask()

    def there() -> bool:
        try:
            key(identity, name)
            roots(identity, everyone)
        except IdentityError:
            return False
        return True

    wait_for(there)
    assert key(identity, name) == pair
    assert roots(identity, everyone).domains == {"cluster.local": ROOT.pem, "partner.example": other.pem}
    with pytest.raises(IdentityError, match="is no certificate but what peers are verified by"):
        key(identity, "ALL")
    with pytest.raises(IdentityError, match="and not what peers are verified by"):
        roots(identity, Validation(secret=SecretName(name)))


def test_a_secret_may_name_files(agent: Agent, identity: Identity, tmp_path: Path) -> None:
    pair = ROOT.workload("front")
    chain, private = write(pair, tmp_path)
    secret = pb.tls_v3.Secret()
    secret.tls_certificate.certificate_chain.filename = str(chain)
    secret.tls_certificate.private_key.filename = str(private)
    agent.put("default", secret)
    revoking = bundle(ROOT.pem)
    revoking.validation_context.crl.inline_bytes = ROOT.revoked(pair)
    agent.put("ROOTCA", revoking)
    identity.start()
    wait_for(lambda: identity.settled)
    assert key(identity) == pair
    assert b"X509 CRL" in roots(identity).crl
