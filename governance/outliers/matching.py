"""Which responses are errors to a cluster that says so itself (HttpProtocolOptions.outlier_detection.error_matcher)."""

from __future__ import annotations

from collections.abc import Callable

from ...xds.model.matchers import ResponsePredicate
from ..matching import header_test
from ..request import RequestView
from .results import status_of_grpc

DEGRADED = b"x-envoy-degraded"

ResponseTest = Callable[[RequestView], bool]
"""Asks the headers of a response, `:status` among them."""


def response_test(predicate: ResponsePredicate) -> ResponseTest:
    """The predicate as a function."""
    parts = [response_test(each) for each in predicate.parts]
    match predicate.kind:
        case "any":
            return lambda response: any(part(response) for part in parts)
        case "all":
            return lambda response: all(part(response) for part in parts)
        case "not":
            return lambda response: not parts[0](response)
        case "headers":
            tests = [header_test(each) for each in predicate.headers]
            return lambda response: all(test(response) for test in tests)
        case kind:
            always = kind == "always"
            return lambda response: always


def view_of(status: int, headers: list[tuple[bytes, bytes]]) -> RequestView:
    """A response as a test sees it."""
    return RequestView(b"", b"", b"", b"", [(b":status", b"%d" % status), *headers])


def status_of(response: RequestView, *, is_grpc: bool, is_error: ResponseTest | None) -> int:
    """The status that stands for a response: that of gRPC in its headers, else what the cluster says, else its own."""
    code = int(response.headers[b":status"])
    said = response.headers.get(b"grpc-status") if is_grpc else None
    if said:
        return status_of_grpc(said)
    if is_error is None:
        return code
    if not is_error(response):
        return 200
    return code if 500 <= code < 600 else 500
