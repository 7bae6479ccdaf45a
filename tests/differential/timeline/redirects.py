"""Redirects that are followed inside the mesh: each case has a backend that redirects, and one that is gone to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.differential.case import Case
from tests.differential.custom import cluster, host, route
from tests.differential.recording import Resource
from tests.differential.requests import Request
from tests.differential.timeline.cases import ANY, backends
from tests.differential.timeline.script import Act
from tests.support.behaviour import Headers

FIRST = 20
"""The number of the first case's backends."""

GAP_S = 0.3
KIND = "envoy.extensions.internal_redirect."
CASE = "http://case.test"


def predicate(kind: str, **fields: object) -> Resource:
    """An internal redirect predicate."""
    return {"name": kind, "typed_config": {"@type": f"type.googleapis.com/{KIND}{kind}", **fields}}


PREVIOUS = predicate("previous_routes.v3.PreviousRoutesConfig")
SAFE = predicate("safe_cross_scheme.v3.SafeCrossSchemeConfig")


def listed(*names: str) -> Resource:
    """Only these routes may be gone to."""
    return predicate("allow_listed_routes.v3.AllowListedRoutesConfig", allowed_route_names=list(names))


class Made:
    """Cases as they are added, each with backends of its own."""

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}

    def add(
        self,
        name: str,
        policy: Resource,
        answers: Sequence[str],
        *,
        method: str = "GET",
        path: str = "/",
        headers: Headers = (),
        body: bytes = b"",
        action: Resource | None = None,
        then: Sequence[str] = (),
        count: int = 1,
    ) -> None:
        """`answers` are those of the first backend, one after the other, `then` those of the second; 200 after them.

        `/other` goes to the second, `/direct` nowhere, `/host` to the second of another virtual host.
        """
        number = len(self.cases)
        label = f"redirect-{number}"
        first, second = backends(FIRST + number, 2)
        added = [{"header": {"key": "x-added", "value": "%REQ(:PATH)%"}}]
        seen = [{"header": {"key": "x-answer", "value": "%REQ(:PATH)% %RESPONSE_CODE%"}}]
        rest = {"cluster": label, "timeout": "5s", "internal_redirect_policy": policy, **(action or {})}
        main = host(
            route({"prefix": "/other"}, f"{label}-other", name="other", request_headers_to_add=added),
            {"match": {"prefix": "/direct"}, "direct_response": {"status": 418}},
            route(ANY, rest, name="rest", request_headers_to_add=added),
            domains=("case.test", "case.test:80"),
            include_request_attempt_count=True,
            response_headers_to_add=seen,
        )
        other = host(route({"prefix": "/host"}, {"cluster": f"{label}-other"}), domains=("other.test",))
        sent = (("content-length", str(len(body))), *headers) if body else headers
        asked = Request(method, CASE + path, sent, body)
        acts = [
            Act(backend, what, first=at, last=at)
            for backend, plan in ((first, answers), (second, then))
            for at, what in enumerate(plan)
        ]
        clusters = (cluster(label, first), cluster(f"{label}-other", second))
        requests = tuple(replace(asked, at_s=each * GAP_S) for each in range(count))
        self.cases[name] = Case((main, other), requests, clusters=clusters, backends=tuple(acts))


def to(url: str, status: int = 302, **headers: str) -> str:
    """What a backend does that redirects."""
    more = "".join(f";{name.replace('_', '-')}={value}" for name, value in headers.items())
    return f"status={status};location={url}{more}"


def redirects() -> dict[str, Case]:
    """Which are followed, where they go, and what is sent there."""
    made = Made()
    there = to(f"{CASE}/other?q=1")
    every: Resource = {"redirect_response_codes": [301, 302, 303, 307, 308]}
    cross: Resource = {"allow_cross_scheme_redirect": True}
    made.add("to another route", {}, [there], headers=(("x-own", "1"), ("cookie", "a=1")))
    made.add("to a route that answers itself", {}, [to(f"{CASE}/direct")])
    made.add("to another virtual host", {}, [to("http://other.test/host")])
    made.add("to a host that has no route", {}, [to("http://nobody.test/")])
    made.add("to a relative place", {}, [to("/other")])
    made.add("with a port and a fragment", {}, [to(f"{CASE}:80/other#part")])
    made.add("without a location", {}, ["status=302"])
    made.add("of a status that is not listed", {}, [to(f"{CASE}/other", 301)])
    made.add("of a status that is not for it", {"redirect_response_codes": [300]}, [to(f"{CASE}/other", 300)])
    for status in (301, 307, 308):
        made.add(f"a POST by {status}", every, [to(f"{CASE}/other", status)], method="POST", body=b"body")
    made.add("a POST by 303 becomes a GET", every, [to(f"{CASE}/other", 303)], method="POST", body=b"body")
    made.add("a HEAD by 303 stays one", every, [to(f"{CASE}/other", 303)], method="HEAD")
    made.add("a PUT without a body by 303", every, [to(f"{CASE}/other", 303)], method="PUT")
    made.add("no more than one", {}, [to(f"{CASE}/a"), to(f"{CASE}/b")])
    made.add("no more than two", {"max_internal_redirects": 2}, [to(f"{CASE}/{each}") for each in "abc"])
    made.add("none at all", {"max_internal_redirects": 0}, [there])
    made.add("no policy", {}, [there], action={"internal_redirect_policy": None})
    made.add("to https", {}, [to("https://case.test/other")])
    made.add("to https, allowed", cross, [to("https://case.test/other")])
    made.add("to https, not thought safe", {**cross, "predicates": [SAFE]}, [to("https://case.test/other")])
    made.add("to http, thought safe", {**cross, "predicates": [SAFE]}, [there])
    made.add("from https to http", cross, [there], headers=(("x-forwarded-proto", "https"),))
    made.add("to a route that is listed", {"predicates": [listed("other")]}, [there])
    made.add("to a route that is not listed", {"predicates": [listed("rest")]}, [there])
    several = {"max_internal_redirects": 5}
    made.add(
        "not to a route that had it before",
        {**several, "predicates": [PREVIOUS]},
        [to(f"{CASE}/a"), to(f"{CASE}/b"), there],
        count=2,
    )
    made.add("back and forth", several, [to(f"{CASE}/a"), to(f"{CASE}/b"), there], count=2)
    made.add(
        "headers that are copied",
        {"response_headers_to_copy": ["x-copied", "x-gone"]},
        [to(f"{CASE}/other", x_copied="new", x_kept="1")],
        headers=(("x-copied", "old"), ("x-gone", "1")),
    )
    made.add("a path that is no longer plain", {}, [to(f"{CASE}/other/../a//b?x")])
    made.add("a path that was rewritten", {}, [there], path="/was", action={"prefix_rewrite": "/is"})
    again: Resource = {"retry_on": "5xx", "num_retries": 1, "retry_back_off": {"base_interval": "0.002s"}}
    made.add("after a retry", {}, ["status=503", there], action={"retry_policy": again})
    made.add(
        "a redirect that is retried",
        {},
        [there],
        action={"retry_policy": {**again, "retry_on": "retriable-status-codes", "retriable_status_codes": [302]}},
    )
    made.add("to a backend that fails", {}, [there], then=["fault=reset"], action={"retry_policy": again})
    return made.cases
