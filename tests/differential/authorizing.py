"""Routes behind external authorization, for Envoy and for us: what is asked, and what becomes of a request."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from proxyless.xds.wire.schema import pool
from tests.differential.custom import cluster, custom, host, route
from tests.differential.decision import answered
from tests.differential.governed import Governed
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.differential.rig import Rig
from tests.support.authorizers import GrpcAuthorizer, Heard, HttpAuthorizer
from tests.support.behaviour import Headers

A, B = ("127.0.20.1", 80), ("127.0.20.2", 80)
NAME = "envoy.filters.http.ext_authz"
KIND = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3."
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
BY_GRPC: Resource = {"grpc_service": {"envoy_grpc": {"cluster_name": "grpc"}, "timeout": "5s"}}
SERVER: Resource = {"uri": "http://authz", "cluster": "http", "timeout": "5s"}

OF_ENVOY = {"x-envoy-internal", "x-envoy-expected-rq-timeout-ms", "x-forwarded-for"}
"""What Envoy adds to each question as its router does to any request."""
VOLATILE = {"x-request-id", "content-length", "transfer-encoding", "connection", "x-envoy-expected-rq-timeout-ms"}
OF_LIBRARY = {"accept", "accept-encoding", "user-agent"}


class Served(Recording):
    """A recording with clusters that are no backends of the rig's."""

    def addresses(self) -> set[tuple[str, int]]:
        return {each for each in super().addresses() if each[0] != "127.0.0.1"}


def by_http(**fields: Any) -> Resource:
    """A filter whose service speaks plain HTTP."""
    return {"http_service": {"server_uri": SERVER, **fields}}


@dataclass
class Services:
    """Both services."""

    grpc: GrpcAuthorizer
    http: HttpAuthorizer

    def say(self, said: Any) -> None:
        """Answer so from now on."""
        if isinstance(said, tuple):
            self.http.answer = said
        else:
            self.grpc.answer = said

    def take(self) -> tuple[Any, ...]:
        """What was asked since the last time, without what differs each time."""
        return (*(plain(each) for each in self.grpc.take()), *(heard(each) for each in self.http.take()))


def plain(query: Any) -> Any:
    """A CheckRequest as JSON, without ids, times and what a library or Envoy adds."""
    found = json_format.MessageToDict(query, descriptor_pool=pool())
    request = found["attributes"]["request"]
    del request["time"], request["http"]["id"]
    attributes = found["attributes"]
    attributes["source"]["address"]["socketAddress"].pop("portValue", None)
    attributes["destination"]["address"]["socketAddress"].pop("address")  # a name that nobody had to look up
    http = request["http"]
    left_out = VOLATILE | OF_LIBRARY
    if "headerMap" in http:
        pairs = [(each["key"], each.get("rawValue", "")) for each in http["headerMap"]["headers"]]
        http["headerMap"] = sorted(pair for pair in pairs if pair[0] not in left_out)
    http["headers"] = {name: value for name, value in http.get("headers", {}).items() if name not in left_out}
    return found


def heard(asked: Heard) -> Any:
    """The same of a question by HTTP."""
    method, path, headers, body = asked
    left_out = OF_ENVOY | OF_LIBRARY | {"x-request-id"}
    return method, path, tuple(pair for pair in headers if pair[0] not in left_out), body


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a request, and what the services were asked."""

    status: int
    flags: str
    details: str
    body: bytes
    headers: Headers
    arrived: tuple[str, str, Headers, bytes] | None
    at: str
    asked: tuple[Any, ...]


def authorized(base: Recording, services: Services, fields: Resource, **more: Any) -> Recording:
    """Routes behind the filter. `own`, `of_host`: per-route configurations; `filters`: more, before it."""
    http2: Resource = {"explicit_http_config": {"http2_protocol_options": {}}}
    options = {OPTIONS: {"@type": f"type.googleapis.com/{OPTIONS}", **http2}}

    def per_route(own: Resource | None) -> Resource:
        return {NAME: {"@type": KIND + "ExtAuthzPerRoute", **own}} if own else {}

    own = per_route(more.get("own"))
    rules = [
        route({"prefix": "/moved"}, "b", typed_per_filter_config=own),
        route({"prefix": "/", "headers": [{"name": "x-to", "string_match": {"exact": "b"}}]}, "b"),
        {**route({"prefix": "/away"}, "a"), "redirect": {"path_redirect": "/there"}},
        route({"prefix": "/"}, "a", typed_per_filter_config=own, metadata={"filter_metadata": {"ns": {"k": "v"}}}),
    ]
    del rules[2]["route"]
    hosts = [
        host(*rules, domains=("catalog",), typed_per_filter_config=per_route(more.get("of_host"))),
        host(route({"prefix": "/"}, "b"), domains=("other",)),
    ]
    clusters = [
        cluster("a", A),
        cluster("b", B),
        cluster("grpc", ("127.0.0.1", services.grpc.port), typed_extension_protocol_options=options),
        cluster("http", ("127.0.0.1", services.http.port)),
    ]
    recording = custom(base, hosts, clusters)
    config = {"@type": KIND + "ExtAuthz", "transport_api_version": "V3", **fields}
    for chain in recording.listeners["0.0.0.0_80"]["filter_chains"]:
        for network in chain["filters"]:
            filters = network["typed_config"]["http_filters"]
            filters[:0] = [*more.get("filters", ()), {"name": NAME, "typed_config": config}]
    return Served(**{each.name: getattr(recording, each.name) for each in dataclasses.fields(recording)})


def by_envoy(rig: Rig, services: Services, request: Request) -> Seen:
    services.take()
    target = request.url.removeprefix("http://catalog")
    seen = rig.send(request.method, target, *request.headers, body=request.body)
    flags = seen.flags if seen.flags != "-" else ""
    return _seen(
        seen.response.status, flags, seen.details, seen.response.body, seen.response.headers, seen.arrivals, services
    )


def by_proxyless(client: Governed, services: Services, request: Request) -> Seen:
    services.take()
    response, arrivals = client.send(request)
    raw = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
    call: Any = response.extensions["proxyless"]
    details = call.reply.details if call.reply is not None else "via_upstream"
    return _seen(response.status_code, ",".join(call.flags), details, response.content, raw, arrivals, services)


def _seen(
    status: int, flags: str, details: str, body: bytes, headers: Headers, arrivals: Any, services: Services
) -> Seen:
    got = arrivals[0] if arrivals else None
    arrived = (got.method, got.target, kept(got.headers), got.body) if got is not None else None
    told = tuple(pair for pair in answered(headers) if got is None or pair[0] != "content-length")
    # A service that speaks HTTP is behind Envoy's router, which says how long it took.
    told = tuple(pair for pair in told if pair[0] != "x-envoy-upstream-service-time")
    at = got.backend[0] if got is not None else ""
    return Seen(status, flags, details, b"" if got is not None else body, told, arrived, at, services.take())


def kept(headers: Iterable[tuple[str, str]]) -> Headers:
    """Those that do not differ each time, in any order of different names."""
    left_out = VOLATILE | OF_LIBRARY | {"x-envoy-upstream-service-time"}
    return tuple(
        sorted(((name.lower(), value) for name, value in headers if name.lower() not in left_out), key=lambda p: p[0])
    )
