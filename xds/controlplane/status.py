"""What a plane says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .discovery.rules import TYPES
from .discovery.session import Session
from .objects import Fault


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """One type of one client. `error` is what the client said when it refused the last response.

    `sent_at`: when the last response was made, in seconds since the epoch; `size`: its bytes.
    """

    type: str
    names: frozenset[str]
    sent: str
    acked: str
    version: str
    error: str = ""
    sent_at: float = 0.0
    size: int = 0

    @property
    def state(self) -> str:
        """As `istioctl proxy-status` says it: SYNCED, STALE (sent, not acknowledged), NOT SENT; or ERROR."""
        if self.error:
            return "ERROR"
        if not self.sent:
            return "NOT SENT"
        return "SYNCED" if self.acked == self.sent else "STALE"


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """One stream. `rejected` counts refusals since it began."""

    node: str
    ip: str
    namespace: str
    peer: str
    delta: bool
    version: str
    rejected: int
    subscriptions: tuple[SubscriptionStatus, ...]
    since: float = 0.0
    cluster: str = ""
    istio_version: str = ""
    program: str = ""
    labels: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        """Pod and namespace, as `istioctl proxy-status` names a proxy."""
        parts = self.node.split("~")
        return parts[2] if len(parts) == 4 else self.node


@dataclass(frozen=True, slots=True)
class PlaneStatus:
    """`objects` counts what is in force by kind; `faults` is what is not, keys that cannot be fetched too."""

    version: str
    objects: dict[str, int]
    faults: tuple[Fault, ...]
    clients: tuple[ClientStatus, ...]


def client_status(session: Session) -> ClientStatus:
    client = session.client
    node = client.node if client else None
    subscriptions = tuple(
        SubscriptionStatus(
            TYPES[url].label if url in TYPES else url,
            watch.names,
            watch.sent,
            watch.acked,
            watch.version,
            watch.error,
            watch.sent_at,
            watch.size,
        )
        for url, watch in list(session.watches.items())
    )
    return ClientStatus(
        node=node.id if node else "",
        ip=node.addresses[0] if node else "",
        namespace=node.namespace if node else "",
        peer=session.peer,
        delta=session.delta,
        version=session.version,
        rejected=session.rejected,
        subscriptions=subscriptions,
        since=session.began,
        cluster=node.cluster_id if node else "",
        istio_version=node.text("ISTIO_VERSION") if node else "",
        program=node.agent if node else "",
        labels=client.proxy.labels if client else None,
    )
