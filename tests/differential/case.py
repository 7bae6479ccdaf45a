"""One description of a case, which Envoy and proxyless both run: configuration, requests, and what backends do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.differential.recording import Resource, address_of
from tests.differential.requests import Request
from tests.differential.timeline.script import Act
from tests.support.behaviour import Address


@dataclass(frozen=True, slots=True)
class Case:
    """A route table behind one port, and what is sent to that port.

    `hosts` are virtual hosts, `table` further fields of the RouteConfiguration, `manager` of the connection manager,
    `listener` of the listener: chains in it are there beside the one that leads to the manager, which is named "own".
    `clusters` are there beside those that every case has (`tests.differential.batch.SHARED`); cases that run together
    name theirs differently. `backends` is what their endpoints do over time. The URLs of `requests` name port 80, which
    stands for the port that the case gets; each is sent at its `at_s`. `primed`: requests that do not count bring round
    robin to its beginning, over connections that stay.
    """

    hosts: tuple[Resource, ...]
    requests: tuple[Request, ...]
    table: Resource = field(default_factory=dict)
    manager: Resource = field(default_factory=dict)
    listener: Resource = field(default_factory=dict)
    clusters: tuple[Resource, ...] = ()
    backends: tuple[Act, ...] = ()
    primed: bool = True

    def addresses(self) -> list[Address]:
        """The endpoints of its own clusters, as the backends are asked for."""
        groups = [each for made in self.clusters for each in made["load_assignment"].get("endpoints", ())]
        return [address_of(e["endpoint"]["address"]["socket_address"]) for g in groups for e in g["lb_endpoints"]]

    def prime(self, ask: Callable[[], Address]) -> None:
        """Ask until the last endpoint was asked: round robin begins anywhere, and goes on with the first then."""
        own = self.addresses()
        for _ in range(2 * len(own) if len(own) > 1 and self.primed else 0):
            if ask() == own[-1]:
                return
