"""gRPC servers behind recorded inbound chains, by Envoy and by the interceptors: what apps and their clients get."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import grpc
import pytest

import proxyless
import proxyless.grpc.aio
from tests.differential.custom import cluster
from tests.differential.recording import Resource
from tests.differential.secured import XFCC, Caller, Place, calling, inbound, outbound, renamed, served_by_envoy
from tests.differential.test_inbound import UUID
from tests.differential.test_jwt_payment import JWT, KEY, without
from tests.differential.test_mtls import DUE, http, pair
from tests.support.certificates import authority
from tests.support.envoy import Envoy, require
from tests.support.grpc_echo import SERVICE, serving, serving_aio

pytestmark = pytest.mark.envoy

CA = authority()
RBAC = "envoy.filters.http.rbac"
KINDS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")
VOLATILE = {"date", "server", "x-envoy-upstream-service-time", "user-agent", "x-envoy-decorator-operation"}
NAMED = re.compile("(//app.test/|//who.test/)")
WHO = re.compile("//[a-z]+[.](envoy|threads|loop)[.]test/")
HOW = ("envoy", "threads", "loop")
Header = tuple[str, str | bytes]


def header(key: str, value: str) -> Resource:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


ROUTES: list[Resource] = [
    {"match": {"prefix": "/direct/"}, "direct_response": {"status": 503, "body": {"inline_string": "gone, é"}}},
    {"match": {"prefix": "/teapot/"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}},
    {"match": {"prefix": "/moved/"}, "redirect": {"path_redirect": "/there"}},
    {
        "match": {"prefix": SERVICE},
        "route": {"cluster": "inbound|8080||", "timeout": "0s"},
        "request_headers_to_add": [header("x-added", "in"), header("x-method", "%REQ(:METHOD)% %REQ(:PATH)%")],
        "request_headers_to_remove": ["x-gone"],
        "response_headers_to_add": [header("x-added", "out")],
        "response_headers_to_remove": ["x-initial"],
    },
]
MUTATING = {
    "route_config": {"name": "m", "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": ROUTES}]},
}
PLACES = {
    "payment": Place("payment", CA.workload("payment")),
    "mutating": Place("frontend", CA.workload("frontend"), MUTATING),
}
CALLERS = {"checkout": Caller(CA.workload("checkout")), "me": Caller(CA.workload("frontend"))}


class World:
    """A server of each kind behind each place, in the clear, and by mTLS for each caller through an Envoy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._roots = folder / "roots.pem"
        self._roots.write_bytes(CA.pem)
        self._held = ExitStack()
        self._channels: dict[tuple[str, str, str], Any] = {}
        self._ports: dict[tuple[str, str], int] = {}

    def __enter__(self) -> Self:
        try:
            self._start(self._held)
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _start(self, held: ExitStack) -> None:
        (app,) = held.enter_context(serving())
        listeners = []
        for name, place in PLACES.items():
            recording = inbound(place)
            if name == "mutating":
                for each in (JWT, RBAC):
                    without(recording.listeners, each)
            files = pair(self._folder, f"{name}-server", place.certificate)
            listeners.append(served_by_envoy(name, recording, files, self._roots))
            where = self._folder / name
            where.mkdir()
            recording.write(where)
            (where / "node.json").write_text(json.dumps(recording.node))
            shown = proxyless.Identity.from_files(
                Path(files["certificate_chain"]["filename"]), Path(files["private_key"]["filename"]), self._roots
            )
            mesh = held.enter_context(proxyless.Mesh.from_recorded(where, registry=False, identity=shown))
            threads = proxyless.grpc.ServerInterceptor(mesh, port=8080)
            held.callback(threads.close)
            (port,) = held.enter_context(
                serving([threads], [lambda server, it=threads: it.add_port(server, "127.0.0.1:0")])  # type: ignore[misc]
            )
            self._ports[name, "threads"] = port
            loop = proxyless.grpc.aio.ServerInterceptor(mesh, port=8080)
            held.callback(loop.close)
            (port,) = held.enter_context(
                serving_aio(lambda it=loop: [it], [lambda server, it=loop: it.add_port(server, "127.0.0.1:0")])  # type: ignore[misc]
            )
            self._ports[name, "loop"] = port
        side: Resource = {
            "listeners": listeners,
            "clusters": [{**cluster("inbound|8080||", ("127.0.0.1", app)), **http(**DUE)}],
        }
        server = held.enter_context(Envoy({"static_resources": side}))
        self._ports.update({(name, "envoy"): server.port(name) for name in PLACES})
        clusters, names = [], []
        for who, caller in CALLERS.items():
            assert caller.certificate is not None
            shown_by = pair(self._folder, f"{who}-client", caller.certificate)
            for how in HOW:
                names.append(f"{who}.{how}.test")
                made = calling(PLACES["payment"], caller, self._ports["payment", how], shown_by, self._roots)
                made.pop("circuit_breakers", None)
                made.pop("outlier_detection", None)
                clusters.append(renamed(made, f"h2 {names[-1]}", **http(**DUE)))
        client: Resource = {"listeners": [outbound("h2", names)], "clusters": clusters}
        self._client = held.enter_context(Envoy({"static_resources": client}))

    def ask(self, place: str, how: str, method: str, *sent: Header, who: str = "", count: int = 2) -> dict[str, Any]:
        """One call, and everything that its client has seen."""
        channel = self._channel(place, how, who)
        kind = method.rpartition("/")[2]
        called = method if method.startswith("/") else SERVICE + method
        messages = [b"%d" % each for each in range(count)]
        if kind.startswith("Stream"):
            call: Any = channel.stream_stream(called)(iter(messages), metadata=sent, timeout=20)
        else:
            call = channel.unary_stream(called)(messages[0], metadata=sent, timeout=20)
        got: list[Any] = []
        try:
            got.extend(call)
        except grpc.RpcError:
            pass
        return {
            "code": call.code(),
            "details": call.details(),
            "initial": _plain(call.initial_metadata()),
            "trailing": _plain(call.trailing_metadata()),
            "messages": [_message(each) for each in got],
        }

    def _channel(self, place: str, how: str, who: str) -> Any:
        channel = self._channels.get((place, how, who))
        if channel is None:
            port = self._client.port("out-h2") if who else self._ports[place, how]
            name = f"{who}.{how}.test" if who else "app.test"
            options = [("grpc.default_authority", name), ("grpc.enable_retries", 0)]
            channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[*options, ("x-who", name)])
            self._channels[place, how, who] = self._held.enter_context(channel)
        return channel


