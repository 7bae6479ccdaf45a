"""Both folders compared, for every kind of client: each change once, with the clients that see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from ..xds.controlplane import Finding
from .asking import Asking, Looked
from .changes import Change
from .clients import Client, client_of, clients_of
from .folders import opened
from .origins import Origin, origins
from .samples import Asked

SECTIONS = ("requests", "connections", "services", "policies", "unsampled")


@dataclass(frozen=True, slots=True)
class Group:
    """Changes that the same clients see."""

    clients: tuple[Client, ...]
    changes: tuple[Change, ...]

    def of(self, section: str) -> list[Change]:
        """The changes of one section."""
        return [each for each in self.changes if each.section == section]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it. `everybody`: the kinds of clients that were asked about; `gone`, `come`: kinds of one side
    alone; `origins`: the objects that differ."""

    old: str
    new: str
    everybody: tuple[Client, ...]
    groups: tuple[Group, ...]
    gone: tuple[Client, ...]
    come: tuple[Client, ...]
    findings: dict[str, list[Finding]]
    looked: Looked
    origins: tuple[Origin, ...]

    @property
    def differs(self) -> bool:
        """Whether anything is decided differently."""
        return any(each.section != "unsampled" for group in self.groups for each in group.changes) or bool(
            self.gone or self.come
        )

    def document(self) -> dict[str, Any]:
        """The document of `proxyless diff --json` (docs/diff.md)."""
        return {
            "old": self.old,
            "new": self.new,
            "differs": self.differs,
            "clients": len(self.everybody),
            "looked_at": self.looked.document(),
            "workloads": {
                "added": [each.document() for each in self.come],
                "removed": [each.document() for each in self.gone],
            },
            "groups": [
                {
                    "clients": [each.document() for each in group.clients],
                    **{section: [each.document for each in group.of(section)] for section in SECTIONS},
                }
                for group in self.groups
            ],
            "findings": {key: [_without_column(each) for each in found] for key, found in self.findings.items()},
        }


def _without_column(finding: Finding) -> dict[str, Any]:
    return {key: value for key, value in finding.document().items() if key != "column"}


def compare(
    old: str, new: str, nodes: Sequence[str] = (), requests: Iterable[Asked] = (), *, one_by_one: bool = False
) -> Comparison:
    """Compare two folders; `one_by_one` takes no kind of client for another, and nothing for untouched.

    Raises:
        ConfigurationError: one cannot be read, or a node or request makes no sense.
    """
    folders = opened(old, new, apart=one_by_one)
    both, gone, come = clients_of(folders.old.world, folders.new.world)
    if nodes:
        both, gone, come = [client_of(each) for each in nodes], [], []
    given = list(requests)
    _known(given, both)
    seen: dict[str, tuple[Change, dict[int, None]]] = {}
    asking = Asking(folders, both, one_by_one)
    for index, change in asking.changes(lambda client: [each for each in given if _sends(client, each)]):
        seen.setdefault(change.key, (change, {}))[1][index] = None
    grouped: dict[tuple[int, ...], list[Change]] = {}
    for change, places in seen.values():
        grouped.setdefault(tuple(sorted(places)), []).append(change)
    groups = [
        Group(tuple(both[index] for index in key), tuple(changes))
        for key, changes in sorted(grouped.items(), key=lambda each: (-len(each[0]), each[0]))
    ]
    differing = tuple(origins(folders.old.read, folders.new.read, (old, new)))
    found = folders.findings()
    return Comparison(old, new, tuple(both), tuple(groups), tuple(gone), tuple(come), found, asking.looked, differing)


def _sends(client: Client, asked: Asked) -> bool:
    return not asked.client or _is(client, asked)


def _is(client: Client, asked: Asked) -> bool:
    return all(_said(client).get(name) == value for name, value in asked.client)


def _said(client: Client) -> dict[str, str]:
    return {
        "app": client.app,
        "namespace": client.namespace,
        "service_account": client.service_account,
        **{f"label.{name}": value for name, value in client.labels},
    }


def _known(given: Iterable[Asked], clients: Sequence[Client]) -> None:
    for asked in given:
        if asked.client and not any(_is(client, asked) for client in clients):
            said = ",".join(f"{name}={value}" for name, value in asked.client)
            raise ConfigurationError(f"{asked.origin}: no kind of client is {said}")
