"""What the answer of an endpoint to a check means."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.checking.answers import Answer, Failed, Passed, holds, of_response
from proxyless.governance.outliers.matching import view_of
from proxyless.xds.model.health_check import HttpCheck
from proxyless.xds.model.matchers import Range, StringMatcher

FAIL = (b"x-envoy-immediate-health-check-fail", b"true")
NAMED = {"service_name": StringMatcher("prefix", "shop")}
NAME = b"x-envoy-upstream-healthchecked-cluster"


@pytest.mark.parametrize(
    ("data", "segments", "found"),
    [
        (b"abcabc", (), True),
        (b"abcabc", (b"a", b"c"), True),
        (b"abcabc", (b"c", b"a"), True),
        (b"abcabc", (b"c", b"c", b"c"), False),
        (b"abc", (b"ab", b"bc"), False),
        (b"", (b"a",), False),
    ],
)
def test_segments_follow_each_other_with_anything_between(
    data: bytes, segments: tuple[bytes, ...], found: bool
) -> None:
    assert holds(data, segments) is found


@pytest.mark.parametrize(
    ("config", "status", "headers", "body", "answer"),
    [
        ({}, 200, [], b"", Passed()),
        ({}, 201, [], b"", Failed("active", "status 201")),
        ({"expected": (Range(200, 300), Range(404, 405))}, 404, [], b"", Passed()),
        ({"expected": (Range(200, 300),)}, 300, [], b"", Failed("active", "status 300")),
        ({"retriable": (Range(500, 600),)}, 503, [], b"", Failed("active", "status 503", retriable=True)),
        ({}, 503, [FAIL], b"", Failed("active", "status 503", exclude=True)),
        ({}, 200, [FAIL], b"", Passed()),
        ({}, 200, [(b"x-envoy-degraded", b"")], b"", Passed(degraded=True)),
        ({"receive": (b"ok",)}, 200, [], b"it is ok", Passed()),
        ({"receive": (b"ok",)}, 200, [], b"bad", Failed("active", "the body is not what is expected")),
        ({"receive": (b"ok",)}, 500, [FAIL], b"", Failed("active", "the body is not what is expected", exclude=True)),
        ({"receive": (b"ok",), "buffer": 3}, 200, [], b"12ok", Failed("active", "the body is not what is expected")),
        ({"receive": (b"ok",), "buffer": 0}, 200, [], b"x" * 2000 + b"ok", Passed()),
        (NAMED, 200, [(NAME, b"shop-1")], b"", Passed()),
        (NAMED, 200, [(NAME, b"cart")], b"", Failed("active", "it is the service 'cart'")),
        (NAMED, 200, [], b"", Failed("active", "it is the service ''")),
    ],
)
def test_an_http_response(
    config: dict[str, Any], status: int, headers: list[tuple[bytes, bytes]], body: bytes, answer: Answer
) -> None:
    assert of_response(HttpCheck("/", **config), view_of(status, headers), body) == answer
