"""Who is picked for many keys, by Envoy and by us: one configuration, thousands of requests over few connections.

Nothing listens at the endpoints: Envoy picks one, is refused, and tells in a response header whom it picked. A case is
a cluster with the hash policies of its route; its requests are headers and a path.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from proxyless.cli._url import parse_url
from proxyless.governance import explain
from proxyless.governance.actions import Failure
from proxyless.governance.call import OutgoingCall
from proxyless.governance.explain import dry_call
from proxyless.governance.hashing import FIRST_PORT, PORTS
from proxyless.mesh import Mesh
from tests.differential.bootstrap import static
from tests.differential.custom import custom, host, route
from tests.differential.ours import drawing, mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.rig import VIP
from tests.support import rawhttp
from tests.support.envoy import Envoy, require

CLOSED_PORT = 1
SOURCE = ("127.0.10.1", 40000)
PICKED = "x-picked"
DEPTH = 100
"""Requests that are under way on a connection before its answers are read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    headers: tuple[tuple[str, str], ...] = ()
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster, and what its route says besides its name."""

    cluster: Resource
    action: Resource = field(default_factory=dict)
    route: Resource = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picked:
    """`endpoint` is empty where there was none."""

    endpoint: str
    cookies: tuple[str, ...] = ()


def endpoint(number: int, weight: int = 1, **fields: Any) -> Resource:
    """Endpoint `number` of a cluster. `key`: its metadata's hash key; `labels`: other metadata of `envoy.lb`."""
    key, labels = fields.pop("key", None), fields.pop("labels", None)
    address = {"socket_address": {"address": f"127.7.{number // 250}.{number % 250 + 1}", "port_value": CLOSED_PORT}}
    one: Resource = {"endpoint": {"address": address}, "load_balancing_weight": weight}
    if hostname := fields.pop("hostname", None):
        one["endpoint"]["hostname"] = hostname
    if key is not None or labels is not None:
        one["metadata"] = {"filter_metadata": {"envoy.lb": {**({"hash_key": key} if key else {}), **(labels or {})}}}
    return {**one, **fields}


def cluster(name: str, endpoints: Iterable[Resource], **fields: Any) -> Resource:
    """A STATIC cluster of one locality; `groups` instead are localities as they are."""
    groups = fields.pop("groups", None) or [{"lb_endpoints": list(endpoints)}]
    load = {"cluster_name": name, "endpoints": groups, **({"policy": p} if (p := fields.pop("policy", None)) else {})}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": load, **fields}


def recording(base: Recording, cases: Sequence[Case]) -> Recording:
    """All cases in one table, each behind a prefix of its cluster's name."""
    routes = []
    for case in cases:
        name = case.cluster["name"]
        action = {"prefix_rewrite": "/", "timeout": "0s", **case.action}
        if "weighted_clusters" not in action:
            action["cluster"] = name
        routes.append(route({"prefix": f"/{name}/"}, action, **case.route))
    added = {"header": {"key": PICKED, "value": "%UPSTREAM_HOST%"}}
    return custom(base, [host(*routes, response_headers_to_add=[added])], [case.cluster for case in cases])


class Pickers:
    """Envoy and a mesh on the same cases."""

    def __init__(self, envoy: Envoy, mesh: Mesh) -> None:
        self.envoy = envoy
        self.mesh = mesh

    def theirs(self, name: str, asked: Sequence[Asked], parallel: int = 2) -> list[Picked]:
        """Envoy's picks for the requests, in their order, over `parallel` connections."""
        size = -(-len(asked) // parallel)
        parts = [asked[start : start + size] for start in range(0, len(asked), size)]
        with ThreadPoolExecutor(parallel) as threads:
            return [each for part in threads.map(lambda part: self._over_one(name, part), parts) for each in part]

    def _over_one(self, name: str, asked: Sequence[Asked]) -> list[Picked]:
        found: list[Picked] = []
        with socket.create_connection(("127.0.0.1", self.envoy.port("virtualOutbound")), timeout=15) as sock:
            sock.sendall(rawhttp.proxy_header(VIP, SOURCE))
            reader = rawhttp.Reader(sock)
            for start in range(0, len(asked), DEPTH):
                part = asked[start : start + DEPTH]
                pairs = [(f"/{name}{each.path}", (("host", "a"), *each.headers)) for each in part]
                sock.sendall(b"".join(rawhttp.request("GET", path, headers) for path, headers in pairs))
                found += [_picked(reader.response()) for _ in part]
        return found

    def ours(self, name: str, asked: Sequence[Asked], *, refused: bool = False) -> list[Picked]:
        """Our picks; `refused`: the last of each call, none of whose connections can be made."""
        return [
            Picked(call.host.address if call.host is not None else "", _made(call))
            for call in self._calls(name, asked, refused=refused)
        ]

    def hashed(self, name: str, asked: Sequence[Asked]) -> list[bool]:
        """Whether there was something to hash."""
        return [call.hash is not None for call in self._calls(name, asked)]

    def _calls(self, name: str, asked: Sequence[Asked], *, refused: bool = False) -> Iterator[OutgoingCall]:
        url = parse_url(f"http://{VIP[0]}/{name}/")
        with drawing(self.mesh, self._port_of_the_source):
            for each in asked:
                where = url if each.path == "/" else parse_url(f"http://{VIP[0]}/{name}{each.path}")
                with refusing() if refused else nullcontext():
                    call, missing = dry_call(self.mesh.runtime, "GET", where, (("host", "a"), *each.headers))
                assert not missing, missing
                yield call

    def _port_of_the_source(self) -> float:
        """The draw that makes a made cookie that of Envoy's connection, and any other."""
        return (SOURCE[1] - FIRST_PORT) / PORTS


@contextmanager
def refusing() -> Iterator[None]:
    """No connection of a dry call can be made."""
    before = explain._DRY
    try:
        explain._DRY = (*before[:1], lambda suite, action: Failure("connect-failure", "refused"), *before[2:])
        yield
    finally:
        explain._DRY = before


def _made(call: OutgoingCall) -> tuple[str, ...]:
    """The cookies that the answer has: a balancer's own, since nothing answers here."""
    if call.cookies is None or not call.cookies.late:
        return ()
    return tuple(value.decode() for _, value in call.cookies.headers())


def _picked(response: rawhttp.Response) -> Picked:
    cookies = tuple(value for name, value in response.headers if name == "set-cookie")
    return Picked(response.header(PICKED) or "", cookies)


@contextmanager
def pickers(base: Recording, cases: Sequence[Case], seed: int = 4) -> Iterator[Pickers]:
    """Both sides, started."""
    require()
    whole = recording(base, cases)
    with mesh_on(whole, rng=random.Random(seed)) as mesh, Envoy(static(whole)) as envoy:
        yield Pickers(envoy, mesh)
