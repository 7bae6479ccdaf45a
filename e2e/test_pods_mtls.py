"""The shop's Pods under STRICT mTLS: who has no certificate, or the wrong name in it, is not let in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from .nodes.rest import Document
from .test_pods import answering, served
from .traffic import Traffic
from .world import World

pytestmark = pytest.mark.timeout(4000)
SECURITY = "/apis/security.istio.io/v1"
PLURALS = {"PeerAuthentication": "peerauthentications", "AuthorizationPolicy": "authorizationpolicies"}


@contextmanager
def applied(world: World, kind: str, spec: Document) -> Iterator[None]:
    """An object of Istio's, for a while."""
    body = {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": {"name": "trial"}, "spec": spec}
    world.api.post(world.path(PLURALS[kind], group=SECURITY), body)
    try:
        yield
    finally:
        world.api.delete(world.path(PLURALS[kind], "trial", SECURITY))


def serves_mtls(world: World, name: str) -> None:
    """Its programs take the context of `proxyless.tls`, and callers are told."""
    path = world.deployment(name)
    (container,) = world.api.get(path)["spec"]["template"]["spec"]["containers"]
    container["args"].append("--mtls")
    template = {"metadata": {"labels": {"security.istio.io/tlsMode": "istio"}}, "spec": {"containers": [container]}}
    world.api.patch(path, {"spec": {"template": template}})
    world.rolled_out(name)


def refuses_plaintext(address: str) -> bool:
    try:
        httpx.get(f"http://{address}:8080/items", timeout=10, trust_env=False)
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return True
    return False


def test_strict_mtls_lets_in_who_may(world: World, traffic: Traffic) -> None:
    world.canary(v1=100)
    served(world, traffic, "catalog-v1", 1, 1)

    def peeking(status: str) -> bool:
        """What calls come to that checkout makes."""
        return set(traffic.burst("/peek", 10, together=1).statuses) == {status}

    mine: Document = {"selector": {"matchLabels": {"app": "catalog", "version": "v1"}}}
    with traffic.steady() as tally:
        serves_mtls(world, "catalog-v1")
        answering(world, traffic, world.names("catalog", "v1"))
        with applied(world, "PeerAuthentication", {**mine, "mtls": {"mode": "STRICT"}}):
            addresses = [each["status"]["podIP"] for each in world.pods("catalog", "v1")]
            world.until(lambda: all(map(refuses_plaintext, addresses)), "plaintext is answered")
            answering(world, traffic, world.names("catalog", "v1"))
            assert peeking("200")
            principal = f"cluster.local/ns/{world.namespace}/sa/storefront"
            rules = [{"from": [{"source": {"principals": [principal]}}]}]
            with applied(world, "AuthorizationPolicy", {**mine, "rules": rules}):
                # checkout has a certificate too, and another name in it.
                world.until(lambda: peeking("403"), "checkout is let in")
                answering(world, traffic, world.names("catalog", "v1"))
            world.until(lambda: peeking("200"), "checkout is not let in again")
    assert tally.calls
    assert not tally.failed
