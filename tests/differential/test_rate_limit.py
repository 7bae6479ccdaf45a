"""The local rate limit filter: the same requests of a burst pass, and the others are refused in the same way."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

import proxyless.asgi
from proxyless.mesh import Mesh
from tests.differential.conftest import SHOP
from tests.differential.custom import cluster, custom, host, route
from tests.differential.decision import answered
from tests.differential.governed import Governed, governed
from tests.differential.ours import mesh_on
from tests.differential.probes.rate_limit import ALICE, ALWAYS, ANYONE, BUCKET, BY_USER, FILTERS, NAME, NEVER, ON, TYPE
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.behaviour import Headers

pytestmark = pytest.mark.envoy

A = ("127.0.20.1", 80)
STILL: Resource = {**BUCKET, "fill_interval": "600s"}
"""A bucket of two that is not filled again while a test runs."""

WIDE: Resource = {"max_tokens": 5, "tokens_per_fill": 5, "fill_interval": "600s"}
GRPC: Headers = (("content-type", "application/grpc"), ("te", "trailers"))
FILL_S = 0.25
RESET = "x-ratelimit-reset"
DECORATOR = "x-envoy-decorator-operation"
"""Envoy's span name in responses of incoming requests: tracing is not there yet."""
FILLED: Resource = {"max_tokens": 3, "tokens_per_fill": 1, "fill_interval": f"{FILL_S}s"}
ONE: Resource = {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "600s"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, response headers (without what only a proxy adds), and what the backend got of `x-over`."""

    status: int
    headers: Headers
    over: str | None = None


def answer(status: int, headers: Headers, over: str | None = None) -> Answer:
    """An answer of either side, its headers in alphabetical order; when the bucket is filled again is left out."""
    kept = ((name, "<s>" if name == RESET else value) for name, value in answered(headers) if name != DECORATOR)
    return Answer(status, tuple(sorted(kept)), over)


def limited(base: Recording, fields: Resource, rule: Resource | None = None) -> Recording:
    """A route to one backend behind the filter, put first in the outbound chain."""
    rules = [rule or route({"prefix": "/"}, "a")]
    recording = custom(copy.deepcopy(base), [host(*rules)], [cluster("a", A)])
    config = {"@type": TYPE, "stat_prefix": "x", **fields}
    for chain in recording.listeners["0.0.0.0_80"]["filter_chains"]:
        for network in chain["filters"]:
            network["typed_config"]["http_filters"].insert(0, {"name": NAME, "typed_config": config})
    return recording


def by_envoy(rig: Rig, sent: Sequence[Headers]) -> list[Answer]:
    found = []
    for headers in sent:
        seen = rig.send("GET", "/", *headers)
        over = seen.arrivals[0].header("x-over") if seen.arrivals else None
        found.append(answer(seen.response.status, seen.response.headers, over))
    return found


def by_proxyless(client: Governed, sent: Sequence[Headers]) -> list[Answer]:
    found = []
    for headers in sent:
        response, arrivals = client.send(Request("GET", "http://catalog/", headers))
        over = arrivals[0].header("x-over") if arrivals else None
        raw = tuple((name.decode(), value.decode()) for name, value in response.headers.raw)
        found.append(answer(response.status_code, raw, over))
    return found


DESCRIBED: dict[str, tuple[list[Resource], Resource]] = {
    "one value": ([ALICE], {}),
    "one value alone": ([ALICE], {"always_consume_default_token_bucket": False}),
    "any value": ([ANYONE], {}),
}
USERS = ("alice", "alice", "bob", "bob", "bob", "", "alice", "", "bob")


@pytest.mark.parametrize("label", FILTERS)
def test_each_setting_of_the_filter_lets_the_same_requests_pass(frontend: Recording, label: str) -> None:
    envoy.require()
    fields = {**FILTERS[label], **({"token_bucket": STILL} if "token_bucket" in FILTERS[label] else {})}
    sent: list[Headers] = [(), (("x-a", "1"),), (), GRPC, ()]
    with Rig(limited(frontend, fields)) as rig, mesh_on(rig.recording) as mesh, governed(mesh, rig.backends) as client:
        theirs = by_envoy(rig, sent)
        assert by_proxyless(client, sent) == theirs
    assert theirs[0].status == 200


@pytest.mark.parametrize("label", DESCRIBED)
def test_descriptors_have_buckets_of_their_own(frontend: Recording, label: str) -> None:
    envoy.require()
    descriptors, more = copy.deepcopy(DESCRIBED[label])
    for each in descriptors:
        each["token_bucket"] = ONE
    config = {"@type": TYPE, "stat_prefix": "x", "token_bucket": WIDE, "descriptors": descriptors, **ON, **more}
    action = {"cluster": "a", "rate_limits": [BY_USER]}
    rule = route({"prefix": "/"}, action, typed_per_filter_config={NAME: config})
    sent: list[Headers] = [(("x-user", user),) if user else () for user in USERS]
    recording = limited(frontend, {}, rule)
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh, governed(mesh, rig.backends) as client:
        theirs = by_envoy(rig, sent)
        assert by_proxyless(client, sent) == theirs
    assert {each.status for each in theirs} == {200, 429}


def test_what_is_enabled_but_not_enforced_is_only_marked(frontend: Recording) -> None:
    envoy.require()
    marks = {"request_headers_to_add_when_not_enforced": [{"header": {"key": "x-over", "value": "1"}}]}
    fields = {"token_bucket": STILL, "filter_enabled": ALWAYS, "filter_enforced": NEVER, **marks}
    sent: list[Headers] = [()] * 4
    with Rig(limited(frontend, fields)) as rig, mesh_on(rig.recording) as mesh, governed(mesh, rig.backends) as client:
        theirs = by_envoy(rig, sent)
        assert by_proxyless(client, sent) == theirs
    assert [each.over for each in theirs] == ["", "", "1", "1"]


def test_a_bucket_is_filled_again_bit_by_bit(frontend: Recording) -> None:
    envoy.require()
    with (
        Rig(limited(frontend, {"token_bucket": FILLED, **ON})) as rig,
        mesh_on(rig.recording) as mesh,
        governed(mesh, rig.backends) as client,
    ):
        for one in (lambda: by_envoy(rig, [()]), lambda: by_proxyless(client, [()])):
            _passes_no_faster_than_filled(one)


def _passes_no_faster_than_filled(send: Callable[[], list[Answer]]) -> None:
    """Seven pass: three at once, each other one after a fill."""
    started, passed = time.monotonic(), 0
    while passed < 7:
        assert time.monotonic() - started < 60
        passed += send()[0].status == 200
    assert time.monotonic() - started > FILL_S * 3


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask_app(mesh: Mesh, port: int, requests: Sequence[tuple[str, Headers]]) -> list[Answer]:
    """An ASGI app governed by the inbound chain of its port."""

    async def run() -> list[Answer]:
        app = httpx.ASGITransport(proxyless.asgi.Middleware(_app, mesh, port=port))
        found = []
        async with httpx.AsyncClient(transport=app) as client:
            for path, headers in requests:
                response = await client.get(f"http://app{path}", headers=dict(headers))
                raw = tuple((name.decode(), value.decode()) for name, value in response.headers.raw)
                found.append(answer(response.status_code, raw))
        return found

    return asyncio.run(run())


INBOUND: dict[str, tuple[str, int, list[tuple[str, Headers]]]] = {
    "payment": ("127.0.14.1", 8080, [("/healthz", ())] * 8),
    "frontend": (
        "127.0.10.1",
        8080,
        [("/", (("x-user", user),)) for user in ("alice", "bob", "alice", "alice", "bob")],
    ),
    "frontend, a port of no service": ("127.0.10.1", 9999, [("/", (("x-user", "alice"),))] * 4),
}


@pytest.mark.parametrize("label", INBOUND)
def test_the_recorded_limits_of_incoming_requests(label: str) -> None:
    envoy.require()
    address, port, sent = INBOUND[label]
    recording = Recording.load(SHOP / label.partition(",")[0])
    unenforced = ("envoy.filters.http.jwt_authn", "envoy.filters.http.rbac")
    with (
        Rig(recording, listener="virtualInbound") as rig,
        mesh_on(rig.recording, allow_unenforced=unenforced) as mesh,
    ):
        seen = [rig.send("GET", path, *headers, host="app", to=(address, port)).response for path, headers in sent]
        theirs = [answer(each.status, each.headers if each.status == 429 else ()) for each in seen]
        ours = [Answer(each.status, each.headers if each.status == 429 else ()) for each in ask_app(mesh, port, sent)]
    assert ours == theirs
