"""gRPC servers of both kinds behind the interceptors, without an Envoy: what stays grpcio's, and what goes."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import psutil
import pytest

import proxyless
import proxyless.grpc.aio
from proxyless.governance.actions import Collect
from proxyless.governance.suites import grpc_aio_server, grpc_server
from proxyless.governance.suites._grpc_front import listen
from proxyless.governance.suites._grpc_inbound import Incoming, LostError
from proxyless.xds.model.snapshot import Snapshot
from tests.support.certificates import authority, spiffe, write
from tests.support.grpc_echo import SERVICE, serving, serving_aio
from tests.support.recorded import FOLDER
from tests.support.waiting import wait_for

FRONTEND, LEDGER = FOLDER / "shop/xds/frontend", FOLDER / "shop/xds/ledger"
HOW = ("threads", "loop")


class Ended:
    """Remembers what is over."""

    def __init__(self, mesh: proxyless.Mesh) -> None:
        self.seen: list[Any] = []
        mesh.runtime.add_listener(self)

    def on_request(self, request: Any) -> None:
        self.seen.append(request)

    def on_call(self, call: Any) -> None:
        """Nobody calls."""

    def on_attempt(self, attempt: Any) -> None:
        """Nor tries."""


@pytest.fixture
def mesh() -> Iterator[proxyless.Mesh]:
    with proxyless.Mesh.from_recorded(FRONTEND, registry=False) as made:
        yield made


@contextmanager
def served(
    how: str,
    mesh: proxyless.Mesh | None,
    methods: dict[str, Any] | None = None,
    before: tuple[Any, ...] = (),
    behind: tuple[Any, ...] = (),
    *,
    front: bool = False,
    port: int = 9999,
) -> Iterator[int]:
    """The port of an echoing server, governed."""
    module: Any = proxyless.grpc if how == "threads" else proxyless.grpc.aio
    made = module.ServerInterceptor(mesh, port=port)
    opening = [
        lambda server: made.add_port(server, "127.0.0.1:0") if front else server.add_insecure_port("127.0.0.1:0")
    ]
    chain = [*before, made, *behind]
    with ExitStack() as stack:
        stack.callback(made.close)
        if how == "threads":
            (opened,) = stack.enter_context(serving(chain, opening, methods))
        else:
            (opened,) = stack.enter_context(serving_aio(lambda: chain, opening, methods))
        yield opened


def call(port: int, method: str = "UnaryUnary", request: bytes = b"x", *metadata: tuple[str, str]) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as opened:
        channel: Any = opened
        return channel.unary_unary(SERVICE + method)(request, metadata=metadata, timeout=30)


def refused(port: int, *args: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        call(port, *args)
    failed: Any = error.value
    return failed.code(), failed.details()


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("own", default="none")


class Around(grpc.ServerInterceptor):  # type: ignore[type-arg]
    """An interceptor of an app's, which wraps the handler and sets a context variable."""

    def __init__(self, name: str, seen: list[Any]) -> None:
        self.name, self.seen = name, seen

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.seen.append((self.name, sorted(key for key, _ in details.invocation_metadata)))
        inner = continuation(details)

        def behavior(request: Any, context: Any) -> Any:
            VARIABLE.set(self.name)
            return inner.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(behavior, inner.request_deserializer, inner.response_serializer)


