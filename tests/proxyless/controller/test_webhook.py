"""The webhook over real TLS, as an API server asks it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxyless.controller.webhook import CertificateFiles, Webhook
from proxyless.errors import ConfigurationError
from proxyless.xds.identity.secrets import KeyPair
from tests.support.certificates import authority, write
from tests.xds.controlplane.support import istio, service, world
from tests.xds.controlplane.test_admission import of, review

CA = authority()
GOOD = of(istio("VirtualService", "x", "{hosts: [web], http: [{route: [{destination: {host: web}}]}]}"))
BAD = of(istio("VirtualService", "x", "{hosts: 7}"))


def client(pem: bytes = CA.pem) -> httpx.Client:
    return httpx.Client(verify=ssl.create_default_context(cadata=pem.decode()), timeout=60)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    key, chain = CA.server()
    mesh = world(service("web", "http:80"))
    made = Webhook("127.0.0.1:0", lambda: KeyPair(chain, key), lambda: mesh)
    yield made
    made.stop()


def post(webhook: Webhook, value: object, ask: httpx.Client | None = None) -> Any:
    answer = (ask or client()).post(webhook.address, content=json.dumps(review(value)))
    assert answer.status_code == 200
    return answer.json()["response"]


def headed(webhook: Webhook, **length: int) -> int:
    """What a request is answered of which only the head is sent."""
    url = httpx.URL(webhook.address)
    context = ssl.create_default_context(cadata=CA.pem.decode())
    ask = HTTPSConnection(url.host, url.port, timeout=60, context=context)
    try:
        ask.putrequest("POST", url.path)
        for each in length.values():
            ask.putheader("content-length", str(each))
        ask.endheaders()
        return ask.getresponse().status
    finally:
        ask.close()


def test_objects_are_checked_one_after_the_other_on_one_connection(webhook: Webhook) -> None:
    with client() as ask:
        assert post(webhook, GOOD, ask)["allowed"]
        refused = post(webhook, BAD, ask)
        assert not refused["allowed"]
        assert "spec.hosts must be" in refused["status"]["message"]
        answer = ask.post(webhook.address, content="{")
        assert (answer.status_code, answer.text) == (400, "the body is no JSON\n")
        answer = ask.post(webhook.address, content="{}")
        assert (answer.status_code, answer.text) == (400, "an AdmissionReview is wanted\n")
    assert webhook.counts() == {"allowed": 1, "refused": 1, "malformed": 2}


def test_what_is_no_review_gets_an_answer_and_holds_up_nobody(webhook: Webhook) -> None:
    with client() as ask:
        assert ask.post(webhook.address.replace("/validate", "/mutate"), content="{}").status_code == 404
        assert headed(webhook) == 411
        assert headed(webhook, length=(8 << 20) + 1) == 413
        assert ask.get(webhook.address).status_code == 501
        with pytest.raises(httpx.TransportError):  # no TLS
            ask.get(webhook.address.replace("https", "http"))
        assert post(webhook, GOOD, ask)["allowed"]


def test_a_certificate_in_files_is_followed_and_what_was_good_is_kept(tmp_path: Path) -> None:
    chain, key = (str(each) for each in write(CA.leaf(dns=("127.0.0.1",)), tmp_path, "server"))
    files = CertificateFiles(chain, key)
    made = Webhook("127.0.0.1:0", files, lambda: world(""))
    other = authority()
    try:
        assert post(made, BAD)["allowed"] is False
        Path(chain).write_text("nonsense")
        assert post(made, BAD)["allowed"] is False
        new = write(other.leaf(dns=("127.0.0.1",)), tmp_path, "new")
        for source, target in zip(new, (chain, key), strict=True):
            source.replace(target)
        assert post(made, BAD, client(other.pem))["allowed"] is False
        with pytest.raises(httpx.ConnectError):
            post(made, BAD)
    finally:
        made.stop()


@pytest.mark.parametrize(
    ("chain", "key", "said"),
    [
        ("nowhere", "server.key", "nowhere: No such file or directory"),
        ("other", "server.key", "the certificate and its key cannot be used"),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, chain: str, key: str, said: str) -> None:
    _, good = write(CA.leaf(dns=("x",)), tmp_path, "server")
    (tmp_path / "other").write_text("nonsense")
    with pytest.raises(ConfigurationError, match=said):
        CertificateFiles(str(tmp_path / chain), str(good) if key else "")


def test_an_address_in_use_is_said(webhook: Webhook) -> None:
    listen = webhook.address.removeprefix("https://").removesuffix("/validate")
    with pytest.raises(ConfigurationError, match=f"cannot listen on {listen}"):
        Webhook(listen, lambda: KeyPair(b"", b""), lambda: world(""))
