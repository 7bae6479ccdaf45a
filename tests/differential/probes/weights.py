"""Weighted clusters: zero weights, totals, how the draw is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig, Sent
from tests.support import rawhttp

DRAWS = 400
CASES: dict[str, Resource] = {
    "a 0, b 1": {"clusters": [{"name": "a", "weight": 0}, {"name": "b", "weight": 1}]},
    "a 1, b 0": {"clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 0}]},
    "a without weight, b 1": {"clusters": [{"name": "a"}, {"name": "b", "weight": 1}]},
    "all zero": {"clusters": [{"name": "a", "weight": 0}, {"name": "b", "weight": 0}]},
    "a 80, b 20": {"clusters": [{"name": "a", "weight": 80}, {"name": "b", "weight": 20}]},
    "a 1, b 2 (total 3)": {"clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 2}]},
    "total_weight 10, weights 1 and 1": {
        "clusters": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
        "total_weight": 10,
    },
    "a 4294967295, b 1": {"clusters": [{"name": "a", "weight": 4294967295}, {"name": "b", "weight": 1}]},
    "missing cluster": {"clusters": [{"name": "nowhere", "weight": 1}, {"name": "a", "weight": 1}]},
    "by header x-draw": {
        "clusters": [{"name": "a", "weight": 80}, {"name": "b", "weight": 20}],
        "header_name": "x-draw",
    },
}


def run(base: Recording) -> Iterator[str]:
    """Each line: the weights, then how often each cluster was taken in 400 requests."""
    clusters = [cluster("a", ("127.0.20.1", 80)), cluster("b", ("127.0.20.2", 80))]
    for label, weighted in CASES.items():
        try:
            with Rig(custom(base, [host(route({"prefix": "/"}, {"weighted_clusters": weighted}))], clusters)) as rig:
                data = rawhttp.request("GET", "/", (("host", "x"),))
                seen = rig.run([Sent(data)] * (1 if "header" in label else DRAWS))
                count = Counter(f"{(o.log or {}).get('cluster')} {o.response.status} {o.flags}" for o in seen)
                yield f"{label}: {dict(count)}"
                for value in (
                    ("0", "79", "80", "99", "100", "180", "-1", "x", "x", "x", "x", "x", "x")
                    if "header" in label
                    else ()
                ):
                    took = (rig.send("GET", "/", ("x-draw", value)).log or {}).get("cluster")
                    yield f"{label}={value}: {took}"
        except Exception as error:
            yield f"{label}: refused: {error}"
    yield from _request_id(base, clusters)


def _request_id(base: Recording, clusters: list[Resource]) -> Iterator[str]:
    """Is the draw fixed by the request id? (The route's random value is the stream's.)"""
    weighted = {"clusters": [{"name": "a", "weight": 50}, {"name": "b", "weight": 50}]}
    with Rig(custom(base, [host(route({"prefix": "/"}, {"weighted_clusters": weighted}))], clusters)) as rig:
        fixed = (("host", "x"), ("x-request-id", "2f7e851d-2f0b-459b-bdcb-8d78b958309a"))
        seen = rig.run([Sent(rawhttp.request("GET", "/", fixed))] * 60)
        yield f"60 requests of one x-request-id: {dict(Counter((o.log or {}).get('cluster') for o in seen))}"
