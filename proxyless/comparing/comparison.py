"""Both folders compared, for every kind of client: each change once, with the clients that see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from ..xds.controlplane import Finding
from .chains import compare_chains
from .changes import Change
from .clients import Client, client_of, clients_of
from .clusters import compare_clusters
from .folders import Folder, findings_changed
from .inbound import compare_inbound
from .requests import compare_requests
from .samples import Asked
from .sight import Sight

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
    alone."""

    old: str
    new: str
    everybody: tuple[Client, ...]
    groups: tuple[Group, ...]
    gone: tuple[Client, ...]
    come: tuple[Client, ...]
    findings: dict[str, list[Finding]]

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


def compare(old: str, new: str, nodes: Sequence[str] = (), requests: Iterable[Asked] = ()) -> Comparison:
    """Compare two folders.

    Raises:
        ConfigurationError: one cannot be read, or a node or request makes no sense.
    """
    before, after = Folder(old), Folder(new)
    both, gone, come = clients_of(before, after)
    if nodes:
        both, gone, come = [client_of(each) for each in nodes], [], []
    given = list(requests)
    _known(given, both)
    seen: dict[str, tuple[Change, dict[int, None]]] = {}
    outbound: dict[object, list[Change]] = {}
    for index, client in enumerate(both):
        for change in _of_client(client, before, after, given, outbound):
            seen.setdefault(change.key, (change, {}))[1][index] = None
    grouped: dict[tuple[int, ...], list[Change]] = {}
    for change, places in seen.values():
        grouped.setdefault(tuple(places), []).append(change)
    groups = [
        Group(tuple(both[index] for index in key), tuple(changes))
        for key, changes in sorted(grouped.items(), key=lambda each: (-len(each[0]), each[0]))
    ]
    findings = findings_changed(before.findings, after.findings)
    return Comparison(old, new, tuple(both), tuple(groups), tuple(gone), tuple(come), findings)


def _of_client(
    client: Client, before: Folder, after: Folder, given: list[Asked], outbound: dict[object, list[Change]]
) -> list[Change]:
    old, new = Sight(before, client.old), Sight(after, client.new)
    own = tuple(each for each in given if not each.client or _is(client, each))
    key = old.digest, new.digest, own
    found = outbound.get(key)
    if found is None:
        found = outbound[key] = []
        if old.digest != new.digest:
            found += compare_requests(old, new, own)
            found += compare_chains(old, new)
            found += compare_clusters(old, new)
    return [*found, *compare_inbound(old, new, client.name)]


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