class AioAround(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """The same on an event loop."""

    def __init__(self, name: str, seen: list[Any]) -> None:
        self.name, self.seen = name, seen

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self.seen.append((self.name, sorted(key for key, _ in details.invocation_metadata)))
        inner = await continuation(details)

        async def behavior(request: Any, context: Any) -> Any:
            VARIABLE.set(self.name)
            return await inner.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(behavior, inner.request_deserializer, inner.response_serializer)


@pytest.mark.parametrize("how", HOW)
def test_interceptors_before_and_behind_still_work_and_see_nothing_forged(how: str, mesh: proxyless.Mesh) -> None:
    seen: list[Any] = []
    around = Around if how == "threads" else AioAround
    told: list[Any] = []

    def own(request: bytes, context: Any) -> bytes:
        told.append(dict(context.invocation_metadata()))
        return VARIABLE.get().encode() + request

    async def own_async(request: bytes, context: Any) -> bytes:
        return own(request, context)

    handler = grpc.unary_unary_rpc_method_handler(own if how == "threads" else own_async)
    with served(how, mesh, {"Own": handler}, (around("out", seen),), (around("in", seen),)) as port:
        forged = ("x-forwarded-client-cert", "Hash=1")
        assert call(port, "Own", b"!", forged, ("x-a", "1")) == b"in!"
    assert seen == [("out", ["user-agent", "x-a", "x-forwarded-client-cert"]), ("in", ["user-agent", "x-a"])]
    assert told[0]["x-a"] == "1"
    assert "x-request-id" in told[0]
    assert "x-forwarded-client-cert" not in told[0]


@pytest.mark.parametrize("how", HOW)
def test_a_message_of_somebody_who_may_not_call_is_never_deserialized(how: str) -> None:
    read: list[bytes] = []

    async def never(request: Any, context: Any) -> Any:
        raise AssertionError

    made = grpc.unary_unary_rpc_method_handler(never, lambda data: read.append(data))
    with (
        proxyless.Mesh.from_recorded(FOLDER / "shop/xds/payment", registry=False) as mesh,
        served(how, mesh, {"Own": made}, port=8080) as port,
    ):
        assert refused(port, "Own") == (grpc.StatusCode.PERMISSION_DENIED, "RBAC: access denied")
    assert not read


@pytest.mark.parametrize("how", HOW)
def test_a_message_that_cannot_be_read_is_an_internal_error(how: str, mesh: proxyless.Mesh) -> None:
    def broken(data: bytes) -> Any:
        raise ValueError(data)

    async def never(request: Any, context: Any) -> Any:
        raise AssertionError

    def blocking(request: Any, context: Any) -> Any:
        raise AssertionError

    ended = Ended(mesh)
    made = grpc.unary_unary_rpc_method_handler(blocking if how == "threads" else never, broken)
    with served(how, mesh, {"Own": made}) as port:
        assert refused(port, "Own") == (grpc.StatusCode.INTERNAL, "Exception deserializing request!")
        wait_for(lambda: ended.seen)
    assert ended.seen[0].grpc_status == b"13"


@pytest.mark.parametrize("how", HOW)
def test_nothing_comes_through_before_there_is_a_configuration(how: str) -> None:
    with proxyless.Mesh._from_snapshot(Snapshot()) as mesh, served(how, mesh) as port:
        assert refused(port) == (grpc.StatusCode.UNAVAILABLE, "no complete configuration yet")


@pytest.mark.parametrize("how", HOW)
def test_switched_off_everything_is_as_grpcio_has_it(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    with served(how, None, front=True) as port:
        assert b"x-request-id" not in call(port)


@pytest.mark.parametrize("front", [False, True])
@pytest.mark.parametrize("how", HOW)
def test_a_call_that_its_client_gives_up_is_told_as_cut(how: str, front: bool, mesh: proxyless.Mesh) -> None:
    ended, begun, gone = Ended(mesh), threading.Event(), threading.Event()

    def waiting(request: bytes, context: Any) -> bytes:
        context.add_callback(gone.set)
        begun.set()
        gone.wait(30)
        return b""

    async def waiting_async(request: bytes, context: Any) -> bytes:
        begun.set()
        await asyncio.sleep(60)
        return b""

    made = grpc.unary_unary_rpc_method_handler(waiting if how == "threads" else waiting_async)
    with served(how, mesh, {"Own": made}, front=front) as port:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
            channel: Any = opened
            under_way: Any = channel.unary_unary(SERVICE + "Own").future(b"", timeout=60)
            assert begun.wait(30)
            under_way.cancel()
        wait_for(lambda: ended.seen)
    assert (ended.seen[0].status, ended.seen[0].flags, ended.seen[0].grpc_status) == (0, ("DC",), None)


def test_a_handler_that_answers_by_a_callback_is_governed(mesh: proxyless.Mesh) -> None:
    ended = Ended(mesh)

    def watch(request: bytes, context: Any, send: Callable[[Any], None]) -> None:
        def later() -> None:
            for each in (request, b"2", None):
                send(each)

        threading.Thread(target=later).start()

    watch.experimental_non_blocking = True  # type: ignore[attr-defined]
    made = grpc.unary_stream_rpc_method_handler(watch)
    with served("threads", mesh, {"Watch": made}) as port:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
            channel: Any = opened
            assert list(channel.unary_stream(SERVICE + "Watch")(b"1", timeout=30)) == [b"1", b"2"]
        wait_for(lambda: ended.seen)
    assert (ended.seen[0].grpc_status, ended.seen[0].sent, ended.seen[0].flags) == (b"0", 12, ())


def test_a_loops_handlers_that_are_no_coroutines_are_governed(mesh: proxyless.Mesh) -> None:
    def one(request: bytes, context: Any) -> bytes:
        return request + str("x-request-id" in dict(context.invocation_metadata())).encode()

    def many(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield from requests

    made = {"One": grpc.unary_unary_rpc_method_handler(one), "Many": grpc.stream_stream_rpc_method_handler(many)}
    with served("loop", mesh, made) as port:
        assert call(port, "One") == b"xTrue"
        with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
            channel: Any = opened
            assert list(channel.stream_stream(SERVICE + "Many")(iter((b"1", b"2")), timeout=30)) == [b"1", b"2"]
    with (
        proxyless.Mesh._from_snapshot(Snapshot()) as empty,
        served("loop", empty, made) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as opened,
    ):
        channel = opened
        with pytest.raises(grpc.RpcError) as error:
            list(channel.stream_stream(SERVICE + "Many")(iter((b"1",)), timeout=30))
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE


HOSTS = """
apiVersion: v1
kind: Service
metadata: {name: app, namespace: shop}
spec: {clusterIP: 10.96.0.2, selector: {app: app}, ports: [{name: grpc, port: 80, targetPort: 8000}]}
---
apiVersion: v1
kind: Pod
metadata: {name: app-0, namespace: shop, labels: {app: app}}
spec: {containers: [{name: app, ports: [{name: grpc, containerPort: 8000}]}]}
status: {podIP: 127.0.10.1, podIPs: [{ip: 127.0.10.1}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: hosts, namespace: shop}
spec: {action: DENY, rules: [{to: [{operation: {hosts: [closed.test]}}]}]}
"""


def test_where_the_authority_decides_and_nobody_tells_it_nothing_comes_through(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(HOSTS)
    node = proxyless.Node(app="app", namespace="shop", ip="127.0.10.1")
    with proxyless.Mesh.from_config(tmp_path, node=node, registry=False) as mesh:
        mesh.wait_ready(30)
        with served("threads", mesh, port=8000) as port:
            assert call(port)
        with served("loop", mesh, port=8000) as port:
            code, details = refused(port)
    assert code == grpc.StatusCode.UNAVAILABLE
    assert "asks for the authority of a call" in details


@pytest.mark.parametrize("how", HOW)
def test_by_mtls_the_handler_is_told_who_calls(how: str, tmp_path: Path) -> None:
    ca, other = authority(), authority("another")
    chain, key = write(ca.leaf(spiffe("ledger", "bank"), dns=["ledger.bank"]), tmp_path, "server")
    (tmp_path / "roots.pem").write_bytes(ca.pem)
    identity = proxyless.Identity.from_files(chain, key, tmp_path / "roots.pem")
    told: list[Any] = []

    def own(request: bytes, context: Any) -> bytes:
        peer = proxyless.tls.peer()
        told.append((context.peer(), context.peer_identities(), context.auth_context(), peer and peer.uri_sans))
        return b""

    async def own_async(request: bytes, context: Any) -> bytes:
        return own(request, context)

    made = grpc.unary_unary_rpc_method_handler(own if how == "threads" else own_async)
    with (
        proxyless.Mesh.from_recorded(LEDGER, registry=False, identity=identity) as mesh,
        served(how, mesh, {"Own": made}, front=True, port=8080) as port,
    ):
        assert refused(port, "Own")[0] == grpc.StatusCode.UNAVAILABLE  # in the clear
        for vouching in (other, ca):
            shown = vouching.workload("frontend")
            credentials = grpc.ssl_channel_credentials(ca.pem, shown.key, shown.chain)
            options = [("grpc.ssl_target_name_override", "ledger.bank"), ("grpc.use_local_subchannel_pool", 1)]
            with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as opened:
                channel: Any = opened
                asked = channel.unary_unary(SERVICE + "Own")
                if vouching is other:
                    with pytest.raises(grpc.RpcError):
                        asked(b"", timeout=30)
                else:
                    asked(b"", timeout=30)
    ((peer, identities, context, sans),) = told
    assert peer.startswith("ipv4:127.0.0.1:")
    assert identities == [spiffe("frontend").encode()]
    assert (context["peer_spiffe_id"], sans) == ([spiffe("frontend").encode()], (spiffe("frontend"),))


@pytest.mark.parametrize("how", HOW)
def test_calls_and_connections_leave_nothing_behind(how: str, mesh: proxyless.Mesh) -> None:
    with served(how, mesh, front=True) as port:

        def some(count: int) -> None:
            for _ in range(count):
                call(port)
                refused(port, "None")

        some(3)
        gc.collect()
        before = psutil.Process().num_fds()
        threads = threading.active_count()
        some(25)
        wait_for(lambda: gc.collect() >= 0 and psutil.Process().num_fds() <= before + 2)
        assert threading.active_count() <= threads + 8  # those of the server's pool begin when they are needed
    folders = [each for each in threading.enumerate() if each.name == "proxyless-grpc-port"]
    assert not folders


def test_the_port_goes_with_its_server(mesh: proxyless.Mesh) -> None:
    made = proxyless.grpc.ServerInterceptor(mesh, port=9999)
    server = grpc.server(None)  # type: ignore[arg-type]
    made.add_port(server, "127.0.0.1:0")
    (front,) = made._fronts
    assert Path(front.folder).exists()
    del server
    gc.collect()
    wait_for(lambda: not Path(front.folder).exists())
    with pytest.raises(LostError):
        made.came_by(f"{front.prefix}1")
    assert made.came_by("unix:") is None
    made.close()


@pytest.mark.parametrize("address", ["8080", "host:", "unix:/a", "localhost:http"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        listen(address, reuse_port=False)


def test_what_a_filter_reads_of_a_body_is_not_lost(mesh: proxyless.Mesh) -> None:
    def incoming() -> Incoming:
        return Incoming(mesh.runtime, 9999, "/a/b", (), "ipv4:127.0.0.1:1", None, b"a")

    requests = grpc_server._Requests(iter((b"1", b"22", b"333")))
    requests.incoming = incoming()
    few = Collect(6)
    assert requests.collect(few) == 13
    assert few.body == b"\0\0\0\0\0011\0\0\0\0\00222"
    assert requests.collect(Collect(100)) == 21
    assert list(requests) == [b"1", b"22", b"333"]

    class Context:
        messages = [b"1", b"22"]  # noqa: RUF012

        async def read(self) -> Any:
            return self.messages.pop(0) if self.messages else grpc_aio_server.EOF

    async def main() -> list[Any]:
        requests = grpc_aio_server._Requests(Context())
        requests.incoming = incoming()
        assert await requests.collect(Collect(100)) == 13
        return [each async for each in requests]

    assert asyncio.run(main()) == [b"1", b"22"]
