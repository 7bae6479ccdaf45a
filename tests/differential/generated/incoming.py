"""Incoming requests: listeners with other options than istiod's, drawn, before the same app: Envoy and the ASGI suite.

Each case is a filter chain of `virtualInbound` for a port of its own. Envoy has a backend behind it; ours is an app
behind the middleware in a real uvicorn, which answers as that backend does.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hypothesis import strategies as st

import proxyless.asgi
from proxyless.mesh import Mesh
from tests.differential.batch import FIRST_PORT, requests_of
from tests.differential.bootstrap import HCM
from tests.differential.case import Case
from tests.differential.comparison import Case as Answered
from tests.differential.custom import cluster
from tests.differential.decision import PROXIED, UNROUTED, answered, comparable, from_envoy
from tests.differential.generated import words
from tests.differential.generated.actions import DECORATOR, DIRECT, FILTERS, MUTATIONS, REDIRECT
from tests.differential.generated.asks import request
from tests.differential.generated.cases import sound
from tests.differential.generated.matches import MATCH, Strategy, merged, sometimes
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.differential.rig import Rig, Sent
from tests.support import rawhttp
from tests.support.behaviour import Address, Headers, parse
from tests.support.serving import Server

POD: Address = ("127.0.14.1", 8080)
CLIENT: Address = ("127.0.10.1", 40000)
APP: Address = ("127.0.20.1", 80)
EACH = 20
MARK = "x-mark"
TYPE = "type.googleapis.com/envoy.extensions.filters.http."

FORWARD: Strategy = st.sampled_from(
    [
        {"route": {"cluster": "a", "timeout": "0s"}},
        {"route": {"cluster": "a", "timeout": "0s", "retry_policy": {"retry_on": "reset-before-request"}}},
    ]
)
HEADER_MUTATION: Resource = {
    "@type": TYPE + "header_mutation.v3.HeaderMutation",
    "mutations": {
        "request_mutations": [{"append": {"header": {"key": "x-mutated", "value": "%REQ(x-a)%"}}}, {"remove": "x-b"}],
        "response_mutations": [{"append": {"header": {"key": "x-mutated", "value": "1"}}}, {"remove": "x-kept"}],
    },
}
FILTER_KINDS: dict[str, list[Resource]] = {
    "fault": [
        {"@type": TYPE + "fault.v3.HTTPFault"},
        {
            "@type": TYPE + "fault.v3.HTTPFault",
            "abort": {"http_status": 429, "percentage": {"numerator": 100}},
            "headers": [{"name": "x-a", "present_match": True}],
        },
        {"@type": TYPE + "fault.v3.HTTPFault", "abort": {"header_abort": {}, "percentage": {"numerator": 100}}},
    ],
    "cors": [{"@type": TYPE + "cors.v3.Cors"}],
    "local_ratelimit": [
        {
            "@type": TYPE + "local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "x",
            "token_bucket": {"max_tokens": 12, "fill_interval": "1000s"},
            "filter_enabled": {"default_value": {"numerator": 100}},
            "filter_enforced": {"default_value": {"numerator": 100}},
            "response_headers_to_add": [{"header": {"key": "x-limited", "value": "true"}}],
            **more,
        }
        for more in ({}, {"status": {"code": "ServiceUnavailable"}}, {"enable_x_ratelimit_headers": "DRAFT_VERSION_03"})
    ],
    "header_mutation": [HEADER_MUTATION],
}
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": TYPE + "router.v3.Router"}}


def _filter(kind: str, share: int) -> st.SearchStrategy[list[Resource]]:
    made = [[{"name": f"envoy.filters.http.{kind}", "typed_config": each}] for each in FILTER_KINDS[kind]]
    return st.integers(1, share).flatmap(lambda at: st.sampled_from(made) if at == share else st.just([]))


HTTP_FILTERS: Strategy = st.tuples(
    _filter("local_ratelimit", 5), _filter("header_mutation", 4), _filter("fault", 2), _filter("cors", 2)
).map(lambda found: {"http_filters": [*(one for each in found for one in each), ROUTER]})

INSIDE: Resource = {"internal_address_config": {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}}
FORWARDING: Strategy = st.sampled_from(
    [
        {},
        {"use_remote_address": True},
        {"use_remote_address": True, "skip_xff_append": True},
        {"use_remote_address": True, "xff_num_trusted_hops": 1, **INSIDE},
        {"use_remote_address": True, "append_x_forwarded_port": True},
        {"xff_num_trusted_hops": 1},
        {"xff_num_trusted_hops": 2, **INSIDE},
        INSIDE,
    ]
)


def _one(*fields: Resource) -> Strategy:
    return st.sampled_from(list(fields))


MANAGER: Strategy = merged(
    HTTP_FILTERS,
    FORWARDING,
    sometimes(_one({"merge_slashes": True}, {"merge_slashes": False}), 3),
    sometimes(_one({"normalize_path": False}), 4),
    sometimes(
        st.sampled_from(
            [
                {"path_with_escaped_slashes_action": each}
                for each in ("UNESCAPE_AND_FORWARD", "UNESCAPE_AND_REDIRECT", "REJECT_REQUEST", "KEEP_UNCHANGED")
            ]
        ),
        3,
    ),
    sometimes(_one({"generate_request_id": False}, {"preserve_external_request_id": True}), 4),
    sometimes(_one({"always_set_request_id_in_response": True}), 4),
    sometimes(_one({"via": "mesh"}), 4),
    sometimes(_one({"add_user_agent": True}), 6),
    sometimes(_one({"scheme_header_transformation": {"scheme_to_overwrite": "https"}}), 6),
    sometimes(
        _one(
            {"common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"}},
            {"common_http_protocol_options": {"headers_with_underscores_action": "DROP_HEADER"}},
        ),
        5,
    ),
    sometimes(_one({"strip_any_host_port": True}, {"strip_matching_host_port": True}), 5),
    sometimes(_one({"strip_trailing_host_dot": True}), 5),
)
ROUTE: Strategy = merged(
    MATCH.map(lambda found: {"match": {n: v for n, v in found.items() if n != "runtime_fraction"}}),
    st.one_of(FORWARD, FORWARD, FORWARD, DIRECT, REDIRECT),
    MUTATIONS,
    sometimes(DECORATOR, 4),
    sometimes(FILTERS, 4),
).map(sound)
LAST: Strategy = merged(st.just({"match": {"prefix": "/"}}), FORWARD, MUTATIONS)
MORE: tuple[Headers, ...] = (
    (("x-forwarded-for", "10.1.1.1"),),
    (("x-forwarded-for", "8.8.8.8, 10.2.2.2"),),
    (("x-request-id", "own"),),
    (("x_a", "1"),),
    (("x-envoy-internal", "true"), ("x-envoy-max-retries", "3")),
    (("origin", "https://shop.example"),),
    (("origin", "https://shop.example"), ("access-control-request-method", "GET")),
    (("x-envoy-fault-abort-request", "503"),),
    (("via", "1.1 other"), ("user-agent", "own")),
    (("x-forwarded-port", "99"), ("x-forwarded-host", "else")),
)


LATE = ("RESPONSE", "UPSTREAM", "ROUTE_NAME", "GRPC_STATUS", "%RESP")


@st.composite
def case(draw: Any) -> Case:
    """A chain and `EACH` requests to it."""
    domains = draw(st.lists(st.sampled_from(words.DOMAINS), min_size=1, max_size=4, unique=True))
    if "*" not in domains and draw(st.booleans()):
        domains.append("*")
    routes = [*draw(st.lists(ROUTE, min_size=1, max_size=4)), draw(LAST)]
    hosts = [{"name": "one", "domains": domains, "routes": routes, **draw(MUTATIONS)}]
    source = Random(draw(st.integers(0, 2**64 - 1)))
    asked = tuple(_sendable(request(source, hosts), source) for _ in range(EACH))
    table = draw(merged(MUTATIONS, sometimes(st.just({"ignore_port_in_host_matching": True}), 2)))
    return Case(tuple(_plain(each) for each in hosts), asked, _plain(table), draw(MANAGER))


def _plain(value: Any) -> Any:
    """Values are formatted as far as the request alone says what."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    changed = {name: _plain(each) for name, each in value.items()}
    for option in (*changed.get("response_headers_to_add", ()), *changed.get("request_headers_to_add", ())):
        if any(word in option["header"]["value"] for word in LATE):
            option["header"]["value"] = "late"
    return changed


