"""The buffer filter: what is too long, what had no length, and what is tried again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.differential.beside import both, filters, typed
from tests.differential.case import Case
from tests.differential.custom import host, route
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request

pytestmark = pytest.mark.envoy

NAME = "envoy.filters.http.buffer"
CHAIN = filters((NAME, typed("buffer.v3.Buffer", max_request_bytes=3000)))
RETRY: Resource = {"retry_policy": {"retry_on": "5xx", "retry_back_off": {"base_interval": "0.001s"}}}
SIZES = (0, 1, 1000, 1001, 3000, 3001, 5000, 5001)


def at(**config: Any) -> Resource:
    return {"typed_per_filter_config": {NAME: typed("buffer.v3.BufferPerRoute", **config)}}


def rule(path: str, **fields: Any) -> Resource:
    return route({"prefix": path}, {"cluster": "a", "timeout": "0s", **RETRY}, **fields)


def cases() -> list[Case]:
    local: Resource = {"match": {"prefix": "/d"}, "direct_response": {"status": 200, "body": {"inline_string": "d"}}}
    held = host(
        local,
        rule("/off", **at(disabled=True)),
        rule("/small", **at(buffer={"max_request_bytes": 1000})),
        rule("/large", **at(buffer={"max_request_bytes": 5000})),
        rule("/kept", request_body_buffer_limit="1000"),
        rule("/"),
    )
    sent = [
        Request("POST", f"http://any.test{path}", (("x-backend", "status=503"),), b"x" * size)
        for path in ("/d", "/off", "/small", "/large", "/kept", "/")
        for size in SIZES
    ]
    grpc = (("content-type", "application/grpc"), ("te", "trailers"))
    sent += [Request("GET", "http://any.test/"), Request("POST", "http://any.test/", grpc, b"x" * 3001)]
    return [Case((held,), tuple(sent), manager=CHAIN)]


@pytest.mark.parametrize("streamed", [False, True], ids=["at hand", "streamed"])
def test_bodies_are_held_as_behind_envoy(frontend: Recording, streamed: bool) -> None:
    both(frontend, cases(), streamed=streamed)
