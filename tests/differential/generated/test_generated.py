"""Generated cases: a share of what `make differential` runs, what was found before, and that it would be found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxyless.governance import redirects
from tests.differential.case import Case
from tests.differential.comparison import told
from tests.differential.generated.__main__ import batch, key_batch
from tests.differential.generated.found import FOUND
from tests.differential.generated.running import run, smallest
from tests.differential.recording import Recording
from tests.differential.requests import Request
from tests.support import envoy

pytestmark = pytest.mark.envoy

SEED = 20_260_804
CASES = 30
BATCHES = 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(BATCHES))
def test_generated_requests_are_decided_as_by_envoy(frontend: Recording, number: int) -> None:
    envoy.require()
    report = batch(SEED, number, CASES, frontend)
    assert not report.differences, "\n".join(report.differences)
    assert report.census.requests >= CASES * 20


@pytest.mark.timeout(300)
def test_generated_keys_go_where_envoy_sends_them(frontend: Recording) -> None:
    envoy.require()
    report = key_batch(SEED, 0, CASES, frontend)
    assert not report.differences, "\n".join(report.differences)
    assert report.census.keys >= CASES * 40


def test_what_once_differed_does_so_no_more(frontend: Recording) -> None:
    envoy.require()
    outcome = run(frontend, list(FOUND.values()))
    names = list(FOUND)
    assert not outcome.found, [f"{names[e.case]}: {told([e.difference])}" for e in outcome.found]


def test_a_difference_is_found_and_made_small(frontend: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    envoy.require()
    monkeypatch.setitem(redirects.DEFAULT_PORTS, b"http", b":8080")
    other = {"match": {"path": "/none"}, "route": {"cluster": "a", "timeout": "3s"}}
    there = {
        "match": {"prefix": "/a", "headers": [{"name": "x-a", "present_match": True}]},
        "redirect": {"https_redirect": True, "path_redirect": "/new"},
        "response_headers_to_add": [{"header": {"key": "x-new", "value": "1"}}],
    }
    host = {"name": "any", "domains": ["*"], "routes": [other, there], "include_request_attempt_count": True}
    asked = Request("GET", "http://case.test/a/b", (("host", "shop.test:80"), ("x-a", "va"), ("x-b", "1")))
    table = {"ignore_port_in_host_matching": True}
    case = Case((host,), (replace(asked, url="http://case.test/b"), asked), table)
    outcome = run(frontend, [case])
    assert {(each.request, each.client) for each in outcome.found} == {(1, "explain"), (1, "httpx")}
    small, _ = smallest(frontend, case, outcome.found[0])
    (kept,) = small.hosts
    assert kept == {
        "name": "any",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/a"}, "redirect": {"https_redirect": True}}],
    }
    assert small.requests == (replace(asked, headers=(("host", ":80"),)),)
    assert not small.table
