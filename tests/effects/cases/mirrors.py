"""Mirrored requests."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Start

from ..registry import effect
from ..resources import Json, shop, typed
from ..scene import Scene
from ..seeing import See

R = "envoy.config.route.v3."
POLICY = R + "RouteAction.RequestMirrorPolicy"
MUTATION = "envoy.config.common.mutation_rules.v3.HeaderMutation"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HEADERS = [("x-one", "1"), ("x-two", "2"), ("x-to", "c")]


def copied(what: str = "cluster") -> See:
    """The clusters, hosts or `x-...` headers of the copies."""

    def see(scene: Scene) -> list[Any]:
        steps = scene.call("http://shop/a", headers=HEADERS)
        found: list[Any] = []
        for each in (each.copy for each in steps.trace if isinstance(each, Start)):
            own = {name for name, _ in each.upstream.headers if name.startswith((b"x-one", b"x-two", b"x-new"))}
            found.append({"cluster": each.cluster, "host": each.upstream.authority, "headers": sorted(own)}[what])
        return found

    return see


def mirrors(**fields: Any) -> Json:
    return {"request_mirror_policies": [{"cluster": "b", **fields}]}


def mutated(*mutations: Json) -> Any:
    return shop(action=mirrors(request_headers_mutations=list(mutations)))


BY_HEADER = {"request_mirror_policies": [{"cluster_header": "x-to"}]}
OWN = {"explicit_http_config": {"http_protocol_options": {}}, **mirrors()}
NEVER = {"default_value": {"numerator": 0}}

CASES = [
    effect(R + "RouteAction.request_mirror_policies", shop(action=mirrors()), copied(), ["b"]),
    effect(R + "VirtualHost.request_mirror_policies", shop(host_fields=mirrors()), copied(), ["b"]),
    effect(R + "RouteConfiguration.request_mirror_policies", shop(table_fields=mirrors()), copied(), ["b"]),
    effect(
        OPTIONS + ".request_mirror_policies",
        shop(cluster_fields={"typed_extension_protocol_options": {OPTIONS: typed(OPTIONS, **OWN)}}),
        copied(),
        ["b"],
    ),
    effect(POLICY + ".cluster", shop(action=mirrors()), copied(), ["b"]),
    effect(POLICY + ".cluster_header", shop(action=BY_HEADER), copied(), ["c"]),
    effect(POLICY + ".runtime_fraction", shop(action=mirrors(runtime_fraction=NEVER)), copied(), []),
    effect(
        POLICY + ".disable_shadow_host_suffix_append",
        shop(action=mirrors(disable_shadow_host_suffix_append=True)),
        copied("host"),
        [b"shop"],
    ),
    effect(
        POLICY + ".host_rewrite_literal", shop(action=mirrors(host_rewrite_literal="copy")), copied("host"), [b"copy"]
    ),
    effect(POLICY + ".request_headers_mutations", mutated({"remove": "x-one"}), copied("headers"), [[b"x-two"]]),
    effect(MUTATION + ".remove", mutated({"remove": "x-one"}), copied("headers"), [[b"x-two"]]),
    effect(
        MUTATION + ".append",
        mutated({"append": {"header": {"key": "x-new", "value": "1"}}}),
        copied("headers"),
        [[b"x-new", b"x-one", b"x-two"]],
    ),
    effect(
        MUTATION + ".remove_on_match",
        mutated({"remove_on_match": {"key_matcher": {"suffix": "one"}}}),
        copied("headers"),
        [[b"x-two"]],
    ),
    effect(
        MUTATION + ".RemoveOnMatch.key_matcher",
        mutated({"remove_on_match": {"key_matcher": {"suffix": "one"}}}),
        copied("headers"),
        [[b"x-two"]],
    ),
]
