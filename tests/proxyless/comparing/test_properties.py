"""Equal folders give nothing, whatever their files look like; what is changed is reported, whatever it is."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from proxyless.comparing import compare
from proxyless.xds.identity.bootstrap import Node
from tests.proxyless.comparing.support import changes, explained, folders, shop
from tests.xds.controlplane.generated_meshes import any_objects

SLOW = settings(max_examples=4, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
NODE = Node(app="client", namespace="shop", ip="127.0.0.1", pod="client", labels={"app": "client"})
ME = ("app=client,namespace=shop",)

HEADER = st.sampled_from(["x-a", "x-b"])


def match() -> st.SearchStrategy[dict[str, Any]]:
    paths = st.sampled_from([{"exact": "/a"}, {"prefix": "/b"}, {"regex": "/c/[0-9]+/.*"}, {"prefix": "/"}])
    values = st.sampled_from([{"exact": "a"}, {"prefix": "b"}, {"regex": "[cd]+e?"}, {}])
    return st.fixed_dictionaries(
        {"uri": paths},
        optional={
            "headers": st.dictionaries(HEADER, values, min_size=1, max_size=2),
            "withoutHeaders": st.just({"x-c": {}}),
            "queryParams": st.just({"q": {"exact": "1"}}),
            "method": st.just({"exact": "PUT"}),
        },
    )


def route() -> st.SearchStrategy[dict[str, Any]]:
    weights = st.integers(1, 99).map(
        lambda weight: [
            {"destination": {"host": "web", "subset": "v1"}, "weight": weight},
            {"destination": {"host": "web", "subset": "v2"}, "weight": 100 - weight},
        ]
    )
    return st.fixed_dictionaries(
        {"route": weights},
        optional={
            "match": st.lists(match(), min_size=1, max_size=2),
            "timeout": st.sampled_from(["1s", "2s"]),
            "retries": st.sampled_from([{"attempts": 1}, {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx"}]),
            "rewrite": st.sampled_from([{"uri": "/x"}, {"authority": "other"}]),
            "headers": st.sampled_from([{"request": {"set": {"x-r": "1"}}}, {"response": {"remove": ["x-s"]}}]),
        },
    )


CHANGED: dict[str, Any] = {
    "route": [{"destination": {"host": "web", "subset": "v2"}}],
    "timeout": "7s",
    "retries": {"attempts": 5, "retryOn": "reset"},
    "rewrite": {"uri": "/y"},
    "headers": {"request": {"set": {"x-changed": "1"}}},
    "mirror": {"host": "web", "subset": "v1"},
    "fault": {"delay": {"fixedDelay": "1s", "percentage": {"value": 30}}},
    "corsPolicy": {"allowOrigins": [{"exact": "https://a.example"}]},
}

POLICIES: dict[str, Any] = {
    "connectionPool": {"http": {"http2MaxRequests": 3, "maxRetries": 1}, "tcp": {"maxConnections": 2}},
    "outlierDetection": {"consecutive5xxErrors": 2},
    "loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}},
    "tls": {"mode": "SIMPLE"},
}


@SLOW
@given(
    documents=st.permutations(list(yaml.safe_load_all(shop("[{route: [{destination: {host: web}}]}]")))),
    more=st.lists(any_objects(), max_size=4),
    cuts=st.lists(st.booleans(), min_size=12, max_size=12),
    as_json=st.booleans(),
)
def test_equal_folders_give_nothing(documents: list[Any], more: list[Any], cuts: list[bool], as_json: bool) -> None:
    # Of two objects of a name the first counts: which one that is must not depend on the order.
    own = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each
        for each in (*documents, *more)
    }
    with tempfile.TemporaryDirectory() as where:
        old, new = Path(where) / "old", Path(where) / "new"
        old.mkdir()
        new.mkdir()
        ordered = sorted(own.values(), key=json.dumps)
        (old / "all.yaml").write_text("---\n".join(yaml.safe_dump(each) for each in ordered))
        parts: list[list[Any]] = [[]]
        for each, cut in zip(own.values(), (*cuts, *[False] * len(own)), strict=False):
            parts[-1].append(each)
            if cut:
                parts.append([])
        for index, part in enumerate(parts):
            if as_json:
                text = json.dumps({"apiVersion": "v1", "kind": "List", "items": part})
            else:
                text = "---\n".join(yaml.safe_dump(each, default_flow_style=True) for each in part)
            (new / f"part-{index}.{'json' if as_json else 'yaml'}").write_text(text)
        found = compare(str(old), str(new))
        assert found.document()["groups"] == []
        assert found.findings == {"new": [], "gone": []}
        assert not found.differs


@SLOW
@given(routes=st.lists(route(), min_size=1, max_size=3), what=st.sampled_from(sorted(CHANGED)))
def test_a_route_that_changes_is_reported_and_explained_differently(routes: list[dict[str, Any]], what: str) -> None:
    other = [{**routes[0], what: CHANGED[what]}, *routes[1:]]  # one behind others may never be taken
    with tempfile.TemporaryDirectory() as where:
        old, new = folders(Path(where), shop(json.dumps(routes)), shop(json.dumps(other)))
        document = compare(old, new, ME).document()
        unreached = [each for each in changes(document, "unsampled") if "before it" in each["reason"]]
        assert document["differs"] or unreached
        for request in changes(document, "requests")[:2]:
            assert explained(old, NODE, request) != explained(new, NODE, request), request


@SLOW
@given(
    old=st.sets(st.sampled_from(sorted(POLICIES))),
    new=st.sets(st.sampled_from(sorted(POLICIES))),
)
def test_policies_that_come_and_go_are_reported(old: set[str], new: set[str]) -> None:
    rules = [
        json.dumps({"host": "web", "trafficPolicy": {name: POLICIES[name] for name in each}}) for each in (old, new)
    ]
    with tempfile.TemporaryDirectory() as where:
        sides = folders(Path(where), shop("[]", rules[0]), shop("[]", rules[1]))
        document = compare(*sides, ME).document()
    known = {each["policy"] for each in changes(document, "policies")}
    kinds = {
        "connectionPool": "breaker",
        "outlierDetection": "outlier_detection",
        "loadBalancer": "load_balancing",
        "tls": "tls",
    }
    assert {kinds[name] for name in old ^ new} <= known
    assert document["differs"] is (old != new)
