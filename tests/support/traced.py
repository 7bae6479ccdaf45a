"""A mesh whose spans a test looks at: whom it traces is up to its configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from proxyless.governance.forwarding import Workload
from proxyless.governance.passing import PASSTHROUGH
from proxyless.governance.runtime import Options
from proxyless.xds.model.route import BackOff, RetryPolicy
from proxyless.xds.model.tracing import Sampling, Tracer, Tracing
from proxyless.xds.model.values import Fraction
from tests.support.model import chain, cluster, listener, manager, route, table, vhost
from tests.support.spans import FakeSpans
from tests.support.world import World

W3C, B3 = Tracing(tracer=Tracer(w3c=True)), Tracing(tracer=Tracer(b3=True))
NEVER = Sampling(random=Fraction(0))
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
AGAIN = RetryPolicy(retry_on=("5xx", "connect-failure", "reset"), num_retries=1, back_off=BackOff(0.1, 0.1))


def world(managed: Tracing, *, options: Options = Options(), **fields: Any) -> World:
    """`fields` are the route's."""
    routes = table(vhost(route("/", **{"to": "a", "timeout_s": None, **fields})))
    made = World(
        tables=[routes],
        listeners=[
            listener("0.0.0.0_80", chain(manager("80", tracing=managed))),
            listener("virtualInbound", chain(manager(routes, tracing=managed))),
        ],
        clusters=[cluster("a", "10.0.0.1:80"), cluster(PASSTHROUGH)],
        options=replace(options, workload=Workload("10.9.9.9", "me", "web.shop", zone="z")),
    )
    made.runtime.spans = FakeSpans()
    return made


def spans(made: World) -> FakeSpans:
    found = made.runtime.spans
    assert isinstance(found, FakeSpans)
    return found


def told(run: Any, *names: str) -> list[dict[str, str]]:
    """Headers of each try by name."""
    return [
        {name.decode(): value.decode() for name, value in each.headers if name.decode() in names} for each in run.sent()
    ]


def id_of(run: Any) -> str:
    return told(run, "x-request-id")[0]["x-request-id"]


def request_id(draw: int, digit: str = "4") -> tuple[str, str]:
    return "x-request-id", f"{draw:08x}-1111-{digit}222-8333-444455556666"
