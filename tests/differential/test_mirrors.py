"""Mirroring: the same copies at the same backends, whatever becomes of the request itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

import proxyless.httpx
from proxyless.mesh import Mesh
from tests.differential.custom import cluster, custom, host, route
from tests.differential.governed import TIMEOUTS
from tests.differential.ours import mesh_on
from tests.differential.probes.mirrors import CASES, SENT
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.backends import Backends
from tests.support.behaviour import Arrival, Behaviour, Headers
from tests.support.waiting import wait_for

pytestmark = pytest.mark.envoy

MAIN, SHADOW = ("127.0.20.1", 80), ("127.0.20.2", 80)
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ADDED: Resource = {"request_headers_to_add": [{"header": {"key": "x-added", "value": "1"}}]}
HEADERS: Headers = (*SENT, ("x-request-id", "0f9a3c1e-3c1f-4c53-9d3d-2b8f9c3a7d11"), ("content-length", "3"))
WAIT_S = 0.3
OWN = {"x-forwarded-for", "x-envoy-expected-rq-timeout-ms"}
"""Whose value is an address of the machine, or depends on how quick a retry was."""

Copy = tuple[str, str, str, bytes, Headers]
LARGE = b"x" * (1024 * 1024 + 1)


def seen(arrivals: list[Arrival] | tuple[Arrival, ...], *, copies: bool) -> list[Copy]:
    """Method, authority, target, body and headers of the copies, or of the requests themselves."""
    found = []
    for each in arrivals:
        if (each.header("x-envoy-internal") == "true") == copies:
            headers = tuple(
                (name.lower(), "*" if name.lower() in OWN else value)
                for name, value in each.headers
                if name.lower() not in ("host", "accept", "accept-encoding", "connection", "user-agent", "x-backend")
            )
            found.append((each.method, each.authority, each.target, each.body, headers))
    return found


def ours(mesh: Mesh, backends: Backends, *, body: bytes = b"abc", behaviour: str = "") -> tuple[int, list[Arrival]]:
    """One call of an httpx client, and what arrived."""
    backends.take()
    headers = [("host", "catalog:80"), *HEADERS, ("x-backend", behaviour)]
    with httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=TIMEOUTS) as client:
        client.headers = httpx.Headers()
        status = client.post("http://catalog:80/p?x=1", headers=headers, content=body).status_code
    return status, arrived(backends)


def arrived(backends: Backends) -> list[Arrival]:
    time.sleep(WAIT_S)
    return list(backends.take())


@pytest.mark.parametrize("label", CASES)
def test_the_copy_is_the_same(frontend: Recording, label: str) -> None:
    envoy.require()
    action, mirror = CASES[label]
    mirroring = {key: value for key, value in {"cluster": "b", **mirror}.items() if value is not None}
    rule = route({"prefix": "/"}, {"cluster": "a", "request_mirror_policies": [mirroring], **action}, **ADDED)
    clusters = [
        cluster("a", MAIN),
        cluster("b", SHADOW),
        cluster("none"),
        cluster("full", MAIN, circuit_breakers={"thresholds": [{"max_requests": 0}]}),
    ]
    what = {"retries of the main request": "status=503", "timeout of the route 0.1 s": "delay=0.2"}.get(label, "")
    with Rig(custom(frontend, [host(rule)], clusters)) as rig, mesh_on(rig.recording) as mesh:
        theirs = rig.send(
            "POST", "/p?x=1", *HEADERS[:-1], ("x-backend", what), host="catalog:80", body=b"abc", settle_s=WAIT_S
        )
        status, arrivals = ours(mesh, rig.backends, behaviour=what)
        assert status == theirs.response.status
        assert seen(arrivals, copies=False) == seen(theirs.arrivals, copies=False)
        assert seen(arrivals, copies=True) == seen(theirs.arrivals, copies=True)


def mirrored(base: Recording, **levels: Resource) -> Recording:
    """Mirroring set at the levels `route`, `host`, `table` and `cluster`."""
    options = {
        "@type": f"type.googleapis.com/{OPTIONS}",
        "explicit_http_config": {"http_protocol_options": {}},
        **levels.get("cluster", {}),
    }
    main = cluster("a", MAIN, typed_extension_protocol_options={OPTIONS: options})
    rules = [host(route({"prefix": "/"}, {"cluster": "a", **levels.get("route", {})}), **levels.get("host", {}))]
    return custom(base, rules, [main, cluster("b", SHADOW)], **levels.get("table", {}))


def to_b(name: str = "", percent: int = 100) -> Resource:
    share = {"default_value": {"numerator": percent}}
    return {"request_mirror_policies": [{"cluster": "b", "host_rewrite_literal": name, "runtime_fraction": share}]}


LEVELS: dict[str, dict[str, Resource]] = {
    "host": {"host": to_b()},
    "table": {"table": to_b()},
    "cluster": {"cluster": to_b()},
    "all": {each: to_b(each) for each in ("route", "host", "table", "cluster")},
    "none of the route": {"route": to_b("route", 0), "host": to_b("host")},
    "two": {"route": {"request_mirror_policies": [{"cluster": "b"}, {"cluster": "b", "host_rewrite_literal": "x"}]}},
}


@pytest.mark.parametrize("label", LEVELS)
def test_the_same_level_says_what_is_mirrored(frontend: Recording, label: str) -> None:
    envoy.require()
    with Rig(mirrored(frontend, **LEVELS[label])) as rig, mesh_on(rig.recording) as mesh:
        theirs = rig.send("POST", "/p?x=1", *HEADERS[:-1], host="catalog:80", body=b"abc", settle_s=WAIT_S)
        _, arrivals = ours(mesh, rig.backends)
        assert sorted(seen(arrivals, copies=True)) == sorted(seen(theirs.arrivals, copies=True))


# -- what a process adds to it -------------------------------------------------------------------------------------


@pytest.fixture
def backends(frontend: Recording) -> Iterator[tuple[Mesh, Backends]]:
    """A mesh that mirrors, without an Envoy beside it."""
    recording = mirrored(frontend, route=to_b())
    with Backends(sorted(recording.addresses())) as running, mesh_on(recording.rewritten(running.ports)) as mesh:
        yield mesh, running


def counts(mesh: Mesh) -> dict[str, int]:
    return {str(key): value for key, value in mesh.runtime.background.counts.items()}


def test_a_slow_or_failing_copy_is_not_waited_for(backends: tuple[Mesh, Backends]) -> None:
    mesh, running = backends
    running.behave(SHADOW, Behaviour(delay_s=1.5))
    started = time.monotonic()
    assert ours(mesh, running)[0] == 200
    assert time.monotonic() - started < 1.4
    wait_for(lambda: counts(mesh)["answered"] == 1)
    running.behave(SHADOW, Behaviour(fault="reset"))
    assert ours(mesh, running)[0] == 200
    wait_for(lambda: counts(mesh)["failed"] == 1)


def pieces(body: bytes) -> Iterator[bytes]:
    for at in range(0, len(body), 65536):
        yield body[at : at + 65536]


async def pieces_async(body: bytes) -> AsyncIterator[bytes]:
    for each in pieces(body):
        yield each


@pytest.mark.parametrize("body", [b"abc" * 30_000, LARGE], ids=["kept", "too large"])
@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_streamed_body_is_copied_up_to_a_limit(backends: tuple[Mesh, Backends], body: bytes, way: str) -> None:
    mesh, running = backends
    running.take()
    if way == "sync":
        with httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=TIMEOUTS) as client:
            assert client.post("http://catalog/p", content=pieces(body)).status_code == 200
    else:
        asyncio.run(_stream(mesh, body))
    wait_for(lambda: sum(counts(mesh).values()) == 1)
    bodies = [each.body for each in arrived(running) if each.header("x-envoy-internal")]
    assert bodies == ([body] if body is not LARGE else [])
    assert counts(mesh)["dropped"] == (body is LARGE)


async def _stream(mesh: Mesh, body: bytes) -> None:
    async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=TIMEOUTS) as client:
        assert (await client.post("http://catalog/p", content=pieces_async(body))).status_code == 200
        await asyncio.sleep(WAIT_S)


def test_copies_of_asynchronous_calls_are_tasks_that_end_with_the_loop(backends: tuple[Mesh, Backends]) -> None:
    mesh, running = backends

    async def run() -> None:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=TIMEOUTS) as client:
            response = await client.post("http://catalog/p", content=b"abc")
            assert response.status_code == 200
            await asyncio.sleep(WAIT_S)
            running.behave(SHADOW, Behaviour(delay_s=30))
            assert (await client.post("http://catalog/p", content=b"abc")).status_code == 200
            await asyncio.sleep(0.1)

    asyncio.run(run())
    assert counts(mesh) == {"answered": 1, "failed": 1, "dropped": 0}
    assert mesh.runtime.background.active == 0


def test_what_is_above_the_limit_is_dropped_and_counted(backends: tuple[Mesh, Backends]) -> None:
    mesh, running = backends
    mesh.runtime.background.limit = 0
    status, arrivals = ours(mesh, running)
    assert (status, len(arrivals)) == (200, 1)
    assert counts(mesh)["dropped"] == 1
