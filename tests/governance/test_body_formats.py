"""Bodies with formats."""

from __future__ import annotations

import pytest

from proxyless.governance.body_formats import compile_body
from proxyless.governance.formatter import UnsupportedFormatError
from proxyless.governance.request import RequestView
from proxyless.governance.subject import Subject
from proxyless.xds.model.local_reply import BodyFormat
from proxyless.xds.model.route import VirtualHost
from proxyless.xds.model.values import FilterMetadata, MetadataValue

METADATA: FilterMetadata = {"m": {"text": "word", "number": 100000.0, "none": None}}


def made(body: BodyFormat, *headers: tuple[bytes, bytes]) -> bytes:
    request = RequestView(b"GET", b"http", b"shop", b"/a", [(b"x-a", b"one"), *headers])
    host = VirtualHost("v", ("*",), (), metadata=METADATA)
    return compile_body(body)(Subject(request, body=b"own", status=418, vhost=host))


@pytest.mark.parametrize(
    ("text", "full", "sparse"),
    [
        ("constant 100%%", b"constant 100%", b"constant 100%"),
        ("%LOCAL_REPLY_BODY%|%REQ(x-none)%", b"own|-", b"own|"),
        ("100%% %REQ(x-a)% %UPSTREAM_LOCAL_ADDRESS%", b"100% one -", b"100% one "),
        ("%UPSTREAM_LOCAL_ADDRESS% 5%%", b"- 5%", b" 5%"),
        ("%REQ(x-a):2%", b"on", b"on"),
    ],
)
def test_text(text: str, full: bytes, sparse: bytes) -> None:
    assert made(BodyFormat(text)) == full
    assert made(BodyFormat(text, omit_empty_values=True)) == sparse


@pytest.mark.parametrize(
    ("value", "full", "sparse"),
    [
        ("a", b'{"k":"a"}', b'{"k":"a"}'),
        ("100%%", b'{"k":"100%"}', b'{"k":"100%"}'),
        (None, b'{"k":null}', b"{}"),
        (True, b'{"k":true}', b'{"k":true}'),
        (1e5, b'{"k":1e+05}', b'{"k":1e+05}'),
        ("%RESPONSE_CODE%", b'{"k":418}', b'{"k":418}'),
        ("%RESPONSE_CODE%%REQ(x-none)%", b'{"k":"418-"}', b'{"k":"418"}'),
        ("%REQ(x-a)%", b'{"k":"one"}', b'{"k":"one"}'),
        ("%REQ(x-none)%", b'{"k":null}', b"{}"),
        ("%UPSTREAM_LOCAL_ADDRESS%", b'{"k":null}', b"{}"),
        ("<%REQ(x-a)%>", b'{"k":"<one>"}', b'{"k":"<one>"}'),
        ("%METADATA(VIRTUAL_HOST:m:text):2%", b'{"k":"wo"}', b'{"k":"wo"}'),
        ("%METADATA(VIRTUAL_HOST:m:number)%", b'{"k":1e+05}', b'{"k":1e+05}'),
        ("%METADATA(VIRTUAL_HOST:m:none)%", b'{"k":null}', b"{}"),
        ({}, b'{"k":{}}', b"{}"),
        ({"b": "1", "a": None}, b'{"k":{"a":null,"b":"1"}}', b'{"k":{"b":"1"}}'),
        ((), b'{"k":[]}', b'{"k":[]}'),
        ((None, ("%REQ(x-none)%",), {"a": None}), b'{"k":[null,[null],{"a":null}]}', b'{"k":[[]]}'),
    ],
)
def test_json(value: MetadataValue, full: bytes, sparse: bytes) -> None:
    assert made(BodyFormat(json={"k": value})) == full + b"\n"
    assert made(BodyFormat(json={"k": value}, omit_empty_values=True)) == sparse + b"\n"


def test_bytes_that_are_no_text_are_characters_in_json() -> None:
    own = (b"x-raw", b'\xe9"\x7fa')
    assert made(BodyFormat(json={"k": "%REQ(x-raw)%"}), own) == b'{"k":"\\u00e9\\u0022\\u007fa"}\n'


@pytest.mark.parametrize("body", [BodyFormat("%CEL(x)%"), BodyFormat(json={"a": "%CEL(x)%"})])
def test_what_cannot_be_filled_in_is_named(body: BodyFormat) -> None:
    with pytest.raises(UnsupportedFormatError, match="%CEL% is not supported"):
        compile_body(body)
