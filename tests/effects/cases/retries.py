"""When an attempt is tried again (envoy.config.route.v3.RetryPolicy)."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Failure, Head, Send

from ..registry import Effect, effect
from ..resources import Json, Shop, endpoint, extension, locality, shop, typed
from ..scene import Scene
from ..seeing import drive, explained, refusals, tried

RETRY = "envoy.config.route.v3.RetryPolicy."
PREVIOUS = extension("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", "previous")


def retrying(**fields: Any) -> Shop:
    """A route that retries 5xx if it does not say otherwise."""
    return shop(action={"retry_policy": {"retry_on": "5xx", **fields}})


def slept(scene: Scene) -> list[float]:
    """How long a call that is tried again and again waits in between."""
    return drive(scene, [503] * 9).slept


def where(scene: Scene) -> list[list[str]]:
    """The endpoints that calls whose first try fails go to, one after the other."""
    return [drive(scene, [503, 200]).hosts for _ in range(8)]


def told(scene: Scene) -> list[list[bytes]]:
    """What each try says of the one before."""
    sent = drive(scene, [Failure("timeout", ""), 503, 200]).sent()
    return [[value for name, value in each.headers if name == b"x-envoy-is-timeout-retry"] for each in sent]


def limit_of_a_try(scene: Scene) -> float | None:
    """How long the first try may take."""
    deadline = drive(scene, [200]).sent()[0].deadline
    return None if deadline is None else round(deadline - scene.world.clock(), 3)


TOLD: Json = {"retry_on": "retriable-headers", "retriable_headers": [{"name": "again", "present_match": True}]}
HOST = "envoy.config.route.v3.VirtualHost."
TELLING = shop(
    action={"retry_policy": {"retry_on": "5xx", "num_retries": 2, "per_try_timeout": "1s"}},
    host_fields={"include_is_timeout_retry_header": True},
)
SLOW = retrying(num_retries=4, retry_back_off={"base_interval": "1s", "max_interval": "2s"})

ELSEWHERE = shop(
    action={
        "retry_policy": {
            "retry_on": "5xx",
            "retry_host_predicate": [PREVIOUS],
            "host_selection_retry_max_attempts": 50,
        }
    },
    cluster_fields={"lb_policy": "RANDOM"},
)

RANDOM: Json = {"lb_policy": "RANDOM"}
GATED = retrying(retriable_request_headers=[{"name": "x-again", "present_match": True}])
ASKED = retrying(
    num_retries=2,
    rate_limited_retry_back_off={
        "reset_headers": [{"name": "retry-after"}, {"name": "reset", "format": "UNIX_TIMESTAMP"}],
        "max_interval": "10s",
    },
)
OMIT_METADATA = "envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig"
PRIORITIES = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
FIRST, SECOND = "10.0.0.1:80", "10.0.0.2:80"
LEVELS = [locality(endpoint("10.0.0.1")), locality(endpoint("10.0.0.2"), priority=1)]
TWO_LEVELS = shop(action={"retry_policy": {"retry_on": "5xx"}}, endpoints=LEVELS)
SPILLING = shop(
    action={"retry_policy": {"retry_on": "5xx", "retry_priority": extension(PRIORITIES, "p", update_frequency=1)}},
    endpoints=LEVELS,
)
STAGE: Json = {"filter_metadata": {"envoy.lb": {"stage": "test"}}}
OMITTING = shop(
    action={
        "retry_policy": {
            "retry_on": "5xx",
            "retry_host_predicate": [extension(OMIT_METADATA, "omit", metadata_match=STAGE)],
            "host_selection_retry_max_attempts": 50,
        }
    },
    cluster_fields=RANDOM,
    endpoints=[endpoint("10.0.0.1", metadata=STAGE), endpoint("10.0.0.2")],
)


def options(**fields: Any) -> Json:
    """HttpProtocolOptions over HTTP/1.1."""
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    own = typed(kind, explicit_http_config={"http_protocol_options": {}}, **fields)
    return {"typed_extension_protocol_options": {kind: own}}


def paused(scene: Scene) -> list[float]:
    """How long a call waits whose tries ask for three seconds, and for a moment seven seconds from now or a minute."""
    now = int(scene.world.runtime.wall())
    asks: list[list[tuple[bytes, bytes]]] = [
        [(b"retry-after", b"3")],
        [(b"retry-after", b"60"), (b"reset", b"%d" % (now + 7))],
    ]
    steps = scene.world.steps("http://shop/a")
    for headers in asks:
        steps.until(Send)
        scene.world.draws.give(0.0)
        steps.answer(Head(503, headers, None))
    steps.until(Send)
    return steps.slept


CASES: list[Effect] = [
    effect(RETRY + "retry_options_predicates", retrying(retry_options_predicates=[PREVIOUS]), refusals),
    effect("envoy.config.route.v3.RouteAction.retry_policy", retrying(), tried([503, 200]), (2, 200, "-")),
    effect(RETRY + "retry_on", retrying(), tried([503, 200]), (2, 200, "-")),
    effect(RETRY + "num_retries", retrying(num_retries=3), tried([503] * 9), (4, 503, "URX")),
    effect(RETRY + "per_try_timeout", retrying(per_try_timeout="2s"), limit_of_a_try, 2.0),
    effect(
        RETRY + "retriable_status_codes",
        retrying(retry_on="retriable-status-codes", retriable_status_codes=[418]),
        tried([418, 200]),
        (2, 200, "-"),
    ),
    effect(
        RETRY + "retriable_headers", retrying(**TOLD), tried([Head(200, [(b"again", b"1")], None), 200]), (2, 200, "-")
    ),
    effect(RETRY + "retry_host_predicate", ELSEWHERE, where),
    effect(HOST + "include_is_timeout_retry_header", TELLING, told, [[], [b"true"], [b"false"]]),
    effect(RETRY + "host_selection_retry_max_attempts", ELSEWHERE, where),
    effect(RETRY + "retry_back_off", SLOW, slept),
    effect(RETRY + "RetryBackOff.base_interval", SLOW, slept, against=retrying(num_retries=4)),
    effect(RETRY + "RetryBackOff.max_interval", SLOW, slept),
    effect(RETRY + "retry_on", retrying(), explained("retry"), what="explained"),
    effect(RETRY + "retry_priority", SPILLING, where),
    effect(RETRY + "RetryPriority.typed_config", SPILLING, where, [[FIRST, SECOND]] * 8, against=TWO_LEVELS),
    effect(PRIORITIES + ".update_frequency", SPILLING, where, [[FIRST, SECOND]] * 8),
    effect(RETRY + "retriable_request_headers", GATED, tried([503, 200]), (1, 503, "-")),
    effect(RETRY + "rate_limited_retry_back_off", ASKED, paused, [3.0, 4.0]),
    effect(RETRY + "RateLimitedRetryBackOff.reset_headers", ASKED, paused, [3.0, 4.0], against=retrying()),
    effect(RETRY + "RateLimitedRetryBackOff.max_interval", ASKED, paused, [3.0, 4.0]),
    effect(RETRY + "ResetHeader.name", ASKED, paused, [3.0, 4.0], against=retrying()),
    effect(RETRY + "ResetHeader.format", ASKED, paused, [3.0, 4.0]),
    effect(RETRY + "RetryHostPredicate.typed_config", ELSEWHERE, where, against=shop(cluster_fields=RANDOM)),
    effect(OMIT_METADATA + ".metadata_match", OMITTING, where),
    effect(
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.retry_policy",
        shop(
            action={"retry_policy": {"retry_on": "retriable-4xx"}},
            cluster_fields=options(retry_policy={"retry_on": "5xx", "num_retries": 2}),
        ),
        tried([503, 409, 200]),
        (2, 409, "-"),
    ),
]
