"""The tables of exceptions on the pages of urllib3, requests and aiohttp, held against what the suites raise."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import requests
import urllib3
from aiohttp.client_reqrep import ConnectionKey
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError

from proxyless.governance import replies
from proxyless.governance.replies import LocalReply
from proxyless.governance.runtime import Runtime
from proxyless.governance.suites._aiohttp.governing import Governor
from proxyless.governance.suites.urllib3 import GaveUpError, Governance, final
from tests.docs.pages import text_of

REPLIES: dict[str, LocalReply] = {
    "UF": replies.upstream_reset("connect-failure"),
    "UC": replies.upstream_reset("reset"),
    "UT": replies.route_timeout(),
}


def rows(page: str) -> dict[str, tuple[str, str]]:
    found = re.findall(r"^\| `(\w+)` \| (\d+) \| `([^`]*)` \|$", text_of(page), re.MULTILINE)
    return {flag: (status, raised) for flag, status, raised in found}


def raised_for(flag: str) -> Exception:
    pool = urllib3.HTTPConnectionPool("a")
    with pytest.raises(GaveUpError) as caught:
        Governance(Runtime(), "raise").raise_for(REPLIES[flag])
    return final(caught.value.of(pool, None, "/"), pool, "GET", "/", urllib3.Retry.DEFAULT)


@pytest.mark.parametrize("flag", REPLIES)
def test_the_row_of_urllib3(flag: str) -> None:
    status, said = rows("urllib3")[flag]
    assert str(REPLIES[flag].status) == status
    error = raised_for(flag)
    assert isinstance(error, MaxRetryError)
    assert type(error.reason).__name__ == said


@pytest.mark.parametrize("flag", REPLIES)
def test_the_row_of_requests(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, said = rows("requests")[flag]
    assert str(REPLIES[flag].status) == status
    pool = urllib3.HTTPConnectionPool("a")

    def urlopen(*arguments: Any, **more: Any) -> Any:
        with pytest.raises(GaveUpError) as caught:
            Governance(Runtime(), "raise").raise_for(REPLIES[flag])
        error = caught.value.of(pool, None, "/")
        return more["retries"].increment("GET", "/", error=error, _pool=pool)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter())
    with pytest.raises(requests.RequestException) as caught:
        session.get("http://a/")
    assert f"requests.{type(caught.value).__name__}" == said


@pytest.mark.parametrize("flag", REPLIES)
def test_the_row_of_aiohttp(flag: str) -> None:
    status, said = rows("aiohttp")[flag]
    assert str(REPLIES[flag].status) == status
    key = ConnectionKey("a", 80, False, True, None, None, None)
    request: Any = SimpleNamespace(connection_key=key, _timer=None)
    with pytest.raises(aiohttp.ClientError) as caught:
        Governor(Runtime(), "raise").refuse(REPLIES[flag], request)
    assert f"aiohttp.{type(caught.value).__name__}" == said
