"""The global rate limit filter beside Envoy: the same service is asked the same, and its answers do the same."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format

import proxyless.httpx
from proxyless.xds.wire.schema import pool
from tests.differential.custom import cluster, custom, host, route
from tests.differential.decision import answered
from tests.differential.governed import TIMEOUTS, Governed, governed
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.behaviour import Headers
from tests.support.rate_limits import OK, Answer, Asked, RateLimits

pytestmark = pytest.mark.envoy

A = ("127.0.20.1", 80)
NAME = "envoy.filters.http.ratelimit"
KIND = "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3."
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
GRPC: Headers = (("content-type", "application/grpc"), ("te", "trailers"))
ALICE: Headers = (("x-user", "alice"),)
BY_USER: Resource = {"actions": [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"}}]}
FIXED: Resource = {"actions": [{"generic_key": {"descriptor_value": "all"}}]}
BLUE: Resource = {"response_headers_to_add": [{"header": {"key": "x-blue", "value": "1"}}]}


class Served(Recording):
    """A recording with a cluster that is no backend of the rig's."""

    def addresses(self) -> set[tuple[str, int]]:
        return {each for each in super().addresses() if each[0] != "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a request, and what the service was asked."""

    status: int
    flags: str
    body: bytes
    headers: Headers
    arrived: Headers | None
    asked: tuple[Asked, ...]


@pytest.fixture(scope="module")
def service() -> Iterator[RateLimits]:
    with RateLimits() as running:
        yield running


def limited(
    base: Recording, service: RateLimits, fields: Resource, action: Resource, own: Resource, of_host: Resource
) -> Recording:
    """A route behind the filter; `own` and `of_host` are per-route configurations of route and virtual host."""
    http2: Resource = {"explicit_http_config": {"http2_protocol_options": {}}}
    rls = cluster(
        "rls",
        ("127.0.0.1", service.port),
        typed_extension_protocol_options={OPTIONS: {"@type": f"type.googleapis.com/{OPTIONS}", **http2}},
    )
    per_route = {NAME: {"@type": KIND + "RateLimitPerRoute", **own}} if own else {}
    rules = [route({"prefix": "/"}, {"cluster": "a", **action}, typed_per_filter_config=per_route, **BLUE)]
    recording = custom(base, [host(*rules, **of_host)], [cluster("a", A), rls])
    config = {
        "@type": KIND + "RateLimit",
        "domain": "shop",
        "timeout": "2s",
        "rate_limit_service": {
            "grpc_service": {"envoy_grpc": {"cluster_name": "rls"}},
            "transport_api_version": "V3",
        },
        **fields,
    }
    for chain in recording.listeners["0.0.0.0_80"]["filter_chains"]:
        for network in chain["filters"]:
            network["typed_config"]["http_filters"].insert(0, {"name": NAME, "typed_config": config})
    return Served(**{each.name: getattr(recording, each.name) for each in dataclasses.fields(recording)})


def by_envoy(rig: Rig, service: RateLimits, sent: Headers) -> Seen:
    service.take()
    seen = rig.send("POST", "/p?q=1", *sent, settle_s=0.1)
    arrived = arrived_as(seen.arrivals[0].headers) if seen.arrivals else None
    body = b"" if seen.arrivals else seen.response.body
    flags = seen.flags if seen.flags != "-" else ""
    return Seen(seen.response.status, flags, body, told(seen.response.headers, arrived), arrived, tuple(service.take()))


def by_proxyless(client: Governed, service: RateLimits, sent: Headers) -> Seen:
    service.take()
    response, arrivals = client.send(Request("POST", "http://catalog/p?q=1", sent))
    time.sleep(0.1)
    arrived = arrived_as(arrivals[0].headers) if arrivals else None
    raw = tuple((name.decode(), value.decode()) for name, value in response.headers.raw)
    call: Any = response.extensions["proxyless"]
    return Seen(
        response.status_code,
        ",".join(call.flags),
        b"" if arrivals else response.content,
        told(raw, arrived),
        arrived,
        tuple(_as_rig(each) for each in service.take()),
    )


def _as_rig(asked: Asked) -> Asked:
    """What a process of another name than Envoy's asked, in Envoy's name."""
    domain, descriptors = asked
    ours, theirs = ("source_cluster", "frontend.shop"), ("source_cluster", "rig")
    return domain, tuple(
        (tuple(theirs if each == ours else each for each in entries), hits, negative)
        for entries, hits, negative in descriptors
    )


def told(headers: Headers, arrived: Headers | None) -> Headers:
    kept = tuple(answered(headers))
    return kept if arrived is None else tuple(pair for pair in kept if pair[0] != "content-length")


def arrived_as(headers: Headers) -> Headers:
    return tuple((name.lower(), value) for name, value in headers if name.lower().startswith("x-from"))


def both(
    base: Recording,
    service: RateLimits,
    sent: list[Headers],
    *,
    said: Any = None,
    fields: Resource | None = None,
    action: Resource | None = None,
    own: Resource | None = None,
    of_host: Resource | None = None,
) -> list[Seen]:
    """The same requests through Envoy and through httpx; what came of them, which is the same."""
    envoy.require()
    service.answer = said or (lambda query: OK)
    recording = limited(base, service, fields or {}, action or {"rate_limits": [FIXED]}, own or {}, of_host or {})
    found = []
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh, governed(mesh, rig.backends) as client:
        for each in sent:
            theirs = by_envoy(rig, service, each)
            ours = by_proxyless(client, service, each)
            assert ours == theirs
            found.append(ours)
    return found


def answer(**fields: Any) -> Any:
    """A RateLimitResponse from its JSON."""
    return json_format.ParseDict(fields, Answer(), descriptor_pool=pool())


OVER = answer(overall_code="OVER_LIMIT")
STATUSES: list[Resource] = [
    {"code": "OK", "current_limit": {"name": "n", "unit": "MINUTE", "requests_per_unit": 10}, "limit_remaining": 7},
    {
        "code": "OVER_LIMIT",
        "current_limit": {"requests_per_unit": 3, "unit": "WEEK"},
        "duration_until_reset": "5s",
    },
    {"code": "OK"},
]
HEADERS: Resource = {
    "response_headers_to_add": [{"key": "X-From-Service", "value": "r"}],
    "request_headers_to_add": [{"key": "x-from-service", "value": "q"}, {"key": "x-from-service", "value": "q2"}],
}
RICH = answer(overall_code="OVER_LIMIT", statuses=STATUSES, raw_body="c2xvdyBkb3du", **HEADERS)


def late(query: Any) -> Any:
    del query
    time.sleep(0.6)
    return OVER


ANSWERS: dict[str, Any] = {
    "ok": answer(overall_code="OK"),
    "over": OVER,
    "unknown": answer(),
    "over, rich": RICH,
    "ok, rich": answer(overall_code="OK", statuses=STATUSES, **HEADERS),
    "an error": lambda query: grpc.StatusCode.UNAVAILABLE,
    "too late": late,
}
SETTINGS: dict[str, Resource] = {
    "plain": {"timeout": "0.3s"},
    "everything else": {
        "timeout": "0.3s",
        "failure_mode_deny": True,
        "rate_limited_as_resource_exhausted": True,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "disable_x_envoy_ratelimited_header": True,
        "rate_limited_status": {"code": "ServiceUnavailable"},
        "status_on_error": {"code": "BadGateway"},
        "response_headers_to_add": [{"header": {"key": "x-slow", "value": "%REQ(x-user)%"}}],
    },
    "not enforced": {"filter_enforced": {"default_value": {"numerator": 0}}, "enable_x_ratelimit_headers": 1},
    "not enabled": {"filter_enabled": {"default_value": {"numerator": 0}}},
    "internal": {"request_type": "internal"},
    "external": {"request_type": "external"},
    "denies by share": {"timeout": "0.3s", "failure_mode_deny_percent": {"default_value": {"numerator": 100}}},
    "status below 400": {"rate_limited_status": {"code": "OK"}, "status_on_error": {"code": "OK"}},
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_answer_does_the_same_with_each_setting(frontend: Recording, service: RateLimits, setting: str) -> None:
    envoy.require()
    now: dict[str, Any] = {}

    def current(query: Any) -> Any:
        return now["answer"](query) if callable(now["answer"]) else now["answer"]

    recording = limited(frontend, service, SETTINGS[setting], {"rate_limits": [FIXED]}, {}, {})
    service.answer = current
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh, governed(mesh, rig.backends) as client:
        for label, each in ANSWERS.items():
            now["answer"] = each
            for sent in (ALICE, GRPC):
                assert by_proxyless(client, service, sent) == by_envoy(rig, service, sent), (label, sent)


WITHIN: Resource = {"address_matcher": {"ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}}
ELSEWHERE: Resource = {"address_matcher": {"ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}}

ACTIONS: dict[str, Resource] = {
    "generic": FIXED,
    "header": BY_USER,
    "source and destination": {"actions": [{"source_cluster": {}}, {"destination_cluster": {}}]},
    "remote address": {"actions": [{"remote_address": {}}]},
    "masked address": {"actions": [{"masked_remote_address": {"v4_prefix_mask_len": 8}}]},
    "address within": {"actions": [{"remote_address_match": {**WITHIN, "descriptor_value": "v"}}]},
    "address within, keyed": {
        "actions": [{"remote_address_match": {**WITHIN, "descriptor_value": "v", "descriptor_key": "k"}}]
    },
    "address elsewhere": {"actions": [{"remote_address_match": {**ELSEWHERE, "descriptor_value": "v"}}]},
    "address not elsewhere": {
        "actions": [
            {
                "remote_address_match": {
                    "address_matcher": {**ELSEWHERE["address_matcher"], "invert_match": True},
                    "descriptor_value": "v",
                }
            }
        ]
    },
    "query": {"actions": [{"query_parameters": {"query_parameter_name": "q", "descriptor_key": "k"}}]},
    "metadata of the route": {
        "actions": [
            {
                "metadata": {
                    "descriptor_key": "m",
                    "metadata_key": {"key": "ns", "path": [{"key": "a"}, {"key": "b"}]},
                    "source": "ROUTE_ENTRY",
                }
            }
        ]
    },
    "metadata that is not there": {
        "actions": [
            {"metadata": {"descriptor_key": "m", "metadata_key": {"key": "no", "path": [{"key": "a"}]}}},
        ]
    },
    "metadata by default": {
        "actions": [
            {
                "metadata": {
                    "descriptor_key": "m",
                    "metadata_key": {"key": "no", "path": [{"key": "a"}]},
                    "default_value": "d",
                }
            }
        ]
    },
    "metadata skipped": {
        "actions": [
            {
                "metadata": {
                    "descriptor_key": "m",
                    "metadata_key": {"key": "no", "path": [{"key": "a"}]},
                    "skip_if_absent": True,
                }
            },
            {"generic_key": {"descriptor_value": "v"}},
        ]
    },
    "another stage": {"stage": 1, **FIXED},
    "a key to disable": {"disable_key": "k", **FIXED},
    "when done": {"apply_on_stream_done": True, **FIXED},
}


@pytest.mark.parametrize("label", ACTIONS)
def test_the_service_is_asked_the_same(frontend: Recording, service: RateLimits, label: str) -> None:
    action = {"rate_limits": [ACTIONS[label], BY_USER]}
    both(frontend, service, [(), ALICE], action=action)


def fitting(query: Any) -> Any:
    """An answer that says something of each descriptor."""
    return answer(overall_code="OK", statuses=STATUSES[: len(query.descriptors)])


PLACES: dict[str, dict[str, Resource]] = {
    "of the host": {"action": {}, "of_host": {"rate_limits": [FIXED]}},
    "of the host, hidden by the route": {"action": {"rate_limits": [BY_USER]}, "of_host": {"rate_limits": [FIXED]}},
    "of both": {
        "action": {"rate_limits": [BY_USER], "include_vh_rate_limits": True},
        "of_host": {"rate_limits": [FIXED]},
    },
    "included by the filter": {
        "action": {"rate_limits": [BY_USER]},
        "of_host": {"rate_limits": [FIXED]},
        "own": {"vh_rate_limits": "INCLUDE"},
    },
    "ignored by the filter": {"action": {}, "of_host": {"rate_limits": [FIXED]}, "own": {"vh_rate_limits": "IGNORE"}},
    "an option that Envoy does not look at": {
        "action": {"rate_limits": [BY_USER]},
        "of_host": {"rate_limits": [FIXED]},
        "own": {"vh_rate_limits": "IGNORE", "override_option": "INCLUDE_POLICY"},
    },
    "of a domain of its own": {"action": {"rate_limits": [FIXED]}, "own": {"domain": "other"}},
    "of the filter's own configuration": {
        "action": {"rate_limits": [BY_USER]},
        "of_host": {"rate_limits": [BY_USER]},
        "own": {"rate_limits": [{**FIXED, "hits_addend": {"number": 3}}]},
    },
    "of the filter itself": {
        "action": {"rate_limits": [BY_USER]},
        "fields": {"rate_limits": [{**FIXED, "hits_addend": {"number": 3, "is_negative_hits": True}}]},
    },
    "of the filter itself and of the route": {
        "fields": {"rate_limits": [FIXED]},
        "own": {"rate_limits": [{**BY_USER, "x_ratelimit_option": "DRAFT_VERSION_03"}]},
    },
}


@pytest.mark.parametrize("label", PLACES)
def test_limits_of_each_place_count_the_same(frontend: Recording, service: RateLimits, label: str) -> None:
    both(frontend, service, [(), ALICE], said=fitting, **PLACES[label])


def test_a_missing_service_is_as_an_error(frontend: Recording, service: RateLimits) -> None:
    fields = {
        "failure_mode_deny": True,
        "rate_limit_service": {
            "grpc_service": {"envoy_grpc": {"cluster_name": "nowhere"}},
            "transport_api_version": "V3",
        },
    }
    seen = both(frontend, service, [()], fields=fields)
    assert (seen[0].status, seen[0].flags) == (500, "RLSE")


def test_tasks_ask_too(frontend: Recording, service: RateLimits) -> None:
    envoy.require()
    service.answer = lambda query: OVER
    recording = limited(frontend, service, {}, {"rate_limits": [FIXED]}, {}, {})
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh:

        async def run() -> list[int]:
            async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=TIMEOUTS) as client:
                return [r.status_code for r in await asyncio.gather(*(client.get("http://catalog/") for _ in range(8)))]

        assert asyncio.run(run()) == [429] * 8
