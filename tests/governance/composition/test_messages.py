"""Requests and responses as own policies see them."""

from __future__ import annotations

import pytest

from proxyless.governance.composition.messages import Request, Response
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from tests.support.world import World


def request(*headers: tuple[str, str], url: str = "http://shop/a?b") -> Request:
    call = World().start(url, headers=headers)
    return Request(call, call.request)


def test_headers_are_a_mapping_of_names_in_any_case() -> None:
    one = request(("Accept", "a"), ("X-Id", "1"), ("accept", "b"))
    headers = one.headers
    assert headers["ACCEPT"] == "a, b"
    assert headers.each("accept") == ["a", "b"]
    assert (list(headers), len(headers), "x-id" in headers, "y" in headers) == (["accept", "x-id"], 2, True, False)
    headers["accept"] = "c"
    headers["new"] = "ä"
    headers.add("new", "d")
    del headers["x-id"]
    assert dict(headers) == {"accept": "c", "new": "ä, d"}
    assert one.changed
    assert "c" not in repr(headers).partition(":")[2].replace("accept", "")
    for missing in ("x-id", "no"):
        with pytest.raises(KeyError):
            headers[missing]
        with pytest.raises(KeyError):
            del headers[missing]


@pytest.mark.parametrize(("name", "value"), [("a b", "c"), ("", "c"), ("a", "b\r\nc: d"), ("a", "\0")])
def test_a_header_that_would_be_another_is_refused(name: str, value: str) -> None:
    headers = request().headers
    with pytest.raises(ValueError, match=r"is no (name|value) of a header"):
        headers[name] = value
    with pytest.raises(ValueError, match=r"is no (name|value) of a header"):
        headers.add(name, value)


def test_the_target_can_be_changed_and_stays_a_target() -> None:
    one = request()
    assert (one.method, one.host, one.path, one.incoming) == ("GET", "shop", "/a?b", False)
    assert (one.route, one.cluster, one.principal) == (None, None, None)
    one.host, one.path = "cart:81", "/c"
    assert repr(one) == "<Request GET cart:81/c>"
    for path in ("c", "/c d", "/c\r\n"):
        with pytest.raises(ValueError, match="is no path"):
            one.path = path
    with pytest.raises(ValueError, match="is no authority"):
        one.host = "a b"


def test_who_sends_an_incoming_request_is_known_by_its_certificate() -> None:
    world = World()
    peer = Peer(b"certificate", validated=True, uri_sans=("spiffe://td/ns/shop/sa/cart",))
    inbound = InboundRequest(world.runtime, world.start().request, 80, peer=peer)
    one = Request(inbound, inbound.request)
    assert one.incoming
    assert one.principal == "spiffe://td/ns/shop/sa/cart"
    inbound.peer = Peer(b"certificate", uri_sans=("spiffe://td/ns/shop/sa/cart",))
    assert one.principal is None, "nobody has vouched for it"


def test_a_response_is_what_it_was_made_of() -> None:
    one = Response(404, "gone", {"x-a": "1"})
    assert (one.status, one.body, dict(one.headers), repr(one)) == (404, b"gone", {"x-a": "1"}, "<Response 404>")
    assert dict(Response(200, None, [("x-b", "2")]).headers) == {"x-b": "2"}
    with pytest.raises(ValueError, match="a number from 200 to 599"):
        Response(101)
