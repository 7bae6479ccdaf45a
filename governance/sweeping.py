"""Connections that nobody will use: found about once a second and closed.

A request looks at the connection it takes, so nothing here is needed for calls to be right. What it saves are file
descriptors and sockets on the other side: connections that have been idle for longer than their cluster says, that lead
to an endpoint which is gone, whose event loop has ended, or of which there are too many.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from heapq import nsmallest
from typing import Any

from .cluster import ClusterState
from .pool import Pool, Slot
from .runtime import Runtime


def sweep(runtime: Runtime, most: int) -> None:
    """Close what is idle for no purpose; of the rest `most` connections may stay idle, the longest idle go first."""
    now = runtime.clock()
    kept: list[Pool] = []
    for name, state in list(runtime.states.items()):
        gone = _gone(runtime, name, state)
        for address, host in list(state.hosts.items()):
            for key, pool in list(host.pools.items()):
                if address in gone or _has_ended(key[0]):
                    _close(pool.retire())
                    if not pool.size:
                        host.pools.pop(key, None)
                    continue
                _close(pool.sweep(now))
                if pool.secure is not None and not pool.size:
                    # Where each Host has a name of its own to ask for, they would be as many as somebody thinks of.
                    _close(pool.retire())
                    host.pools.pop(key, None)
                else:
                    kept.append(pool)
            if address in gone and not host.active and not host.pools:
                state.hosts.pop(address, None)
    idle = [(since, number) for number, pool in enumerate(kept) for since in pool.idle()]
    for since, number in nsmallest(len(idle) - most, idle):
        _close(kept[number].drain(since))
    runtime.on_sweep()


def leads_somewhere(runtime: Runtime, name: str, address: str) -> bool:
    """Whether a cluster is still there, and has that endpoint."""
    state = runtime.states.get(name)
    return name in runtime.plan.snapshot.clusters and (state is None or address not in _gone(runtime, name, state))


def _gone(runtime: Runtime, name: str, state: ClusterState) -> Collection[str]:
    """The addresses to which no request of this cluster goes any more."""
    plan = runtime.plan
    cluster = plan.clusters.get(name)
    if cluster is None:
        return () if name in plan.snapshot.clusters else state.hosts
    if cluster.original_dst or len(state.hosts) <= len(cluster.hosts):
        return ()
    return state.hosts.keys() - {host.address for host in cluster.hosts}


def _has_ended(owner: Any) -> bool:
    """Whether it is an event loop that is closed."""
    is_closed = getattr(owner, "is_closed", None)
    return is_closed is not None and bool(is_closed())


def _close(slots: Iterable[Slot]) -> None:
    for slot in slots:
        slot.connection.close()
