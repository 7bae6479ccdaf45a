"""One description of a case, which Envoy and proxyless both run: configuration, requests, and what backends do."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.differential.recording import Resource
from tests.differential.requests import Request


@dataclass(frozen=True, slots=True)
class Case:
    """A route table behind one port, and what is sent to that port.

    `hosts` are virtual hosts, `table` further fields of the RouteConfiguration, `manager` of the connection manager.
    Clusters are those that every case has (`tests.differential.batch.SHARED`). The URLs of `requests` name port 80,
    which stands for the port that the case gets.
    """

    hosts: tuple[Resource, ...]
    requests: tuple[Request, ...]
    table: Resource = field(default_factory=dict)
    manager: Resource = field(default_factory=dict)