def _sendable(asked: Request, draw: Random) -> Request:
    """Without what a server of HTTP takes for itself; sometimes with headers that the options are about."""
    kept = tuple(pair for pair in asked.headers if pair[0].lower() not in ("upgrade", "connection", "expect"))
    more = draw.choice(MORE) if draw.randrange(2) else ()
    method = "OPTIONS" if any(name == "access-control-request-method" for name, _ in more) else asked.method
    body = b"" if method == "OPTIONS" else asked.body
    if not body:
        kept = tuple(pair for pair in kept if pair[0].lower() != "content-length")
    return Request(method, asked.url, (*kept, *more), body)


def configuration(base: Recording, cases: Sequence[Case]) -> Recording:
    """The recorded listener of incoming requests with a chain for each case."""
    listener = copy.deepcopy(base.listeners["virtualInbound"])
    listener["listener_filters"] = []
    recorded = listener["filter_chains"][-1]
    listener["filter_chains"] = []
    for number, each in enumerate(cases):
        chain = copy.deepcopy(recorded)
        port = FIRST_PORT + number
        chain.update(name=str(port), filter_chain_match={"destination_port": port})
        (manager,) = (found["typed_config"] for found in chain["filters"] if found["name"] == HCM)
        chain["filters"] = [found for found in chain["filters"] if found["name"] == HCM]
        hosts = copy.deepcopy(list(each.hosts))
        manager["route_config"] = {
            "name": str(port),
            "virtual_hosts": hosts,
            "validate_clusters": False,
            **copy.deepcopy(each.table),
        }
        manager.update(copy.deepcopy(each.manager))
        listener["filter_chains"].append(chain)
    made = Recording(listeners={"virtualInbound": listener}, node=base.node)
    made.apply("Cluster", [cluster("a", APP)])
    return made


