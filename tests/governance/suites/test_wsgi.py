"""The WSGI middleware between a server and an app: what passes, what is answered, and what is told afterwards.

Both sides are watched by wsgiref's validator, but where a test needs what it forbids.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

import proxyless
from proxyless.governance.suites._environ import Joined, Names, put_headers, put_target, view_of
from proxyless.governance.suites.wsgi import WsgiMiddleware
from proxyless.xds.model.filters import Buffer, HttpFilter
from proxyless.xds.model.snapshot import Snapshot
from tests.governance.suites.test_asgi import FOLDER, RECORDED, STOREFRONT, Heard
from tests.support.model import chain, listener, manager, route, table
from tests.support.world import World

Environ = dict[str, Any]
App = Callable[[Environ, Any], Iterable[bytes]]

HELD = World(
    listeners=[listener("virtualInbound", chain(manager(table(route()), HttpFilter("b", Buffer(5))), "app"))]
).runtime


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[proxyless.Mesh]:
    """On an empty folder: every port is taken by the catch-all chain."""
    with proxyless.Mesh.from_config(tmp_path, node=proxyless.Node(app="web"), registry=False) as made:
        made.wait_ready(10)
        yield made


@pytest.fixture
def limited() -> Iterator[proxyless.Mesh]:
    """Two requests in a minute."""
    with proxyless.Mesh.from_config(FOLDER, node=STOREFRONT, registry=False) as made:
        made.wait_ready(10)
        yield made


class Server:
    """What a server does with one request, and what it is told."""

    def __init__(self, app: App, *, valid: bool = True) -> None:
        self.app = validator(app) if valid else app
        self.status = ""
        self.headers: dict[str, str] = {}
        self.written: list[bytes] = []
        self.environ: Environ = {}

    def start(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info is not None and self.written:
            raise exc_info[1]
        self.status, self.headers = status, dict(headers)
        return self.written.append

    def ask(self, body: bytes | None = None, **environ: Any) -> bytes:
        """The body of the answer."""
        given: Environ = {
            "SERVER_PORT": "8000",
            "HTTP_HOST": "storefront",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": "40000",
            "QUERY_STRING": "",
            **environ,
        }
        setup_testing_defaults(given)
        given["wsgi.errors"] = sys.stderr
        if body is not None:
            given["wsgi.input"] = io.BytesIO(body)
            given.setdefault("CONTENT_LENGTH", str(len(body)))
        self.environ = given
        result = self.app(given, self.start)
        try:
            for each in result:
                self.written.append(each)
        finally:
            if hasattr(result, "close"):
                result.close()
        return b"".join(self.written)


def ok(environ: Environ, start_response: Any) -> Iterable[bytes]:
    start_response("200 Fine", [("x-app", "1"), ("content-type", "text/plain")])
    return [b"hello"]


def never(environ: Environ, start_response: Any) -> Iterable[bytes]:
    raise AssertionError("the app was asked")


def served(mesh: proxyless.Mesh | None, app: App, *, port: int | None = 8000, valid: bool = True) -> Server:
    return Server(proxyless.wsgi.Middleware(validator(app) if valid else app, mesh, port=port), valid=valid)


def test_the_first_requests_pass_and_then_it_is_429_with_envoys_headers(limited: proxyless.Mesh) -> None:
    heard = Heard(limited)
    for left in ("1", "0"):
        server = served(limited, ok)
        assert (server.ask(), server.status) == (b"hello", "200 Fine")
        assert (server.headers["x-ratelimit-remaining"], server.headers["x-app"]) == (left, "1")
    server = served(limited, never)
    assert (server.ask(), server.status) == (b"local_rate_limited", "429 Too Many Requests")
    assert (server.headers["content-length"], server.headers["content-type"]) == ("18", "text/plain")
    assert (server.headers["x-ratelimit-limit"], server.headers["x-ratelimit-remaining"]) == ("2", "0")
    assert [each.status for each in heard.requests] == [200, 200, 429]
    assert heard.last() == (429, "RL", 0, 18)


def test_a_port_that_a_server_says_as_a_number_is_one(limited: proxyless.Mesh) -> None:
    """As werkzeug does."""
    server = served(limited, ok, valid=False)
    assert (server.ask(REMOTE_PORT=40000), server.status) == (b"hello", "200 Fine")


def test_head_is_refused_without_a_body_and_grpc_in_its_own_way(limited: proxyless.Mesh) -> None:
    for _ in range(2):
        served(limited, ok).ask()
    server = served(limited, never)
    assert (server.ask(REQUEST_METHOD="HEAD"), server.status) == (b"", "429 Too Many Requests")
    server = served(limited, never)
    assert server.ask(REQUEST_METHOD="POST", CONTENT_TYPE="application/grpc") == b""
    assert (server.status, server.headers["grpc-status"]) == ("200 OK", "14")


@pytest.mark.parametrize(
    ("environ", "said", "status"),
    [
        ({"SERVER_PORT": "8000"}, None, "200 Fine"),
        ({"SERVER_PORT": "9"}, 8000, "200 Fine"),
        ({"SERVER_PORT": "8000", "REMOTE_ADDR": ""}, 8000, "200 Fine"),
    ],
)
def test_the_port_is_the_servers_unless_it_is_said(
    limited: proxyless.Mesh, environ: Environ, said: int | None, status: str
) -> None:
    server = served(limited, ok, port=said)
    server.ask(**environ)
    assert (server.status, server.headers["x-ratelimit-remaining"]) == (status, "1")


def test_a_port_that_the_client_says_on_a_unix_socket_is_none(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)
    for port in ("8000", "", "x"):
        served(mesh, ok, port=None, valid=False).ask(SERVER_PORT=port, REMOTE_ADDR="")
    assert {each.port for each in heard.requests} == {0}


def test_what_the_recorded_policies_forbid_never_reaches_the_app() -> None:
    with proxyless.Mesh.from_recorded(RECORDED / "payment", registry=False) as mesh:
        heard = Heard(mesh)
        server = served(mesh, never, port=8080)
        assert (server.ask(), server.status) == (b"RBAC: access denied", "403 Forbidden")
        assert heard.last()[0] == 403


def test_before_the_first_configuration_requests_are_refused() -> None:
    with proxyless.Mesh._from_snapshot(Snapshot(), status_socket=False) as waiting:
        server = served(waiting, never)
        assert server.ask() == b"no complete configuration yet"
    assert server.status == "503 Service Unavailable"


def test_bodies_stream_both_ways_and_are_counted(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)
    events: list[str] = []

    class Doubled:
        def __init__(self, source: Any) -> None:
            self.source = source

        def __iter__(self) -> Iterator[bytes]:
            yield self.source.read(1) * 2
            yield self.source.readline() * 2
            yield from self.source.readlines()
            yield self.source.read(10)

        def close(self) -> None:
            events.append("closed")

    def echo(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("201 Created", [("content-type", "text/plain")])
        return Doubled(environ["wsgi.input"])

    assert served(mesh, echo).ask(b"abc\nde\nf", REQUEST_METHOD="POST") == b"aabc\nbc\nde\nf"
    assert events == ["closed"]
    assert heard.last() == (201, "-", 8, 12)


def test_input_is_read_as_any_file(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        source = environ["wsgi.input"]
        assert source.seekable()
        return list(source)

    assert served(mesh, app, valid=False).ask(b"a\nb", REQUEST_METHOD="POST") == b"a\nb"
    assert heard.last() == (200, "-", 3, 3)


def test_what_is_written_counts(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [("content-type", "text/plain")])
        write(b"ab")
        return [b"c"]

    assert served(mesh, app).ask() == b"abc"
    assert heard.last() == (200, "-", 0, 3)


def test_an_app_may_begin_anew_after_an_error(limited: proxyless.Mesh) -> None:
    heard = Heard(limited)

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("content-type", "text/plain")])
        try:
            raise KeyError("mine")
        except KeyError:
            start_response("500 Mine", [("content-type", "text/html")], sys.exc_info())
        return [b"sorry"]

    server = served(limited, app)
    assert (server.ask(), server.status) == (b"sorry", "500 Mine")
    assert server.headers == {
        "content-type": "text/html",
        "x-envoy-decorator-operation": "storefront.shop.svc.cluster.local:80/*",
        "x-ratelimit-limit": "2",
        "x-ratelimit-remaining": "1",
        "x-ratelimit-reset": server.headers["x-ratelimit-reset"],
    }
    assert heard.last() == (500, "-", 0, 5)


def test_an_error_of_the_app_is_the_servers_and_a_500(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)

    def fails(environ: Environ, start_response: Any) -> Iterable[bytes]:
        raise KeyError("mine")

    def fails_late(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("202 Accepted", [])
        yield b"a"
        raise KeyError("mine")

    def stops(environ: Environ, start_response: Any) -> Iterable[bytes]:
        raise SystemExit(1)

    for app, error, expected in (
        (fails, KeyError, (500, "-")),
        (fails_late, KeyError, (202, "-")),
        (stops, SystemExit, (0, "DC")),
    ):
        with pytest.raises(error):
            served(mesh, app, valid=False).ask()
        assert heard.last()[:2] == expected
    assert len(heard.requests) == 3


def test_a_client_that_goes_away_is_dc(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)
    events: list[str] = []

    def endless(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield b"half"
        finally:
            events.append("closed")

    def listed(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"half", b"half"]

    for app, sent in ((endless, 4), (listed, 8)):
        body: Any = proxyless.wsgi.Middleware(app, mesh, port=8000)(_environ(), _began)
        assert next(iter(body)) == b"half"
        body.close()
        assert heard.last() == (200, "DC", 0, sent)
    assert events == ["closed"]
    body = proxyless.wsgi.Middleware(endless, mesh, port=8000)(_environ(), _began)
    del body  # by a server that closes nothing
    assert (heard.last()[:2], len(heard.requests)) == ((0, "DC"), 3)


def _began(*_: Any) -> Callable[[bytes], object]:
    return bytes.title


def _environ(**more: Any) -> Environ:
    made: Environ = {"REMOTE_ADDR": "127.0.0.1", "SERVER_PORT": "8000", **more}
    setup_testing_defaults(made)
    return made


def test_a_body_that_is_there_says_its_length(mesh: proxyless.Mesh) -> None:
    """wsgiref and gevent take Content-Length from it, gevent by looking at it once more."""
    heard = Heard(mesh)
    body: Any = proxyless.wsgi.Middleware(ok, mesh, port=8000)(_environ(), _began)
    assert (len(body), list(body), list(body)) == (1, [b"hello"], [b"hello"])
    body.close()
    assert heard.last() == (200, "-", 0, 5)


def test_a_file_goes_the_servers_own_way(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)
    file = io.BytesIO(b"12345")

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("content-length", "5")])
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](file)
        return wrapped

    middleware = proxyless.wsgi.Middleware(app, mesh, port=8000)
    sent: Any = middleware(_environ(**{"wsgi.file_wrapper": FileWrapper}), _began)
    assert isinstance(sent, FileWrapper)
    assert not heard.requests
    sent.close()
    assert file.closed
    assert heard.last() == (200, "-", 0, 5)

    class Own:
        """Whose instances take nothing."""

        __slots__ = ("file",)

        def __init__(self, file: Any) -> None:
            self.file = file

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"1234"])

    sent = middleware(_environ(**{"wsgi.file_wrapper": Own}), _began)
    assert list(sent) == [b"1234"]
    sent.close()
    assert heard.last() == (200, "-", 0, 4)


def test_the_app_gets_headers_and_path_as_the_mesh_leaves_them(mesh: proxyless.Mesh) -> None:
    seen: list[Environ] = []

    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        seen.append(dict(environ))
        return ok(environ, start_response)

    served(mesh, app).ask(
        SCRIPT_NAME="",
        PATH_INFO="/a/../b c",
        RAW_URI="/a/../b%20c?x=%41",
        QUERY_STRING="x=%41",
        HTTP_X_FORWARDED_CLIENT_CERT="Hash=1",
        HTTP_KEEP_ALIVE="1",
        CONTENT_TYPE="text/x",
        CONTENT_LENGTH="",
        HTTP_X="ä",
    )
    (environ,) = seen
    headers = {key for key in environ if key.startswith("HTTP_")}
    assert headers == {"HTTP_HOST", "HTTP_X", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REQUEST_ID"}
    assert (environ["HTTP_X"], environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == ("ä", "text/x", "")
    assert (environ["PATH_INFO"], environ["RAW_URI"], environ["QUERY_STRING"]) == ("/b c", "/b%20c?x=%41", "x=%41")


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"PATH_INFO": "/a b"}, b"/a%20b"),
        ({"PATH_INFO": "/a/b", "RAW_URI": "/a%2Fb?q", "QUERY_STRING": "q"}, b"/a%2Fb?q"),
        ({"PATH_INFO": "/b", "SCRIPT_NAME": "/a", "REQUEST_URI": "/a/b"}, b"/a/b"),
        ({"PATH_INFO": "/admin", "REQUEST_URI": "/public"}, b"/admin"),
        ({"PATH_INFO": "/a", "RAW_URI": "http://other/a"}, b"/a"),
        ({"PATH_INFO": "/a", "RAW_URI": "/a#b"}, b"/a"),
        ({"PATH_INFO": "/a", "RAW_URI": "/a?x=1", "QUERY_STRING": "x=2"}, b"/a?x=2"),
        ({"PATH_INFO": "/\xc3\xa4"}, b"/%C3%A4"),
        ({"PATH_INFO": ""}, b"/"),
        ({"PATH_INFO": "*"}, b"*"),
    ],
)
def test_what_policies_see_is_what_the_app_is_asked(environ: Environ, target: bytes) -> None:
    assert view_of({"REQUEST_METHOD": "GET", **environ}, Names()).path == target


@pytest.mark.parametrize(
    ("script", "target", "expected"),
    [
        ("/a", b"/a/c?x", ("/a", "/c")),
        ("/a", b"/a", ("/a", "")),
        ("/a", b"/ab/c", ("", "/ab/c")),
        ("", b"/%C3%A4", ("", "/\xc3\xa4")),
    ],
)
def test_a_new_path_goes_where_the_app_is_mounted(script: str, target: bytes, expected: tuple[str, str]) -> None:
    environ: Environ = {"SCRIPT_NAME": script, "PATH_INFO": "/b"}
    put_target(environ, target)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == expected


def test_repeated_headers_are_joined_as_servers_join_them() -> None:
    environ: Environ = {"HTTP_GONE": "1", "HTTP_X_A": "1"}
    after = [(b"x-a", b"1"), (b"x-a", b"2"), (b"cookie", b"a"), (b"Cookie", b"b"), (b"content-length", b"3")]
    before = [(b"gone", b"1"), (b"x-a", b"1")]
    put_headers(environ, Names(), before, before, after)
    assert environ == {"HTTP_X_A": "1,2", "HTTP_COOKIE": "a; b", "CONTENT_LENGTH": "3"}


HOST = (b"host", b"h")
CAME = {"HTTP_A": "1", "HTTP_HOST": "h", "HTTP_CONNECTION": "keep-alive"}


@pytest.mark.parametrize(
    ("came", "after", "left"),
    [
        ({"HTTP_A": "1", "HTTP_B": "2"}, [(b"a", b"1"), (b"b", b"2")], {"HTTP_A": "1", "HTTP_B": "2"}),
        ({"HTTP_A": "1", "HTTP_B": "2"}, [(b"a", b"3"), (b"X-C", b"4")], {"HTTP_A": "3", "HTTP_X_C": "4"}),
        ({"HTTP_A": "1"}, [(b"a", b"1"), (b"A", b"2")], {"HTTP_A": "1,2"}),
        ({"HTTP_A": "1"}, [(b"A", b"2"), (b"a", b"1")], {"HTTP_A": "2,1"}),
        ({"HTTP_A": "1"}, [(b"c", b"2"), (b"C", b"1")], {"HTTP_C": "2,1"}),
        ({"CONTENT_TYPE": ""}, [(b"content-type", b"t")], {"CONTENT_TYPE": "t"}),
        ({"HTTP_A_B": "1", "HTTP_A-B": "2"}, [(b"a-b", b"2")], {"HTTP_A_B": "2", "HTTP_A-B": "2"}),
        ({"HTTP_CONTENT_TYPE": "t"}, [(b"content-type", b"t")], {"HTTP_CONTENT_TYPE": "t", "CONTENT_TYPE": "t"}),
        ({"HTTP_A": "\xe4", "HTTP_B": "1"}, [(b"a", b"\xe4")], {"HTTP_A": "\xe4"}),
        (CAME, [HOST, (b"a", b"1"), (b"X-C", b"4")], {"HTTP_A": "1", "HTTP_HOST": "h", "HTTP_X_C": "4"}),
        (CAME, [HOST, (b"a", b"1"), (b"A", b"4")], {"HTTP_A": "1,4", "HTTP_HOST": "h"}),
        (CAME, [HOST, (b"a", b"1"), (b"c", b"4"), (b"C", b"5")], {"HTTP_A": "1", "HTTP_HOST": "h", "HTTP_C": "4,5"}),
        (CAME, [(b"host", b"i"), (b"a", b"1")], {"HTTP_A": "1", "HTTP_HOST": "i"}),
        (CAME, [HOST], {"HTTP_HOST": "h"}),
        (CAME, [], {}),
        ({"HTTP_A": "\u0142", "HTTP_B": "1"}, [(b"a", b"?")], {"HTTP_A": "?"}),
    ],
)
def test_an_app_is_told_what_the_policies_have_left(came: Environ, after: list[tuple[bytes, bytes]], left: Any) -> None:
    names = Names()
    for _ in range(2):  # the second time, what can be known of such an environ is
        environ = {"REQUEST_METHOD": "GET", **came}
        view = view_of(environ, names)
        put_headers(environ, names, view.raw_headers, view.without_hop(), after)
        assert environ == {"REQUEST_METHOD": "GET", **left}


def test_names_that_clients_choose_are_not_remembered_without_end() -> None:
    names = Names()
    for number in range(2000):
        assert names.header(f"HTTP_X_{number}") == b"x-%d" % number
        assert names.variable(b"x-%d" % number) == f"HTTP_X_{number}"
    assert (len(names._headers), len(names._variables)) == (1000, 1000)
    strange = {"REQUEST_METHOD": "GET", "HTTP_X_1": "a", "HTTP_X_1999": "b"}
    for _ in range(2):
        assert view_of(strange, names).raw_headers == [(b"x-1", b"a"), (b"x-1999", b"b")]


def test_the_environs_of_a_client_are_seen_alike_each_time() -> None:
    names = Names()
    sent = {
        "HTTP_ACCEPT": "*/*",
        "CONTENT_TYPE": "",
        "HTTP_CONNECTION": "close",
        "CONTENT_LENGTH": "0",
        "HTTP_HOST": "shop",
    }
    for changed in ({}, {}, {"CONTENT_TYPE": "t"}, {"HTTP_ACCEPT": "\xe4"}, {"HTTP_ACCEPT": "", "CONTENT_TYPE": "t"}):
        environ = {"REQUEST_METHOD": "GET", **sent, **changed}
        seen, new = view_of(environ, names), view_of(environ, Names())
        assert (seen.authority, seen.raw_headers, seen.headers) == (b"shop", new.raw_headers, new.headers)
        assert seen.without_hop() == new.without_hop()
        assert (seen.values(b"accept"), seen.query, seen.internal) == (new.values(b"accept"), {}, False)
    for number in range(2000):
        view_of({"REQUEST_METHOD": "GET", **sent, f"wsgi.{number % 500}": "", f"x.{number % 7}": ""}, names)
    assert len(names.shapes) == 100


@pytest.mark.parametrize("body", [b"", b"abc", b"abcde"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_app_gets_a_held_body_as_it_came(body: bytes, chunked: bool) -> None:
    def app(environ: Environ, start_response: Any) -> Iterable[bytes]:
        assert environ.get("CONTENT_LENGTH", "0") == str(len(body))
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    framing = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    server = Server(WsgiMiddleware(app, HELD, 8080), valid=False)
    if not body and chunked:
        framing["CONTENT_LENGTH"] = "0"
    assert server.ask(body, REQUEST_METHOD="POST", **(framing if chunked else {})) == body
    assert server.status == "200 OK"


@pytest.mark.parametrize("framing", [{}, {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}])
def test_an_app_never_hears_of_one_that_is_too_long(framing: Environ) -> None:
    server = Server(WsgiMiddleware(never, HELD, 8080), valid=False)
    assert server.ask(b"abcdefghi", REQUEST_METHOD="POST", **framing) == b"Payload Too Large"
    assert server.status.startswith("413 ")


def test_a_client_that_goes_away_before_it_is_decided_is_dc() -> None:
    class Gone(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError

    environ = _environ(REQUEST_METHOD="POST", CONTENT_LENGTH="4", HTTP_HOST="a")
    environ["wsgi.input"] = Gone()
    with pytest.raises(ConnectionResetError):
        WsgiMiddleware(never, HELD, 8080)(environ, _began)


def test_what_was_read_of_a_long_body_is_read_again() -> None:
    def joined() -> Joined:
        return Joined(b"ab\ncd", io.BytesIO(b"ef\ngh"))

    assert joined().read() == b"ab\ncdef\ngh"
    assert joined().readlines() == list(joined()) == [b"ab\n", b"cdef\n", b"gh"]
    pieces = joined()
    assert [pieces.read(3), pieces.readline(1), pieces.readline(2), pieces.read(9)] == [b"ab\n", b"c", b"de", b"f\ngh"]


def test_a_middleware_without_a_mesh_is_no_middleware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    server = served(None, ok)
    assert server.ask() == b"hello"
    assert server.headers == {"x-app": "1", "content-type": "text/plain"}
