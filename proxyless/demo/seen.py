"""What is seen: counters that the services keep outside the mesh, and the Prometheus text of their processes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from prometheus_client.parser import text_string_to_metric_families

from .shop import Instance

PATIENCE_S = 10.0
_OPENER = build_opener(ProxyHandler({}))

Labels = frozenset[tuple[str, str]]


class UnseenError(Exception):
    """A process does not say how it is; the text says which."""


def fetch(url: str, method: str = "GET", patience_s: float = PATIENCE_S) -> bytes:
    """A body, over a plain connection.

    Raises:
        UnseenError: nobody answers there, or not with 200.
    """
    try:
        with _OPENER.open(Request(url, method=method), timeout=patience_s) as response:  # noqa: S310  # http of our own
            body: bytes = response.read()
            return body
    except (URLError, OSError, HTTPException) as error:
        raise UnseenError(f"{url}: {error}") from error


@dataclass(frozen=True, slots=True)
class Metrics:
    """Samples of one process's Prometheus text."""

    samples: Mapping[tuple[str, Labels], float] = field(default_factory=dict)

    def sum(self, name: str, **labels: str) -> float:
        """Of all samples of that name that have these labels."""
        wanted = labels.items()
        return sum(value for (each, own), value in self.samples.items() if each == name and wanted <= own)

    def by(self, label: str, name: str, **labels: str) -> dict[str, int]:
        """The same, for each value of a label; zeros are left out."""
        wanted = labels.items()
        found: dict[str, int] = {}
        for (each, own), value in self.samples.items():
            if each == name and wanted <= own and value:
                key = dict(own).get(label, "")
                found[key] = found.get(key, 0) + int(value)
        return found

    def since(self, before: Metrics) -> Metrics:
        """How much each sample grew: for counters."""
        return Metrics({key: value - before.samples.get(key, 0.0) for key, value in self.samples.items()})


def parse(text: str) -> Metrics:
    """Prometheus text, read by prometheus_client's parser."""
    return Metrics(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """What a service counted itself, by `GET /items` and the like. `last`: when such a request arrived last."""

    arrived: Mapping[str, int]
    served: Mapping[str, int]
    attempts: Mapping[str, int]
    last: Mapping[str, float]

    def since(self, before: Counted) -> Counted:
        """How much each count grew."""
        return Counted(
            _grown(self.arrived, before.arrived),
            _grown(self.served, before.served),
            _grown(self.attempts, before.attempts),
            self.last,
        )


def _grown(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {key: grown for key, value in after.items() if (grown := value - before.get(key, 0))}


@dataclass(frozen=True, slots=True)
class Sight:
    """All services at one moment, by name."""

    counted: Mapping[str, Counted]
    metrics: Mapping[str, Metrics]

    def since(self, before: Sight) -> Sight:
        """What happened between two moments."""
        return Sight(
            {name: each.since(before.counted[name]) for name, each in self.counted.items()},
            {name: each.since(before.metrics[name]) for name, each in self.metrics.items()},
        )

    def arrived(self, name: str, key: str) -> int:
        """Requests that reached a process, whatever became of them."""
        return self.counted[name].arrived.get(key, 0)

    def served(self, name: str, key: str) -> int:
        """Requests that the mesh let through to its app."""
        return self.counted[name].served.get(key, 0)


def counted(instance: Instance) -> Counted:
    """Raises:
    UnseenError: the process does not answer.
    """
    document: dict[str, Any] = json.loads(fetch(f"{instance.admin_url}/counters"))
    return Counted(document["arrived"], document["served"], document["attempts"], document["last"])


def metrics(instance: Instance, patience_s: float = PATIENCE_S) -> Metrics:
    """Raises:
    UnseenError: the process does not answer.
    """
    return parse(fetch(f"{instance.admin_url}/metrics", patience_s=patience_s).decode())


def look(instances: Iterable[Instance]) -> Sight:
    """Raises:
    UnseenError: a process does not answer.
    """
    found = list(instances)
    return Sight({each.name: counted(each) for each in found}, {each.name: metrics(each) for each in found})
