"""Many cases in one configuration: each behind a port, and with a route table and a connection manager of its own."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import replace

from tests.differential.case import Case
from tests.differential.custom import cluster
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.support.behaviour import Address

FIRST_PORT = 20_001
PORTED = re.compile("http://([^/?#]*)(.*)", re.DOTALL)
BACKENDS: dict[str, Address] = {name: (f"127.0.20.{number}", 80) for number, name in enumerate("abc", 1)}
SHARED: tuple[Resource, ...] = (*(cluster(name, address) for name, address in BACKENDS.items()), cluster("empty"))
"""The clusters of every case: three with one endpoint each, and one without. "none" does not exist."""

OWN = "x-request-id"
KEPT = ("ORIGINAL_DST", "STATIC")


def together(base: Recording, cases: Sequence[Case]) -> Recording:
    """The recorded entry listener of `base`, and a listener and a table for each case."""
    made = Recording(listeners={"virtualOutbound": copy.deepcopy(base.listeners["virtualOutbound"])}, node=base.node)
    own = [cluster for case in cases for cluster in case.clusters]
    kept = [c for c in base.clusters.values() if c.get("type") in KEPT]
    made.apply("Cluster", [*kept, *copy.deepcopy([*SHARED, *own])])
    for number, case in enumerate(cases):
        port = FIRST_PORT + number
        made.listeners[f"0.0.0.0_{port}"] = _listener(base.listeners["0.0.0.0_80"], port, case)
        hosts = copy.deepcopy(list(case.hosts))
        made.routes[str(port)] = {"name": str(port), "virtual_hosts": hosts, "validate_clusters": False, **case.table}
    return made


def _listener(model: Resource, port: int, case: Case) -> Resource:
    listener = copy.deepcopy(model)
    listener["name"] = f"0.0.0.0_{port}"
    listener["address"]["socket_address"]["port_value"] = port
    for chain in listener["filter_chains"]:
        for each in chain["filters"]:
            if "rds" in each["typed_config"]:
                each["typed_config"]["rds"]["route_config_name"] = str(port)
                each["typed_config"].update(copy.deepcopy(case.manager))
    more = copy.deepcopy(case.listener)
    if more:
        listener["filter_chains"][-1]["name"] = "own"
        listener["filter_chains"] += more.pop("filter_chains", [])
        listener.update(more)
    return listener


def placed(request: Request, number: int, at: int) -> Request:
    """Request `at` of the case with this number, to its port; what it says of its host stays as it was.

    An `x-request-id` becomes one of its own, because arrivals at backends are known by it.
    """
    match = PORTED.fullmatch(request.url)
    assert match is not None
    return replace(
        request,
        url=f"http://{match[1].partition(':')[0]}:{FIRST_PORT + number}{match[2]}",
        headers=tuple((n, f"{v} {number}.{at}" if n == OWN and v else v) for n, v in request.all_headers()),
    )


def requests_of(cases: Sequence[Case]) -> list[Request]:
    """All requests, in the order of the cases."""
    return [placed(asked, number, at) for number, case in enumerate(cases) for at, asked in enumerate(case.requests)]
