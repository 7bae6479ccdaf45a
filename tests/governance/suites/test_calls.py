"""`Mesh.call`: libraries with sockets of their own, in threads and on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry

import proxyless.policies
from proxyless import Mesh, Node
from proxyless.governance.actions import Collect
from proxyless.governance.suites.calls import PERFORM, PERFORM_ASYNC, Call
from proxyless.xds.model.route import InternalRedirectPolicy, MirrorPolicy, RetryPolicy
from tests.governance.suites.conftest import DEAD, PLAIN, A, B, counts
from tests.governance.suites.test_mtls import Server, world
from tests.governance.suites.test_tcp import CONFIG, connections
from tests.governance.suites.test_tcp import Server as Plain
from tests.support.backends import Backends
from tests.support.behaviour import Behaviour
from tests.support.certificates import HeldSecrets, authority, terminating
from tests.support.in_thread import in_thread
from tests.support.model import cluster, route, snapshot, table
from tests.support.waiting import wait_for

EXAMPLE = Path(__file__).parents[3] / "examples" / "extensions" / "http_client" / "example_http_client.py"
ONE, RETRY, SLOW = (f"http://{name}.example.com/" for name in ("one", "retry", "slow"))
MOVED = "http://moved.example.com"
FAILURES = (OSError, EOFError, HTTPException)


def load() -> Any:
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


EXCHANGE = load().exchange


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes
    call: Any

    @property
    def said(self) -> tuple[int, str, int]:
        """(status, flags, attempts)."""
        return self.status, ",".join(self.call.flags) or "-", self.call.attempts


class Read:
    """The head of a response over streams, and how much is to come."""

    def __init__(self, attempt: Any) -> None:
        self._attempt = attempt
        self.status = 0
        self.headers: list[tuple[str, str]] = []

    async def head(self) -> None:
        attempt = self._attempt
        lines = [f"{attempt.method} {attempt.target} HTTP/1.1", *(": ".join(each) for each in attempt.headers)]
        attempt.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + (attempt.body or b""))
        await attempt.writer.drain()
        text = (await attempt.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *others = text.strip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = [(name, value.strip()) for name, _, value in (each.partition(":") for each in others)]

    async def body(self) -> bytes:
        if self._attempt.method == "HEAD":
            return b""
        length = {name.lower(): value for name, value in self.headers}.get("content-length", "0")
        content: bytes = await self._attempt.reader.readexactly(int(length))
        return content


def by_thread(made: Call, patience_s: float | None, between: Callable[[], object]) -> Answer:
    with made as call:
        response: Any = None
        for attempt in call:
            with attempt:
                attempt.sock.settimeout(patience_s)
                response = EXCHANGE(attempt)
                attempt.responded(response.status, response.getheaders())
        content = call.body
        if content is None:
            between()
            content = response.read()
            call.done(len(content), reuse=not response.will_close)
    return Answer(call.status, {name.lower(): value for name, value in call.headers}, content, call.call)


async def by_task(made: Call, patience_s: float | None, between: Callable[[], object]) -> Answer:
    async with made as call:
        response: Any = None
        async for attempt in call:
            with attempt:
                response = Read(attempt)
                async with asyncio.timeout(patience_s):
                    await response.head()
                attempt.responded(response.status, response.headers)
        content = call.body
        if content is None:
            between()
            content = await response.body()
            call.done(len(content), reuse=True)
    return Answer(call.status, {name.lower(): value for name, value in call.headers}, content, call.call)


class Client:
    """Calls one after the other; those of tasks in one event loop."""

    def __init__(self, mesh: Mesh, *, tasks: bool) -> None:
        self.mesh = mesh
        self.runner = asyncio.Runner() if tasks else None

    def __call__(
        self,
        method: str,
        url: str,
        backend: str = "",
        *,
        patience_s: float | None = None,
        between: Callable[[], object] = bool,
        **more: Any,
    ) -> Answer:
        headers = {**more.pop("headers", {}), **({"x-backend": backend} if backend else {})}
        made = self.mesh.call(method, url, headers, errors=FAILURES, **more)
        if self.runner is None:
            return by_thread(made, patience_s, between)
        return self.runner.run(by_task(made, patience_s, between))

    def close(self) -> None:
        if self.runner is not None:
            runner, self.runner = self.runner, None
            self.mesh.runtime.close_idle()
            runner.run(asyncio.sleep(0.01))
            runner.close()


@pytest.fixture(params=["threads", "tasks"])
def tasks(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "tasks")


@pytest.fixture
def client(tasks: bool, mesh: Mesh, backends: Backends) -> Any:
    del backends
    with contextlib.closing(Client(mesh, tasks=tasks)) as made:
        yield made


def test_a_route_says_what_is_sent_and_what_comes_back(client: Client, backends: Backends) -> None:
    sent = {"X-Gone": "1", "X-Kept": "2"}
    answer = client("POST", f"{MOVED}/v1/a%20b?c=d", headers=sent, body=b"body")
    assert (answer.said, answer.headers["x-served"]) == ((200, "-", 1), "c")
    (arrival,) = backends.take()
    assert (arrival.method, arrival.target, arrival.authority, arrival.body) == ("POST", "/a%20b?c=d", "inner", b"body")
    assert [arrival.header(each) for each in ("x-gone", "x-kept", "x-set", "x-add")] == ["", "2", "a", "b"]
    assert (answer.call.sent, answer.call.received) == (4, len(answer.content))


def test_a_failed_try_goes_to_another_endpoint(client: Client, backends: Backends, mesh: Mesh) -> None:
    answer = client("POST", RETRY, "fault=reset,status=503,status=200", body=b"body")
    assert answer.said == (200, "-", 3)
    arrived = backends.take()
    assert [(each.body, each.header("x-envoy-attempt-count")) for each in arrived] == [
        (b"body", "1"),
        (b"body", "2"),
        (b"body", "3"),
    ]
    assert arrived[0].backend != arrived[1].backend
    assert counts(mesh, "retry")[1:] == (0, 0)


@pytest.mark.parametrize(
    ("url", "backend", "said", "text"),
    [
        ("http://dead.example.com/", "", (503, "UF"), b"remote connection failure"),
        (ONE, "fault=reset", (503, "UC"), b"connection termination"),
        (SLOW, "delay=20", (504, "UT"), b"upstream request timeout"),
        (f"{MOVED}/teapot", "", (418, "-"), b"teapot"),
    ],
)
def test_what_the_mesh_answers_itself_is_a_response(
    client: Client, url: str, backend: str, said: tuple[int, str], text: bytes
) -> None:
    answer = client("GET", url, backend)
    assert answer.said[:2] == said
    assert text in answer.content
    assert answer.headers["content-length"] == str(len(answer.content))
    assert client("HEAD", url, backend).content == b""


def test_a_connection_is_used_again_where_the_response_was_read(client: Client, backends: Backends, mesh: Mesh) -> None:
    for _ in range(3):
        assert client("GET", ONE).status == 200
    assert len({each.connection for each in backends.take()}) == 1
    assert counts(mesh, "one") == (1, 0, 0)
    backends.refuse(A)
    backends.accept(A)
    wait_for(lambda: client("GET", ONE).said == (200, "-", 1))


def test_a_response_that_is_left_gives_everything_back(client: Client, mesh: Mesh) -> None:
    def stop() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        client("GET", ONE, between=stop)
    wait_for(lambda: counts(mesh, "one") == (0, 0, 0))


def test_a_body_that_breaks_off_is_the_librarys_error(client: Client, mesh: Mesh) -> None:
    seen: list[Any] = []
    mesh.runtime.add_listener(Listening(seen))
    with pytest.raises((HTTPException, EOFError, ConnectionError)):
        client("GET", ONE, "fault=cut")
    assert [each.flags for each in seen] == [("UPE",)]
    wait_for(lambda: counts(mesh, "one") == (0, 0, 0))


class Listening:
    def __init__(self, seen: list[Any]) -> None:
        self._seen = seen

    def on_call(self, call: Any) -> None:
        self._seen.append(call)

    def on_request(self, request: Any) -> None:
        """There is none."""


def test_the_routes_timeout_ends_a_body_too(client: Client, mesh: Mesh) -> None:
    seen: list[Any] = []
    mesh.runtime.add_listener(Listening(seen))
    with pytest.raises((HTTPException, EOFError, ConnectionError)):
        client("GET", SLOW, "body-delay=20;size=10")
    assert [each.flags for each in seen] == [("UT",)]
    wait_for(lambda: counts(mesh, "slow") == (0, 0, 0))


def test_a_connection_whose_time_is_over_is_not_used_again(client: Client, mesh: Mesh) -> None:
    assert client("HEAD", SLOW, between=lambda: time.sleep(0.35)).said == (200, "-", 1)
    wait_for(lambda: counts(mesh, "slow") == (0, 0, 0))


def test_the_librarys_own_patience_is_the_callers(client: Client, mesh: Mesh) -> None:
    with pytest.raises(TimeoutError):
        client("GET", RETRY, "delay=20", patience_s=0.2)
    wait_for(lambda: counts(mesh, "retry") == (0, 0, 0))


def test_a_backend_that_fails_is_left_out(client: Client, mesh: Mesh, backends: Backends) -> None:
    backends.behave(A, Behaviour(503))
    for _ in range(9):
        client("GET", "http://eject.example.com/")
    backends.take()
    for _ in range(6):
        assert client("GET", "http://eject.example.com/").status == 200
    assert A not in {each.backend for each in backends.take()}


def test_it_is_counted_as_any_call(folder: Path, tasks: bool, backends: Backends) -> None:
    registry = CollectorRegistry()
    node = Node(app="me", namespace="shop", ip="127.0.0.9")
    with (
        Mesh.from_config(folder, node=node, registry=registry) as mesh,
        contextlib.closing(Client(mesh, tasks=tasks)) as client,
    ):
        client("GET", RETRY, "status=503,status=200")
        client("GET", "http://dead.example.com/")
        found = {
            (
                each.labels["destination_service"],
                each.labels["response_code"],
                each.labels["response_flags"],
            ): each.value
            for family in registry.collect()
            for each in family.samples
            if each.name == "istio_requests_total"
        }
    assert found == {("retry.example.com", "200", "-"): 1.0, ("dead.example.com", "503", "UF"): 1.0}


def test_hosts_that_the_mesh_does_not_know_are_dialled(client: Client, backends: Backends) -> None:
    answer = client("GET", f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/x?y", headers={"x-a": "b"})
    assert answer.status == 200
    (arrival,) = backends.take()
    assert (arrival.backend, arrival.target, arrival.header("x-a")) == (PLAIN, "/x?y", "b")
    assert arrival.header("x-envoy-attempt-count") == ""
    with pytest.raises(OSError, match=r"nothing in the mesh takes 127\.0\.41\.8"):
        client("GET", f"http://{DEAD[0]}:{backends.ports[DEAD]}/")


def test_without_governance_there_is_one_attempt(
    client: Client, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    answer = client("GET", f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/")
    assert (answer.status, answer.call) == (200, None)
    with pytest.raises(ConnectionRefusedError):
        client("GET", f"http://{DEAD[0]}:{backends.ports[DEAD]}/")


def test_a_cluster_that_speaks_http2_is_refused(client: Client, mesh: Mesh) -> None:
    with pytest.raises(ConnectionError, match=r"UF: cluster outbound\|80\|\|h2.example.com speaks HTTP/2"):
        client("GET", "http://h2.example.com/")
    assert counts(mesh, "h2") == (0, 0, 0)


NARROW = "http://narrow.example.com/"


def test_a_thread_waits_for_a_connection_as_long_as_its_caller(mesh: Mesh, backends: Backends) -> None:
    client, first = Client(mesh, tasks=False), []
    with mesh.call("GET", NARROW) as held:
        next(iter(held))
        with pytest.raises(TimeoutError):
            client("GET", NARROW, timeout=0.1)
        waiting = threading.Thread(target=lambda: first.append(client("GET", NARROW, timeout=20).said))
        waiting.start()
        wait_for(lambda: counts(mesh, "narrow") == (1, 1, 1))
    waiting.join(20)
    assert first == [(200, "-", 1)]


def test_a_task_waits_for_a_connection_as_long_as_its_caller(mesh: Mesh, backends: Backends) -> None:
    async def work() -> tuple[int, str, int]:
        async with mesh.call("GET", NARROW) as held:
            await anext(aiter(held))
            with pytest.raises(TimeoutError):
                await by_task(mesh.call("GET", NARROW, timeout=0.1), None, bool)
            waiting = asyncio.create_task(by_task(mesh.call("GET", NARROW, timeout=20), None, bool))
            while counts(mesh, "narrow") != (1, 1, 1):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.01)
        return (await waiting).said

    assert asyncio.run(work()) == (200, "-", 1)


def test_a_cluster_that_asks_for_mtls_gets_it(tasks: bool, tmp_path: Path) -> None:
    ca = authority()
    with in_thread(Server(terminating(ca, "server", tmp_path))) as server:
        made = world(server.address, HeldSecrets(ca.workload("one"), ca.roots))
        with made, contextlib.closing(Client(made, tasks=tasks)) as client:
            for _ in range(2):
                answer = client("GET", "http://shop/")
                assert (answer.said, answer.content) == ((200, "-", 1), b"ok")
                assert answer.call.principals is not None
        ((shown, _), _) = server.seen
        assert shown["subjectAltName"]


@contextlib.contextmanager
def snapshot_of(backends: Backends, tasks: bool, *, policies: Any = (), **action: Any) -> Iterator[Client]:
    """A mesh whose only route leads to one backend."""
    clusters = [cluster("a", f"{A[0]}:{backends.ports[A]}"), cluster("b", f"{B[0]}:{backends.ports[B]}")]
    held = snapshot(tables=[table(route("/", "a", **action))], clusters=clusters)
    with (
        Mesh._from_snapshot(held, policies=policies) as made,
        contextlib.closing(Client(made, tasks=tasks)) as client,
    ):
        yield client


def test_a_mirrored_copy_is_not_sent_and_counts_as_dropped(tasks: bool, backends: Backends) -> None:
    with snapshot_of(backends, tasks, mirrors=(MirrorPolicy("b"),)) as client:
        assert client("GET", "http://shop/").said == (200, "-", 1)
        assert client.mesh.runtime.background.counts["dropped"] == 1
    assert [each.backend for each in backends.take()] == [A]


def test_tries_that_would_run_beside_each_other_come_one_after_the_other(tasks: bool, backends: Backends) -> None:
    retry = RetryPolicy(("5xx",), 1, per_try_timeout_s=0.2)
    with snapshot_of(backends, tasks, retry=retry, hedge_on_per_try_timeout=True) as client:
        assert client("GET", "http://shop/", "delay=20,status=200").said == (200, "-", 2)
    assert len(backends.take()) == 2


def test_a_redirect_inside_the_mesh_drops_the_body(tasks: bool, backends: Backends) -> None:
    backends.behave(A, Behaviour(303, headers=(("location", "http://shop/new"),)))
    with snapshot_of(backends, tasks, internal_redirect=InternalRedirectPolicy(codes=frozenset({303}))) as client:
        assert client("POST", "http://shop/old", body=b"body").status == 303
    arrived = [(each.method, each.target, each.body) for each in backends.take()]
    assert arrived == [("POST", "/old", b"body"), ("GET", "/new", b"")]


class Marked:
    def on_request(self, request: proxyless.policies.Request) -> None:
        request.headers["x-mark"] = "1"
        request.path = "/marked"


def test_a_policy_changes_what_goes_out_by_itself_too(tasks: bool, backends: Backends) -> None:
    off = proxyless.policies.off("routing")
    with snapshot_of(backends, tasks, policies=[Marked(), off]) as client:
        assert client("GET", f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/x").status == 200
    (arrival,) = backends.take()
    assert (arrival.target, arrival.header("x-mark"), arrival.header("host")) == (
        "/marked",
        "1",
        f"{PLAIN[0]}:{backends.ports[PLAIN]}",
    )


def test_a_port_of_tcp_has_the_endpoints_of_the_mesh(tasks: bool, tmp_path: Path) -> None:
    with in_thread(Plain(None)) as server:
        (tmp_path / "db.yaml").write_text(CONFIG.format(tls=1, plain=server.server_address[1]))
        node = Node(app="me", namespace="shop", ip="127.0.0.9")
        with (
            Mesh.from_config(tmp_path, node=node, registry=False) as mesh,
            contextlib.closing(Client(mesh, tasks=tasks)) as client,
        ):
            assert client("GET", "http://db.example.com:9000/").content == b"db.example.com:9000"
            client.close()
            wait_for(lambda: connections(mesh, "outbound|9000||db.example.com") == 0)
        server.shutdown()
    with Mesh.from_config(tmp_path, node=node, registry=False) as mesh:
        client = Client(mesh, tasks=tasks)
        with contextlib.closing(client), pytest.raises(ConnectionError, match=r"^UF: "):
            client("GET", "http://db.example.com:9000/")


def test_a_filter_that_wants_the_body_has_it(tasks: bool, mesh: Mesh) -> None:
    action = Collect(10)
    call = mesh.call("POST", ONE, body=b"body")
    if tasks:
        assert asyncio.run(PERFORM_ASYNC[action.kind](call, action)) == 4
    else:
        assert PERFORM[action.kind](call, action) == 4
    assert action.body == b"body"


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "https://one.example.com/"),
        ("GET", "one.example.com"),
        ("GET", "http:///x"),
        ("GET", "http://one.example.com/a b"),
        ("GET", "http://one.example.com/ä"),
        ("GE T", "http://one.example.com/"),
        ("GÄT", "http://one.example.com/"),
    ],
)
def test_what_cannot_be_sent_is_refused(mesh: Mesh, method: str, url: str) -> None:
    with pytest.raises(ValueError, match=r"http|sent|ascii"):
        mesh.call(method, url)


def test_an_attempt_of_which_nobody_says_what_came_of_it_is_an_error(mesh: Mesh, backends: Backends) -> None:
    with mesh.call("GET", ONE) as call:
        attempts = iter(call)
        with next(attempts) as attempt:
            assert attempt.timeout is None
        with pytest.raises(RuntimeError, match="nobody has said"):
            next(attempts)
    assert counts(mesh, "one") == (0, 0, 0)


def test_an_attempt_says_how_long_it_may_take(mesh: Mesh, backends: Backends) -> None:
    with mesh.call("GET", SLOW) as call:
        attempt = next(iter(call))
        assert attempt.address == f"{A[0]}:{backends.ports[A]}"
        assert attempt.timeout is not None
        assert 0 < attempt.timeout <= 0.3
    assert call.flags == ("DC",)
