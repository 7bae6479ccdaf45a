"""One fetch: what counts as keys, what is said of the rest, and where nobody is asked."""

from __future__ import annotations

import json

import pytest

from proxyless.xds.controlplane.keys import fetching
from proxyless.xds.controlplane.keys.fetching import FetchError, fetch
from proxyless.xds.controlplane.keys.sources import KeySource

from .server import KEYS, Pages, served


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def got(path: str, pages: Pages) -> str:
    with served(pages) as url:
        return fetch(KeySource("issuer", url + path), 30.0)


def test_keys_come_as_they_were_sent() -> None:
    assert got("/keys", Pages({"/keys": (200, KEYS)})) == KEYS


def test_a_redirection_is_followed_to_http_alone() -> None:
    assert got("/old", Pages({"/old": (302, "/keys"), "/keys": (200, KEYS)})) == KEYS
    with pytest.raises(FetchError, match="/old"):
        got("/old", Pages({"/old": (302, "file:///etc/hostname")}))


def test_an_issuer_says_where_its_keys_are() -> None:
    pages = Pages({"/keys": (200, KEYS)})
    with served(pages) as url:
        pages["/issuer/.well-known/openid-configuration"] = (200, json.dumps({"jwks_uri": f"{url}/keys"}))
        assert fetch(KeySource(f"{url}/issuer/", ""), 30.0) == KEYS
        for wrong in ("{}", "nothing", '{"jwks_uri": 3}', "[]"):
            pages["/issuer/.well-known/openid-configuration"] = (200, wrong)
            with pytest.raises(FetchError, match="names no jwks_uri"):
                fetch(KeySource(f"{url}/issuer/", ""), 30.0)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, "secret", "answers 404"),
        (500, KEYS, "answers 500"),
        (200, "secret", "no JSON Web Key Set"),
        (200, '{"keys": "secret"}', "holds no key"),
        (200, '{"keys": []}', "holds no key"),
        (200, "[1]", "no JSON Web Key Set"),
        (200, KEYS + " " * (1 << 20), "sends more than"),
    ],
)
def test_what_is_no_key_set_is_named_and_not_shown(status: int, body: str, said: str) -> None:
    with pytest.raises(FetchError) as caught:
        got("/keys", Pages({"/keys": (status, body)}))
    assert said in str(caught.value)
    assert "/keys" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_cannot_be_reached_is_named() -> None:
    with served(Pages()) as url:
        pass
    with pytest.raises(FetchError, match=f"{url}/keys is not reached"):
        fetch(KeySource("issuer", f"{url}/keys"), 30.0)
    with pytest.raises(FetchError, match="no URL of http or https"):
        fetch(KeySource("issuer", "ftp://127.0.0.1/keys"), 30.0)
    with pytest.raises(FetchError, match="no URL of http or https"):
        fetch(KeySource("issuer", ""), 30.0)
    with pytest.raises(FetchError, match="not reached in time"):
        fetch(KeySource("issuer", f"{url}/keys"), 0.0)
    with pytest.raises(FetchError, match="is not reached"):
        fetch(KeySource("issuer", "http://[::1/keys"), 30.0)


def test_a_service_of_metadata_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_METADATA", frozenset({"127.0.0.1"}))
    with pytest.raises(FetchError, match="the address of no key server"):
        got("/keys", Pages({"/keys": (200, KEYS)}))
