"""The local rate limit filter: its bucket, its answer, its descriptors, its switches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import answer
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Observation, Rig, Sent
from tests.support import rawhttp

TYPE = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
NAME = "envoy.filters.http.local_ratelimit"
ALWAYS: Resource = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
NEVER: Resource = {"default_value": {"numerator": 0, "denominator": "HUNDRED"}}
BUCKET: Resource = {"max_tokens": 2, "tokens_per_fill": 1, "fill_interval": "0.5s"}
ON: Resource = {"filter_enabled": ALWAYS, "filter_enforced": ALWAYS}
ALICE: Resource = {
    "entries": [{"key": "user", "value": "alice"}],
    "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "60s"},
}
ANYONE: Resource = {
    "entries": [{"key": "user"}],
    "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "60s"},
}
BY_USER: Resource = {"actions": [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"}}]}

FILTERS: dict[str, Resource] = {
    "bucket 2, 1 token each 0.5 s": {"token_bucket": BUCKET, **ON},
    "not enforced": {"token_bucket": BUCKET, "filter_enabled": ALWAYS, "filter_enforced": NEVER},
    "filter_enabled, filter_enforced absent": {"token_bucket": BUCKET},
    "filter_enabled only": {"token_bucket": BUCKET, "filter_enabled": ALWAYS},
    "no bucket": {**ON},
    "status 503, header": {
        "token_bucket": BUCKET,
        **ON,
        "status": {"code": "ServiceUnavailable"},
        "response_headers_to_add": [{"header": {"key": "x-limited", "value": "yes"}}],
    },
    "status 200 (below 400)": {"token_bucket": BUCKET, **ON, "status": {"code": "OK"}},
    "x-ratelimit headers": {"token_bucket": BUCKET, **ON, "enable_x_ratelimit_headers": "DRAFT_VERSION_03"},
    "request_headers_to_add_when_not_enforced": {
        "token_bucket": BUCKET,
        "filter_enabled": ALWAYS,
        "filter_enforced": NEVER,
        "request_headers_to_add_when_not_enforced": [{"header": {"key": "x-over", "value": "1"}}],
    },
}


def _limited(recording: Recording, fields: Resource) -> Recording:
    """The recording with the filter put first in the outbound chain."""
    for chain in recording.listeners["0.0.0.0_80"]["filter_chains"]:
        for network in chain["filters"]:
            config = {"@type": TYPE, "stat_prefix": "x", **fields}
            network["typed_config"]["http_filters"].insert(0, {"name": NAME, "typed_config": config})
    return recording


def _burst(rig: Rig, count: int, *headers: tuple[str, str], pause_s: float = 0.0, **where: Any) -> str:
    shown = []
    for _ in range(count):
        seen = rig.send("GET", "/", *headers, **where)
        shown.append(f"{seen.response.status}{'' if seen.flags in ('', '-') else ' ' + seen.flags}")
        time.sleep(pause_s)
    return ", ".join(shown)


def run(base: Recording) -> Iterator[str]:
    """Each line: the filter, then statuses of calls one after another, then a refusal in full."""
    a = cluster("a", ("127.0.20.1", 80))
    for label, fields in FILTERS.items():
        try:
            with Rig(_limited(custom(base, [host(route({"prefix": "/"}, "a"))], [a]), fields)) as rig:
                first = _burst(rig, 4)
                seen = rig.send()
                arrived = [h for x in seen.arrivals for h in x.headers if h[0] == "x-over"]
                time.sleep(1.1)
                yield f"{label}: {first}; then {answer(seen)} {arrived or ''}; after 1.1 s {_burst(rig, 4)}"
                if "bucket 2" in label:
                    data = rawhttp.request("GET", "/", (("host", "x"), ("content-type", "application/grpc")))
                    rig.run([Sent(data)] * 4)
                    yield f"    gRPC: {answer(rig.run([Sent(data)])[0])}"
        except Exception as error:
            yield f"{label}: refused: {error}"
    yield from _descriptors(base, a)
    yield from _recorded()


def _descriptors(base: Recording, a: Resource) -> Iterator[str]:
    wide = {"max_tokens": 5, "tokens_per_fill": 5, "fill_interval": "60s"}
    for label, descriptors, more in (
        ("alice 1, default bucket 5", [ALICE], {}),
        ("alice 1, default bucket 5 not always consumed", [ALICE], {"always_consume_default_token_bucket": False}),
        ("any user 1 (entry without value), default bucket 5", [ANYONE], {}),
    ):
        config = {"@type": TYPE, "stat_prefix": "x", "token_bucket": wide, "descriptors": descriptors, **ON, **more}
        rule = route(
            {"prefix": "/"}, {"cluster": "a", "rate_limits": [BY_USER]}, typed_per_filter_config={NAME: config}
        )
        try:
            with Rig(_limited(custom(base, [host(rule)], [a]), {})) as rig:
                for user in ("alice", "bob", "bob", "alice", ""):
                    sent = (("x-user", user),) if user else ()
                    yield f"{label}: {user or 'nobody'} {_burst(rig, 2, *sent)}"
        except Exception as error:
            yield f"{label}: refused: {error}"


def _recorded() -> Iterator[str]:
    folder = Path(__file__).parents[2] / "recorded" / "shop" / "xds"
    payment = Recording.load(folder / "payment")
    with Rig(payment, listener="virtualInbound") as rig:
        to = ("127.0.14.1", 8080)
        seen: list[Observation] = [rig.send("GET", "/healthz", host="payment", to=to) for _ in range(7)]
        yield f"payment inbound: {[o.response.status for o in seen]}; {answer(seen[-1])}"
        yield f"payment inbound, first: {answer(seen[0])}"
    frontend = Recording.load(folder / "frontend")
    with Rig(frontend, listener="virtualInbound") as rig:
        to = ("127.0.10.1", 8080)
        for user in ("alice", "bob"):
            yield f"frontend inbound, {user}: {_burst(rig, 4, ('x-user', user), host='frontend', to=to)}"
        seen = [rig.send("GET", "/", ("x-user", "alice"), host="frontend", to=to)]
        yield f"frontend inbound, alice: {answer(seen[0])}"
        other = rig.send("GET", "/", ("x-user", "alice"), host="frontend", to=("127.0.10.1", 9999))
        yield f"frontend inbound, undeclared port 9999: {answer(other, body=False)} {(other.log or {}).get('route_id')}"