@dataclass(frozen=True, slots=True)
class Incoming:
    """What the app got (method, target, host, headers), if anything; what the client got, the body if no app's."""

    status: int
    got: tuple[str, str, str, Headers] | None
    answer: Headers
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Found:
    """A request that ends otherwise."""

    case: int
    request: Request
    envoy: Incoming
    ours: Incoming


class Apps:
    """One app, behind a middleware for each port: requests say by their mark which they are for."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._apps: dict[int, Any] = {}
        self.got: dict[str, tuple[str, str, str, Headers]] = {}
        self.through: set[str] = set()
        self._lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """By the mark, to the middleware of its port."""
        if scope["type"] != "http":
            return
        mark = dict(scope["headers"])[MARK.encode()].decode()
        self.through.add(mark)
        port = FIRST_PORT + int(mark.partition(".")[0])
        if port not in self._apps:
            self._apps[port] = proxyless.asgi.Middleware(self._app, self._mesh, port=port)
        await self._apps[port](scope, receive, send)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        said = dict(headers)
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        self.got[said[MARK]] = (scope["method"], target, said.get("host", ""), headers)
        what = parse(said.get("x-backend", ""))[0]
        body = b"body"
        own = [(name.encode(), value.encode()) for name, value in what.headers]
        length = (b"content-length", b"%d" % len(body))
        await send(
            {
                "type": "http.response.start",
                "status": what.status,
                "headers": [(b"content-type", b"application/json"), *own, length],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def marked(cases: Sequence[Case]) -> list[tuple[int, str, Request]]:
    """Every request with the number of its case and the mark it bears."""
    found = []
    numbers = [number for number, each in enumerate(cases) for _ in each.requests]
    for number, (case_number, asked) in enumerate(zip(numbers, requests_of(cases), strict=True)):
        mark = f"{case_number}.{number}"
        found.append((case_number, mark, Request(asked.method, asked.url, (*asked.headers, (MARK, mark)), asked.body)))
    return found


def run(base: Recording, cases: Sequence[Case]) -> tuple[list[list[Answered]], list[Found], int]:
    """Envoy's answers by case, what differs, and how many requests the server itself refused."""
    asked = marked(cases)
    with ExitStack() as stack:
        rig = stack.enter_context(Rig(configuration(base, cases), listener="virtualInbound"))
        mesh = stack.enter_context(mesh_on(rig.recording))
        apps = Apps(mesh)
        server = stack.enter_context(Server(apps))
        sent = [Sent(each.wire(), (POD[0], FIRST_PORT + number), CLIENT, mark=mark) for number, mark, each in asked]
        seen = rig.run(sent)
        answers: list[list[Answered]] = [[] for _ in cases]
        found, refused = [], 0
        for (number, mark, each), theirs in zip(asked, seen, strict=True):
            answers[number].append(Answered(each, from_envoy(each, theirs)))
            response = rawhttp.exchange(server.port, each.wire(), bind=CLIENT[0])
            if mark not in apps.through:
                refused += 1
                continue
            arrived = theirs.arrivals[-1] if theirs.arrivals else None
            got = None if arrived is None else (arrived.method, arrived.target, arrived.authority, arrived.headers)
            one = Incoming(theirs.response.status, _got(got, each), _answer(theirs.response), None)
            other = Incoming(response.status, _got(apps.got.get(mark), each), _answer(response), None)
            if theirs.details not in PROXIED:
                one, other = replace(one, body=theirs.response.body), replace(other, body=response.body)
            if theirs.details in UNROUTED or theirs.details.startswith("http1."):
                one, other = replace(one, answer=()), replace(other, answer=())
            if one != other:
                found.append(Found(number, each, one, other))
    return answers, found, refused


def _without_length(headers: Headers) -> Headers:
    """Where the length stands, and whether a 0 is said, is the business of codecs."""
    return tuple(pair for pair in headers if pair[0] != "content-length")


def _answer(response: rawhttp.Response) -> Headers:
    """What kind of body it is stands in the end: ours is said when all else is."""
    headers = _without_length(answered(response.headers))
    return tuple(sorted(headers, key=lambda pair: pair[0] == "content-type"))


def _got(got: tuple[str, str, str, Headers] | None, asked: Request) -> tuple[str, str, str, Headers] | None:
    return None if got is None else (*got[:3], _without_length(comparable(got[3], asked)))