def _known(theirs: dict[str, Any], how: str) -> dict[str, Any]:
    """What the mesh says of where a call went, by a server that may not know the name by which it was called."""
    name = r"\1" if how == "threads" else "///"
    return {**theirs, "trailing": [(key, NAMED.sub(name, value)) for key, value in theirs["trailing"]]}


def _plain(metadata: Any) -> list[tuple[str, Any]]:
    return sorted(
        (key, WHO.sub("//who.test/", UUID.sub("<id>", value)) if isinstance(value, str) else value)
        for key, value in metadata
        if key not in VOLATILE
    )


def _message(message: bytes) -> Any:
    start = message.find(b"[[")
    if start < 0:
        return message
    return message[:start], _plain(json.loads(message[start:]))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    require()
    with World(tmp_path_factory.mktemp("grpc-servers")) as made:
        yield made


SENT: list[tuple[Header, ...]] = [
    (),
    (("x-request-id", "own"), ("x-forwarded-for", "10.1.1.1, 10.2.2.2"), ("x-forwarded-proto", "https")),
    (("x-envoy-max-retries", "9"), ("x-envoy-internal", "true"), ("x-envoy-decorator-operation", "mine")),
    ((XFCC, "Hash=1"), ("x-gone", "1"), ("x-a", "1"), ("x-a", "2"), ("x-b-bin", b"\0\1\2")),
    (("cookie", "a=1"), ("cookie", "b=2"), ("via", "1.1 x"), ("via", "1.1 y")),
    (("x-initial", "i"), ("x-trailing", "t")),
    (("x-initial", "i"), ("x-fail", "oh")),
    (("x-fail", "oh"), ("x-trailing", "t")),
    (("x-abort", "5"), ("x-trailing", "t")),
    (("x-abort", "9"), ("x-initial", "i")),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sent", SENT, ids=str)
def test_an_app_and_its_client_get_what_envoy_gives_them(world: World, kind: str, sent: tuple[Header, ...]) -> None:
    theirs = world.ask("mutating", "envoy", kind, *sent)
    assert (theirs["code"] == grpc.StatusCode.OK) == dict(sent).keys().isdisjoint({"x-fail", "x-abort"})
    for how in HOW[1:]:
        assert world.ask("mutating", how, kind, *sent) == theirs | _worded(theirs, how), how


def _worded(theirs: dict[str, Any], how: str) -> dict[str, Any]:
    """An event loop's server has words of its own for what a handler raises; the one behind Envoy is in threads."""
    if how == "loop" and "Exception" in theirs["details"]:
        return {"details": "Unexpected <class 'ValueError'>: oh"}
    return {}


@pytest.mark.parametrize("method", ["/direct/a", "/teapot/a", "/moved/a", "/test.Echo/None", "/none/UnaryUnary"])
def test_what_the_mesh_answers_itself_is_a_status(world: World, method: str) -> None:
    theirs = world.ask("mutating", "envoy", method)
    for how in HOW[1:]:
        assert world.ask("mutating", how, method) == _known(theirs, how), how


def test_the_recorded_policies_decide_by_the_certificate_and_the_token(world: World) -> None:
    claims = {"iss": "https://issuer.example", "sub": "user-1", "exp": int(time.time()) + 3600}
    admin = ("authorization", f"Bearer {KEY.token({**claims, 'role': 'admin'})}")
    late = ("authorization", f"Bearer {KEY.token({**claims, 'exp': 1})}")
    claimed = (XFCC, "By=x;Hash=0;URI=spiffe://cluster.local/ns/shop/sa/checkout")
    codes = set()
    for who in ("", *CALLERS):
        for method, *sent in (
            ("/pay",),
            ("/pay", claimed),
            ("/refund/UnaryUnary",),
            ("/test.Echo/UnaryUnary",),
            ("/test.Echo/StreamStream",),
            ("/test.Echo/UnaryUnary", admin),
            ("/test.Echo/StreamStream", admin),
            ("/test.Echo/StreamStream", admin, claimed),
            ("/test.Echo/UnaryUnary", late),
            ("/admin/UnaryUnary", admin, ("x-debug", "1")),
        ):
            theirs = world.ask("payment", "envoy", method, *sent, who=who)
            for how in HOW[1:]:
                assert world.ask("payment", how, method, *sent, who=who) == _known(theirs, how), (
                    how,
                    who,
                    method,
                    sent,
                )
            codes.add((who, method, theirs["code"]))
    assert ("checkout", "/refund/UnaryUnary", grpc.StatusCode.OK) in codes
    assert ("me", "/refund/UnaryUnary", grpc.StatusCode.PERMISSION_DENIED) in codes
    assert ("", "/test.Echo/UnaryUnary", grpc.StatusCode.UNAUTHENTICATED) in codes
