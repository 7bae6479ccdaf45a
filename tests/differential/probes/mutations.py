"""Header mutations: which level comes first, what the append actions do, what may not be touched, what a formatter
says.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import answer, headers
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

LEVELS = ("table", "host", "route", "weighted")
ACTIONS = (
    "APPEND_IF_EXISTS_OR_ADD",
    "ADD_IF_ABSENT",
    "OVERWRITE_IF_EXISTS_OR_ADD",
    "OVERWRITE_IF_EXISTS",
)
GENERATED = ("x-forwarded-proto", "x-envoy-expected-rq-timeout-ms", "x-envoy-decorator-operation")
FORMATS = (
    "%REQ(X-A)% %REQ(x-none)% %REQ(x-none?x-a)% %REQ(X-A):2% %RESPONSE_CODE% %PROTOCOL% %ROUTE_NAME% "
    "%UPSTREAM_CLUSTER% %UPSTREAM_HOST% %DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% "
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT% %REQ(:path)% %REQ(:method)% %REQ(:authority)% "
    "%PATH(WQ:ORIG)% 100%% text %HOSTNAME% %REQUESTED_SERVER_NAME% %VIRTUAL_CLUSTER_NAME% "
    "%UPSTREAM_METADATA(a:b)% %DYNAMIC_METADATA(a:b)% %RESPONSE_FLAGS%"
)


def add(key: str, value: str, action: str = "", **fields: object) -> Resource:
    """A HeaderValueOption."""
    option: Resource = {"header": {"key": key, "value": value}, **fields}
    if action:
        option["append_action"] = action
    return option


def _level(name: str, action: str) -> Resource:
    """Mutations of one level: its own header, and one that every level sets."""
    return {
        "request_headers_to_add": [add(f"x-{name}", "1"), add("x-all", name, action)],
        "response_headers_to_add": [add(f"x-{name}", "1"), add("x-all", name, action)],
    }


def levels(action: str, *, specific_wins: bool) -> tuple[list[Resource], Resource]:
    weighted = {"clusters": [{"name": "a", "weight": 1, **_level("weighted", action)}]}
    rule = route({"prefix": "/"}, {"weighted_clusters": weighted}, **_level("route", action))
    return [host(rule, **_level("host", action))], {
        **_level("table", action),
        "most_specific_header_mutations_wins": specific_wins,
    }


def run(base: Recording) -> Iterator[str]:
    """Each line: the configuration, then request headers as they arrived and response headers as they came back."""
    hidden = {
        *GENERATED,
        "host",
        "x-request-id",
        "x-backend",
        "x-envoy-attempt-count",
        "content-type",
        "content-length",
    }
    a = cluster("a", ("127.0.20.1", 80))
    for action in ACTIONS:
        for specific in (False, True):
            hosts, table = levels(action, specific_wins=specific)
            with Rig(custom(base, hosts, [a], **table)) as rig:
                for sent in ((), (("x-all", "client"),)):
                    seen = rig.send("GET", "/", *sent, ("x-backend", "x-all=backend" if sent else "status=200"))
                    yield (
                        f"{action} most_specific_wins={specific} with x-all={'yes' if sent else 'no'}: "
                        f"request {headers(seen.arrivals[0].headers, without=hidden)} ## "
                        f"response {headers(seen.response.headers, without={*hidden, 'date', 'server'})}"
                    )
    yield from _rules(base, a)
    yield from _formats(base, a)


RULES: dict[str, Resource] = {
    "default action, present": {"request_headers_to_add": [add("x-a", "2")]},
    "append: false (deprecated)": {"request_headers_to_add": [add("x-a", "2", append=False)]},
    "overwrite one of two": {"request_headers_to_add": [add("x-d", "9", "OVERWRITE_IF_EXISTS_OR_ADD")]},
    "append inline header": {"request_headers_to_add": [add("user-agent", "2")]},
    "append accept": {"request_headers_to_add": [add("accept", "2")]},
    "empty value": {"request_headers_to_add": [add("x-new", "")]},
    "empty value kept": {"request_headers_to_add": [add("x-new", "", keep_empty_value=True)]},
    "format to nothing": {"request_headers_to_add": [add("x-new", "%REQ(x-none)%")]},
    "format to nothing kept": {"request_headers_to_add": [add("x-new", "%REQ(x-none)%", keep_empty_value=True)]},
    "overwrite with nothing": {"request_headers_to_add": [add("x-a", "%REQ(x-none)%", "OVERWRITE_IF_EXISTS_OR_ADD")]},
    "remove": {"request_headers_to_remove": ["x-a", "X-D", "user-agent"]},
    "remove then add": {"request_headers_to_add": [add("x-a", "2")], "request_headers_to_remove": ["x-a"]},
    "two adds of one": {"request_headers_to_add": [add("x-new", "1"), add("x-new", "2")]},
    "upper-case key": {"request_headers_to_add": [add("X-New", "Aa")]},
    "x-envoy-attempt-count": {"request_headers_to_add": [add("x-envoy-attempt-count", "7")]},
    "x-request-id": {"request_headers_to_add": [add("x-request-id", "7", "OVERWRITE_IF_EXISTS_OR_ADD")]},
    "host": {"request_headers_to_add": [add("host", "other")]},
    "host overwrite": {"request_headers_to_add": [add("host", "other", "OVERWRITE_IF_EXISTS_OR_ADD")]},
    ":path": {"request_headers_to_add": [add(":path", "/other", "OVERWRITE_IF_EXISTS_OR_ADD")]},
    ":authority": {"request_headers_to_add": [add(":authority", "other", "OVERWRITE_IF_EXISTS_OR_ADD")]},
    "remove host": {"request_headers_to_remove": ["host"]},
    "remove :path": {"request_headers_to_remove": [":path"]},
    "connection": {"request_headers_to_add": [add("connection", "close")]},
    "content-length": {"request_headers_to_add": [add("content-length", "3")]},
}


def _rules(base: Recording, a: Resource) -> Iterator[str]:
    sent = (("x-a", "1"), ("user-agent", "1"), ("accept", "1"), ("x-d", "1"), ("x-e", "5"), ("x-d", "2"))
    for label, fields in RULES.items():
        rule = route({"prefix": "/"}, "a", **fields)
        try:
            with Rig(custom(base, [host(rule, include_request_attempt_count=True)], [a])) as rig:
                seen = rig.send("GET", "/", *sent)
                arrived = headers(seen.arrivals[0].headers, without=GENERATED) if seen.arrivals else answer(seen)
                yield f"{label}: {arrived}"
        except Exception as error:
            yield f"{label}: refused: {error}"


def _formats(base: Recording, a: Resource) -> Iterator[str]:
    options = [add(f"x-f{i:02}", f"<{f}>") for i, f in enumerate(FORMATS.split())]
    rule = route(
        {"prefix": "/p"}, {"cluster": "a", "prefix_rewrite": "/q"}, name="rule", response_headers_to_add=options
    )
    rule["request_headers_to_add"] = options
    with Rig(custom(base, [host(rule)], [a])) as rig:
        seen = rig.send("GET", "/p?x=1", ("x-a", "abc"))
        for index, text in enumerate(FORMATS.split()):
            name = f"x-f{index:02}"
            yield f"format {text}: request {seen.arrivals[0].header(name)!r} response {seen.response.header(name)!r}"
