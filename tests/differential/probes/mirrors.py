"""Request mirroring: what the copy looks like, and when there is one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import headers, outcome
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

MAIN, SHADOW = ("127.0.20.1", 80), ("127.0.20.2", 80)
ADDED: Resource = {"request_headers_to_add": [{"header": {"key": "x-added", "value": "1"}}]}
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
}


def run(base: Recording) -> Iterator[str]:
    """Each line: the rule, the outcome of the request, then main and mirrored requests as they arrived."""
    clusters = [cluster("a", MAIN), cluster("b", SHADOW), cluster("none")]
    for label, (action, mirror) in CASES.items():
        rule = {"cluster": "a", "request_mirror_policies": [{"cluster": "b", **mirror}], **action}
        with Rig(custom(base, [host(route({"prefix": "/"}, rule, **ADDED))], clusters)) as rig:
            what = {"retries of the main request": "status=503", "timeout of the route 0.1 s": "delay=0.2"}.get(
                label, ""
            )
            seen = rig.send("POST", "/p?x=1", ("x-backend", what), host="catalog:80", body=b"abc", settle_s=0.3)
            yield f"{label}: {outcome(seen)}"
            for arrival in seen.arrivals:
                kind = "mirrored" if arrival.backend == SHADOW else "main"
                shown = headers(arrival.headers, without=("x-backend", "content-length"))
                yield f"    {kind}: {arrival.method} {arrival.target} {len(arrival.body)} bytes {shown}"
