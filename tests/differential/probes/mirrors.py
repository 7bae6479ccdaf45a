"""Request mirroring: what the copy looks like, and when there is one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import headers, outcome
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

MAIN, SHADOW = ("127.0.20.1", 80), ("127.0.20.2", 80)
ADDED: Resource = {"request_headers_to_add": [{"header": {"key": "x-added", "value": "1"}}]}
MUTATIONS: list[Resource] = [
    {"append": {"header": {"key": "x-copy", "value": "%REQ(x-one)%"}}},
    {"remove": "x-two"},
    {"append": {"header": {"key": "x-one", "value": "new"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}},
    {"append": {"header": {"key": "x-internal", "value": "%REQ(x-envoy-internal)%%REQ(x-request-id)%"}}},
]
OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
OPTIONS_NAME = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
SENT = (("x-one", "1"), ("x-two", "2"), ("x-mirror", "b"))
CASES: dict[str, tuple[Resource, Resource]] = {
    "plain": ({}, {}),
    "disable_shadow_host_suffix_append": ({}, {"disable_shadow_host_suffix_append": True}),
    "prefix and host rewritten, header added": ({"prefix_rewrite": "/new/", "host_rewrite_literal": "other"}, {}),
    "fraction 0": ({}, {"runtime_fraction": {"default_value": {"numerator": 0}}}),
    "cluster that does not exist": ({}, {"cluster": "nowhere"}),
    "main cluster without endpoints": ({"cluster": "none"}, {}),
    "main cluster that does not exist": ({"cluster": "nowhere"}, {}),
    "retries of the main request": ({"retry_policy": {"retry_on": "5xx", "num_retries": 2}}, {}),
    "timeout of the route 0.1 s": ({"timeout": "0.100s"}, {}),
    "host_rewrite_literal of the mirror": ({}, {"host_rewrite_literal": "copy:81"}),
    "host_rewrite_literal, no suffix": (
        {},
        {"host_rewrite_literal": "copy", "disable_shadow_host_suffix_append": True},
    ),
    "mutations of the mirror": ({}, {"request_headers_mutations": MUTATIONS}),
    "cluster from a header": ({}, {"cluster": None, "cluster_header": "x-mirror"}),
    "main cluster overflows": ({"cluster": "full"}, {}),
    "mirror without endpoints": ({}, {"cluster": "none"}),
    "per try timeout": ({"retry_policy": {"retry_on": "5xx", "per_try_timeout": "2s"}, "timeout": "9s"}, {}),
    "no timeout": ({"timeout": "0s"}, {}),
}


def run(base: Recording) -> Iterator[str]:
    """Each line: the rule, the outcome of the request, then main and mirrored requests as they arrived."""
    clusters = [
        cluster("a", MAIN),
        cluster("b", SHADOW),
        cluster("none"),
        cluster("full", MAIN, circuit_breakers={"thresholds": [{"max_requests": 0}]}),
    ]
    levels: dict[str, tuple[Resource, Resource, Resource, Resource]] = {
        "the virtual host's": ({}, {"request_mirror_policies": [{"cluster": "b"}]}, {}, {}),
        "the table's": ({}, {}, {"request_mirror_policies": [{"cluster": "b"}]}, {}),
        "the cluster's": ({}, {}, {}, {"request_mirror_policies": [{"cluster": "b"}]}),
        "of all levels": tuple(  # type: ignore[dict-item]
            {"request_mirror_policies": [{"cluster": "b", "host_rewrite_literal": each}]}
            for each in ("route", "host", "table", "cluster")
        ),
        "none of the route, one of the host": (
            {"request_mirror_policies": [{"cluster": "b", "runtime_fraction": {"default_value": {"numerator": 0}}}]},
            {"request_mirror_policies": [{"cluster": "b"}]},
            {},
            {},
        ),
        "two of one route": ({"request_mirror_policies": [{"cluster": "b"}, {"cluster": "b"}]}, {}, {}, {}),
    }
    for label, (of_route, of_host, of_table, of_cluster) in levels.items():
        options = {"@type": OPTIONS, "explicit_http_config": {"http_protocol_options": {}}, **of_cluster}
        main = cluster("a", MAIN, typed_extension_protocol_options={OPTIONS_NAME: options})
        rules = [host(route({"prefix": "/"}, {"cluster": "a", **of_route}), **of_host)]
        with Rig(custom(base, rules, [main, *clusters[1:]], **of_table)) as rig:
            seen = rig.send("POST", "/p?x=1", body=b"abc", settle_s=0.3)
            yield f"mirrors {label}: " + ", ".join(f"{each.backend[0]} {each.authority}" for each in seen.arrivals)
    for label, (action, mirror) in CASES.items():
        mirroring = {key: value for key, value in {"cluster": "b", **mirror}.items() if value is not None}
        rule = {"cluster": "a", "request_mirror_policies": [mirroring], **action}
        with Rig(custom(base, [host(route({"prefix": "/"}, rule, **ADDED))], clusters)) as rig:
            what = {"retries of the main request": "status=503", "timeout of the route 0.1 s": "delay=0.2"}.get(
                label, ""
            )
            seen = rig.send("POST", "/p?x=1", ("x-backend", what), *SENT, host="catalog:80", body=b"abc", settle_s=0.3)
            yield f"{label}: {outcome(seen)}"
            for arrival in seen.arrivals:
                kind = "mirrored" if arrival.backend == SHADOW else "main"
                shown = headers(arrival.headers, without=("x-backend", "content-length"))
                yield f"    {kind}: {arrival.method} {arrival.target} {len(arrival.body)} bytes {shown}"
