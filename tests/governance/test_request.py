"""A request as the policies see it (docs/envoy-facts.md, "Request headers" and "Matchers")."""

from __future__ import annotations

import pytest

from proxyless.governance.request import RequestView, parse_query, strip_query


def view(*lines: str, path: str = "/") -> RequestView:
    pairs = [tuple(each.encode() for each in line.split("=", 1)) for line in lines]
    return RequestView(b"GET", b"http", b"shop:80", path.encode(), pairs, "10.0.0.9")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (["x=1"], ["1"]),
        (["X=1", "x=2", "x="], ["1", "2", ""]),
        (["Accept=a", "accept=b", "accept=c"], ["a,b,c"]),
        (["accept=", "accept=b"], ["b"]),
        (["accept=a", "accept="], ["a"]),
        (["accept=", "accept="], [""]),
        (["x="], [""]),
        ([], []),
    ],
)
def test_repeated_headers_are_kept_apart_except_those_that_envoy_joins(lines: list[str], values: list[str]) -> None:
    name = (lines[0].partition("=")[0].lower() if lines else "x").encode()
    request = view("other=o", *lines, "other=p")
    assert [value.decode() for value in request.values(name)] == values
    assert request.header(name) == (values[0].encode() if values else None)
    assert request.values(b"other") == (b"o", b"p")


@pytest.mark.parametrize(
    ("name", "value"),
    [(":method", "GET"), (":path", "/a?b"), (":authority", "shop:80"), (":scheme", "http"), ("host", "shop:80")],
)
def test_pseudo_headers_are_headers_too_and_cannot_be_sent(name: str, value: str) -> None:
    request = view(f"{name}=sent", path="/a?b")
    assert request.header(name.encode()) == value.encode()
    assert request.values(name.encode()) == (value.encode(),)


def test_an_empty_authority_is_none() -> None:
    assert RequestView(b"GET", b"http", b"", b"/").header(b":authority") is None


def test_new_headers_replace_all_of_the_old_ones() -> None:
    request = view("x=1", "x=2")
    assert request.values(b"x") == (b"1", b"2")
    other = request.having([(b"x", b"3")])
    request.replace_headers([(b"y", b"4")])
    assert (request.values(b"x"), request.values(b"y")) == ((), (b"4",))
    assert other.values(b"x") == (b"3",)
    assert (other.method, other.authority, other.path, other.source) == (b"GET", b"shop:80", b"/", "10.0.0.9")


@pytest.mark.parametrize(
    ("kind", "grpc"),
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("application/grpc;x=1", False),
        ("application/grpc-web", False),
        ("application/json", False),
    ],
)
def test_the_content_type_says_whether_it_is_grpc(kind: str, grpc: bool) -> None:
    assert view(f"content-type={kind}").is_grpc is grpc


def test_a_request_without_a_content_type_is_no_grpc() -> None:
    assert not view().is_grpc


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/a", {}),
        ("/a?", {}),
        ("/a?x=1&y=2", {"x": "1", "y": "2"}),
        ("/a?x=1&x=2", {"x": "1"}),
        ("/a?q", {"q": ""}),
        ("/a?q=", {"q": ""}),
        ("/a??q=1", {"?q": "1"}),
        ("/a?x=1;y=2", {"x": "1;y=2"}),
        ("/a?%76=%20+&V=1", {"%76": "%20+", "V": "1"}),
        ("/a?=1&&x=a=b", {"x": "a=b"}),
        ("/a?x=1#y=2&z=3", {"x": "1"}),
    ],
)
def test_query_parameters_are_compared_as_they_stand_and_the_first_counts(path: str, query: dict[str, str]) -> None:
    expected = {name.encode(): value.encode() for name, value in query.items()}
    assert parse_query(path.encode()) == expected
    request = view(path=path)
    assert request.query == expected
    assert request.query is request.query, "parsed once"


@pytest.mark.parametrize(
    ("path", "only"), [("/a", "/a"), ("/a?x", "/a"), ("/a#x", "/a"), ("/a#x?y", "/a"), ("/a?x#y", "/a"), ("/?", "/")]
)
def test_a_path_ends_at_its_query_or_fragment(path: str, only: str) -> None:
    assert strip_query(path.encode()) == only.encode()


def test_another_target_changes_nothing_of_the_request_it_comes_from() -> None:
    first = view("content-type=application/grpc", "x=1", "x=2", path="/a?one=1")
    assert first.query == {b"one": b"1"}
    second = first.towards(b"/b?two=2")
    second.without_hop().append((b"y", b"3"))
    second.restore_host()
    assert (second.path, second.query) == (b"/b?two=2", {b"two": b"2"})
    assert (second.method, second.scheme, second.authority) == (b"GET", b"http", b"shop:80")
    assert (second.source, second.is_grpc, second.values(b"x")) == ("10.0.0.9", True, (b"1", b"2"))
    assert (first.path, first.header(b"y"), len(first.without_hop())) == (b"/a?one=1", None, 3)
    assert b"host" not in first.headers
    second.replace_headers([])
    assert (first.is_grpc, second.is_grpc) == (True, False)


def test_other_headers_do_not_change_who_sent_a_request() -> None:
    one = RequestView(b"GET", b"http", b"a", b"/", (), "10.0.0.1")
    one.remote, one.internal = "1.2.3.4", True
    other = one.having([(b"x", b"1")])
    assert (other.source, other.remote, other.internal) == ("10.0.0.1", "1.2.3.4", True)


@pytest.mark.parametrize("authority", [b"shop", b""])
@pytest.mark.parametrize(
    "headers", [[(b"X-A", b"1")], [(b"X-A", b"1"), (b"x-a", b"2"), (b"via", b"a"), (b"via", b"b")]]
)
@pytest.mark.parametrize("looked", [True, False])
def test_a_host_put_back_is_known_like_one_that_was_sent(
    authority: bytes, headers: list[tuple[bytes, bytes]], looked: bool
) -> None:
    request = RequestView(b"GET", b"http", authority, b"/", headers)
    if looked:
        request.headers[b"host"] = b"before"  # as it was when the headers were looked at first
    request.restore_host()
    sent = [(b"host", authority), *headers] if authority else headers
    fresh = RequestView(b"GET", b"http", authority, b"/", sent)
    assert request.raw_headers == sent
    assert request.headers == fresh.headers
    assert request.values(b"x-a") == fresh.values(b"x-a")


@pytest.mark.parametrize(
    ("kind", "is_grpc"), [(b"application/grpc", True), (b"application/grpc+proto", True), (b"application/grpcx", False)]
)
def test_a_view_of_distinct_headers_is_as_any_other(kind: bytes, is_grpc: bool) -> None:
    headers = [(b"host", b"shop"), (b"content-type", kind), (b"connection", b"close")]
    plain = RequestView(b"POST", b"http", b"shop", b"/a?b", headers, "10.0.0.9")
    distinct = RequestView.of_distinct(b"POST", b"http", b"/a?b", headers, [headers[1]], "10.0.0.9")
    assert {each: getattr(distinct, each) for each in RequestView.__slots__} == {
        each: getattr(plain, each) for each in RequestView.__slots__
    }
    assert distinct.is_grpc is is_grpc
