"""Endpoints that a request names (OriginalDstCluster), by Envoy and by us; nothing listens there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.differential.bootstrap import TYPE
from tests.differential.keyed import Asked, Case, Pickers, pickers
from tests.differential.recording import Recording, Resource

pytestmark = pytest.mark.envoy

USUAL = "x-envoy-original-dst-host"


def named(name: str, **config: Any) -> Resource:
    kind = {"@type": TYPE + "clusters.original_dst.v3.OriginalDstCluster", **config}
    extension = {"name": "envoy.cluster.original_dst", "typed_config": kind}
    return {"name": name, "connect_timeout": "0.2s", "lb_policy": "CLUSTER_PROVIDED", "cluster_type": extension}


CASES = [
    Case(named("usual", use_http_header=True)),
    Case(named("own", use_http_header=True, http_header_name="X-To")),
    Case(named("port", use_http_header=True, upstream_port_override=1)),
    Case(named("not")),
]


@pytest.fixture(scope="module")
def sides(frontend: Recording) -> Iterator[Pickers]:
    with pickers(frontend, CASES) as started:
        yield started


@pytest.mark.parametrize("cluster", ["usual", "own", "port", "not"])
@pytest.mark.parametrize(
    "headers",
    [
        ((USUAL, "127.7.0.1:1"),),
        ((USUAL, "127.7.0.1:1"), ("x-to", "127.7.0.2:1")),
        ((USUAL, "127.7.0.1:1"), (USUAL, "127.7.0.2:1")),
        ((USUAL, "127.7.0.1"),),
        ((USUAL, "127.7.0.1:x"),),
        ((USUAL, "127.7.0.1:65536"),),
        ((USUAL, "localhost:1"),),
        ((USUAL, "127.7.0.1:01"),),
        ((USUAL, "127.7.1:1"),),
        ((USUAL, "[::1]:1"),),
        ((USUAL, ""),),
        (),
    ],
)
def test_a_header_that_names_an_endpoint(sides: Pickers, cluster: str, headers: tuple[tuple[str, str], ...]) -> None:
    asked = [Asked(headers)]
    assert sides.ours(cluster, asked) == sides.theirs(cluster, asked)
