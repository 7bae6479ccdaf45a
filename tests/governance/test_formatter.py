"""`%...%` in header values (docs/envoy-facts.md, "Header mutations")."""

from __future__ import annotations

import pytest

from proxyless.governance.formatter import UnsupportedFormatError, compile_value
from proxyless.governance.request import RequestView
from proxyless.governance.subject import Subject

HEADERS = [(b"X-User", b"alice"), (b"x-empty", b""), (b"x-two", b"a"), (b"x-two", b"b")]
REQUEST = RequestView(b"GET", b"http", b"shop:80", b"/a/b?q=1", HEADERS, "10.0.0.9")


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("plain", "plain"),
        ("", ""),
        ("100%%", "100%"),
        ("%%REQ(x)%%", "%REQ(x)%"),
        ("é", "é"),
    ],
)
def test_a_value_without_a_command_is_constant(value: str, result: str) -> None:
    assert compile_value(value) == result.encode()


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("%REQ(x-user)%", "alice"),
        ("%REQ(X-USER)%", "alice"),
        ("<%REQ(x-user)%>", "<alice>"),
        ("%REQ(x-user):2%", "al"),
        ("%REQ(x-user):99%", "alice"),
        ("%REQ(x-none?x-user)%", "alice"),
        ("%REQ(x-user?x-none)%", "alice"),
        ("%REQ(x-none)%", ""),
        ("<%REQ(x-none)%>", "<>"),
        ("%REQ(x-none?x-neither)%", ""),
        ("%REQ(x-empty)%", ""),
        ("%REQ(x-two)%", "a"),
        ("%REQ(:METHOD)% %REQ(:PATH)%", "GET /a/b?q=1"),
        ("%REQ(:AUTHORITY)%%%", "shop:80%"),
        ("%REQ(?x-user)%", "alice"),
        ("%PROTOCOL%", "HTTP/1.1"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.9"),
        ("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.9"),
    ],
)
def test_a_command_is_filled_in_from_the_request(value: str, result: str) -> None:
    formatter = compile_value(value)
    assert not isinstance(formatter, bytes)
    assert formatter(Subject(REQUEST)) == result.encode()


def test_an_address_that_is_not_known_formats_to_nothing() -> None:
    formatter = compile_value("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
    assert not isinstance(formatter, bytes)
    assert formatter(Subject(RequestView(b"GET", b"http", b"shop", b"/"))) == b""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("%CEL(request.path)%", "%CEL% is not supported"),
        ("%ENVIRONMENT(HOME)%", "%ENVIRONMENT% is not supported"),
        ("%PATH(XX)%", "is not supported"),
        ("%METADATA(LISTENER:a:b)%", "is not supported"),
        ("50% off", "stray % in '50% off'"),
        ("%lower%", "stray %"),
        ("%", "stray %"),
    ],
)
def test_what_is_not_known_is_named_and_never_sent_raw(value: str, reason: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=reason):
        compile_value(value)
