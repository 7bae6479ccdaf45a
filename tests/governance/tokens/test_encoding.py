"""Base64url and JSON, as strictly as Envoy reads them, and JSON a little more so."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.tokens.encoding import MalformedError, base64url, json_object, member


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", b""),
        (b"YQ", b"a"),
        (b"YQ==", b"a"),
        (b"YWI=", b"ab"),
        (b"YWJj", b"abc"),
        (b"-_-_", b"\xfb\xff\xbf"),
        (b" Y W\tJ\nj ", b"abc"),
        (b"YR", b"a"),  # bits that are left over
    ],
)
def test_what_is_base64url(data: bytes, expected: bytes) -> None:
    assert base64url(data) == expected


@pytest.mark.parametrize(
    "data", [b"Y", b"YWJjZ", b"YQ=", b"YWJj=", b"YWJj==", b"Y=Q=", b"+/+/", b"a.b", b"\xff", b"===="]
)
def test_what_is_not(data: bytes) -> None:
    with pytest.raises(MalformedError):
        base64url(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        ("null", {}),
        (' {"a": [1, 2.5, true, null, {"b": "ü"}]} ', {"a": (1.0, 2.5, True, None, {"b": "ü"})}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        ('{"a": "' + "[" * 200 + '\\""}', {"a": "[" * 200 + '"'}),
    ],
)
def test_what_is_json(text: str, expected: dict[str, Any]) -> None:
    assert json_object(text.encode()) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"[]", b"1", b'"a"', b"{", b"{}x", b"{a:1}", b"{'a':1}", b'{"a":1,}', b'{"a":NaN}', b'{"a":Infinity}'),
        *(
            b'{"a":1,"a":1}',
            b'{"b":{"a":1,"a":1}}',
            b'{"a":1e999}',
            b'{"a":"\xff"}',
            b'{"a":"\\ud800"}',
            b"\xef\xbb\xbf{}",
        ),
        *(b'{"a":"\x01"}', b'{"a":' + b"[" * 101 + b"]" * 101 + b"}", b'{"a":' + b"9" * 400 + b"}", b"{/**/}"),
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_what_is_no_json_for_a_token(text: bytes) -> None:
    with pytest.raises(MalformedError):
        json_object(text)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (base64url, json_object):
        with suppress(MalformedError):
            read(data)


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=9)))
def test_json_comes_back(values: dict[str, Any]) -> None:
    try:
        text = json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert json.loads(json.dumps(json_object(text))) == values


def test_members_are_found_by_a_path() -> None:
    values = json_object(b'{"a": {"b": {"c": 1}}, "d.e": 2}')
    assert member(values, "a.b.c") == (True, 1.0)
    assert member(values, "a.b") == (True, {"c": 1.0})
    for path in ("a.x", "x", "d.e", "a.b.c.d"):
        assert member(values, path) == (False, None)
