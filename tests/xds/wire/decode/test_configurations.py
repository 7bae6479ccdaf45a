"""The tables of `configurations`: what our decoders say of each case, and what the real Envoy says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from google.protobuf import json_format

from proxyless.xds.model.resource import ResourceError
from proxyless.xds.wire.decode.cluster import cluster
from proxyless.xds.wire.decode.listener import listener
from proxyless.xds.wire.refused import RefusedError
from proxyless.xds.wire.schema import pool
from proxyless.xds.wire.schema import types as pb
from tests.support import envoy

from .configurations import (
    Case,
    balancing,
    clusters,
    durations_and_formats,
    endpoints,
    expressions,
    extremes,
    http_filters,
    listeners,
    overload,
    plain,
    route_actions,
    route_matches,
    routes,
    trees,
    upstreams,
)

TABLES = (
    balancing,
    clusters,
    durations_and_formats,
    endpoints,
    expressions,
    extremes,
    http_filters,
    listeners,
    overload,
    route_actions,
    route_matches,
    routes,
    trees,
    upstreams,
)
CASES = [
    pytest.param(case, id=f"{table.__name__.rpartition('.')[2]}-{case.name}")
    for table in TABLES
    for case in table.CASES
]


def reason_of(case: Case) -> str | None:
    """Why our decoders refuse it, virtual hosts included; None where they accept it."""
    try:
        if case.kind == "clusters":
            message = json_format.ParseDict(case.resource, pb.cluster_v3.Cluster(), descriptor_pool=pool())
            cluster(message.SerializeToString())
            return None
        found = json_format.ParseDict(case.resource, pb.listener_v3.Listener(), descriptor_pool=pool())
        for chain in listener(found.SerializeToString()).all_chains():
            if chain.http is not None and chain.http.route_config is not None:
                for host in chain.http.route_config.virtual_hosts:
                    host.value()
    except (RefusedError, ResourceError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("case", CASES)
def test_what_envoy_refuses_is_refused_in_its_words_and_nothing_else_is(case: Case) -> None:
    reason = reason_of(case)
    if case.differs:
        assert (reason is None) != (case.says is None), reason
    elif case.says is None:
        assert reason is None
    else:
        assert reason is not None
        assert case.says in plain(reason)


@pytest.mark.envoy
@pytest.mark.parametrize("case", CASES if os.environ.get("CI") else CASES[:: len(TABLES)])
def test_the_real_envoy_says_what_the_table_says(case: Case, tmp_path: Path) -> None:
    reason = asked(case, tmp_path)
    if case.says is None:
        assert reason is None
    else:
        assert reason is not None
        assert case.says in reason


def asked(case: Case, folder: Path) -> str | None:
    """What Envoy itself says, without its debug strings; None where it accepts."""
    known = [{"name": "c", "connect_timeout": "1s"}]
    resources = {"clusters": known, "listeners": []}
    resources[case.kind] = [*resources[case.kind], case.resource]
    bootstrap = {"node": {"id": "a", "cluster": "b"}, "static_resources": resources}
    file = folder / "envoy.json"
    file.write_text(json.dumps(bootstrap))
    command = [str(envoy.require()), "--mode", "validate", "--disable-hot-restart", "-l", "critical", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if not done.returncode:
        return None
    said = re.search(r"error initializing configuration '[^']*': (.*)", done.stderr + done.stdout, re.DOTALL)
    assert said is not None, done.stderr[-2000:]
    return plain(said[1])


def test_every_difference_from_envoy_has_a_reason_of_its_own() -> None:
    differing = [case for table in TABLES for case in table.CASES if case.differs]
    assert all(len(case.differs) > 10 for case in differing)
    # What Envoy accepts is never refused.
    assert all(case.says is not None for case in differing)
