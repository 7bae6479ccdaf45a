"""The recorded stream through four changes, response by response: what is held, what is in force, what is asked.

The calls of this client use everything: every route table, and every cluster that has endpoints by EDS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyless.governance.route_table import RouteTable
from proxyless.xds.graph import clusters_of
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.endpoint import ClusterLoadAssignment
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.protocol.events import Request
from proxyless.xds.transport.control import Control
from proxyless.xds.transport.link import Ended
from proxyless.xds.wire import envelope

from .messages import CLUSTER, ENDPOINT, LISTENER, NAMES, ROUTE
from .protocol.test_property import read_delta_request, read_request

FOLDER = Path(__file__).parents[1] / "recorded" / "shop" / "xds"
NODE = {"id": "sidecar~127.0.10.1~frontend-v1-0.shop~shop.svc.cluster.local"}
TABLES = {"50051", "80", "8080"}
GONE = "outbound|8080||inventory.example.com"
CART = "outbound|80||cart.shop.svc.cluster.local"
PAYMENT = "outbound|80||payment.shop.svc.cluster.local"


class Client:
    """A control thread that is told the recorded responses, and keeps what it asked."""

    address = "a recording"

    def __init__(self, *, delta: bool) -> None:
        self.delta = delta
        self.asked: list[Request] = []
        self.on_bytes: Callable[[bytes], None] = lambda raw: None
        self.control = Control(self, NODE, lambda snapshot: None, delta=delta)
        self.control._on_connect()

    def open(self, *, delta: bool, on_bytes: Callable[[bytes], None], on_end: Callable[[Ended], None]) -> Client:
        self.on_bytes = on_bytes
        return self

    def send(self, raw: bytes) -> None:
        """A request."""
        self.asked.append(read_delta_request(raw) if self.delta else read_request(raw))

    def close(self) -> None:
        """There is nothing to close."""

    @property
    def snapshot(self) -> Snapshot:
        """What is in force."""
        return self.control.graph.snapshot

    def take(self, raw: bytes) -> list[Request]:
        """What a response makes the client ask; then calls use what it brought."""
        self.asked.clear()
        self.on_bytes(raw)
        self.work()
        requests = list(self.asked)
        for listener in self.snapshot.listeners.values():
            listener.get()
        for table in self.snapshot.routes.values():
            for host in table.get().virtual_hosts:
                host.value()
        self.control.want(ROUTE, TABLES if self.snapshot.listeners else ())
        self.control.want(CLUSTER, self.eds())
        self.work()
        return requests

    def work(self) -> None:
        """What the control thread does with what has come."""
        while not self.control._queue.empty():
            work = self.control._queue.get()
            assert work is not None
            work()
            self.control._settle()

    def eds(self) -> dict[str, Cluster]:
        """The clusters in force whose endpoints come by EDS."""
        found = {name: each.get() for name, each in self.snapshot.clusters.items()}
        return {name: each for name, each in found.items() if each.type == "EDS"}

    def reachable(self) -> set[str]:
        """The assignments that a cluster leads to."""
        return {each.assignment_name for each in self.eds().values()} & set(self.snapshot.assignments)

    def hosts(self, name: str) -> list[str]:
        """The addresses of an assignment in force."""
        value: ClusterLoadAssignment = self.snapshot.assignments[name].get()
        return [str(each.address) for locality in value.localities for each in locality.endpoints]

    def clusters_of(self, table: str, authority: str) -> list[list[str]]:
        """Where the routes of a host lead, one after the other; none for a host that the table does not have."""
        found = RouteTable(self.snapshot.routes[table].get()).find(authority.encode())
        return [clusters_of(route) for route in found.config.routes] if found is not None else []


class Expected:
    """What has to be held, worked out from the responses alone."""

    def __init__(self) -> None:
        self.held: dict[ResourceType, dict[str, bytes]] = {each: {} for each in ResourceType}

    def take(self, raw: bytes, *, delta: bool) -> Any:
        response = (envelope.read_delta_response if delta else envelope.read_response)(raw)
        assert response.type is not None
        if response.type.is_wildcard and not delta:
            self.held[response.type].clear()
        self.held[response.type].update({each.name: each.raw for each in response.resources})
        for name in response.removed:
            del self.held[response.type][name]
        if response.type is CLUSTER and GONE not in self.held[CLUSTER]:
            # Nothing leads to it any more: it is let go.
            self.held[ENDPOINT].pop(GONE, None)
        return response


def steps(*, delta: bool) -> Iterator[tuple[int, bytes]]:
    for path in sorted((FOLDER / ("frontend-changes-delta" if delta else "frontend-changes")).glob("*.pb")):
        yield int(path.name[:3]), path.read_bytes()


both = pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])


@both
def test_after_each_response_exactly_what_was_sent_is_held_and_in_force(delta: bool) -> None:
    client, expected = Client(delta=delta), Expected()
    for number, raw in steps(delta=delta):
        client.take(raw)
        expected.take(raw, delta=delta)
        newest = client.control.graph.newest
        held = {type_: {name: each.raw for name, each in newest[type_].items()} for type_ in ResourceType}
        assert held == expected.held, number
        snapshot = client.snapshot
        assert snapshot.clusters == newest[CLUSTER], number
        assert snapshot.listeners == newest[LISTENER], number
        assert snapshot.routes == newest[ROUTE], number
        assert snapshot.assignments == newest[ENDPOINT], number
        assert set(snapshot.assignments) - client.reachable() == ({GONE} if number >= 15 else set()), number
        assert snapshot.complete is (number >= 3), number
        assert not client.control.graph.rejected, number
        assert not client.control.graph.held_back, number
    assert number == 18
    assert {type_: len(held) for type_, held in expected.held.items() if held} == {
        CLUSTER: 20,
        LISTENER: 7,
        NAMES: 1,
        ENDPOINT: 14,
        ROUTE: 3,
    }


@both
def test_each_response_is_acknowledged_and_names_follow_what_is_used(delta: bool) -> None:
    client, expected = Client(delta=delta), Expected()
    assert [(each.type_url, each.first) for each in client.asked] == [
        (CLUSTER.value, True),
        (LISTENER.value, False),
        (NAMES.value, False),
    ]
    for number, raw in steps(delta=delta):
        response = expected.take(raw, delta=delta)
        names = {each.value: names_of(client, each) for each in (ENDPOINT, ROUTE)}
        acknowledged, *others = client.take(raw)
        assert (acknowledged.type_url, acknowledged.nonce) == (response.type_url, response.nonce), number
        assert acknowledged.error == "", number
        if not delta:
            assert acknowledged.version == response.version, number
            assert set(acknowledged.names) == names.get(response.type_url, set()), number
        if number == 14:
            (unsubscribed,) = others
            assert unsubscribed.type_url == ENDPOINT.value
            if delta:
                assert unsubscribed.unsubscribe == (GONE,)
            else:
                assert set(unsubscribed.names) == names[ENDPOINT.value] - {GONE}
        else:
            assert others == [], number
        assert names_of(client, ENDPOINT) == set(client.eds()), number
        assert names_of(client, ROUTE) == (TABLES if number >= 2 else set()), number


def names_of(client: Client, type_: ResourceType) -> set[str]:
    """What the client has subscribed."""
    assert client.control._subscribed[type_] == client.control.graph.wanted[type_]
    return set(client.control._subscribed[type_])


Look = Callable[[Client], Any]


def changes(look: Look, *, delta: bool) -> list[tuple[int, Any]]:
    """What is seen after the first five responses, and after each that changes it."""
    client, seen = Client(delta=delta), list[tuple[int, Any]]()
    for number, raw in steps(delta=delta):
        client.take(raw)
        if number >= 5 and (not seen or seen[-1][1] != look(client)):
            seen.append((number, look(client)))
    return seen


@both
@pytest.mark.parametrize(
    ("look", "seen"),
    [
        pytest.param(lambda client: subsets(client), [(5, [["v1", "v2"]]), (8, [["v2"]])], id="canary"),
        pytest.param(
            lambda client: payment(client), [(5, (16, 4, "ROUND_ROBIN")), (9, (2, 1, "LEAST_REQUEST"))], id="breaker"
        ),
        pytest.param(
            lambda client: client.hosts(CART),
            [
                (5, [f"127.0.12.{last}:8080" for last in (1, 2, 3, 4)]),
                (13, [f"127.0.12.{last}:8080" for last in (1, 4)]),
            ],
            id="endpoints",
        ),
        pytest.param(lambda client: GONE in client.snapshot.clusters, [(5, True), (14, False)], id="cluster"),
        pytest.param(
            lambda client: client.clusters_of("8080", "inventory.example.com:8080"),
            [(5, [[GONE]]), (17, [["PassthroughCluster"]])],
            id="virtual host",
        ),
    ],
)
def test_each_change_is_in_force_with_the_response_that_brings_it(delta: bool, look: Look, seen: list[Any]) -> None:
    assert changes(look, delta=delta) == seen


def subsets(client: Client) -> list[list[str]]:
    """Where the last routes of the catalog lead, those for everybody."""
    return [[name.split("|")[2] for name in each] for each in client.clusters_of("80", "catalog")[-1:]]


def payment(client: Client) -> tuple[int, int, str]:
    """What the DestinationRule of the second change is about."""
    config: Cluster = client.snapshot.clusters[PAYMENT].get()
    limits = config.default_thresholds
    return limits.max_requests, limits.max_pending_requests, config.lb_policy
