"""The parts of the status document that come from what a mesh decides by: docs/status.md describes every key."""

from collections.abc import Callable
from typing import Any

from ...xds.model.resource import Resource, ResourceType
from ..runtime import Runtime
from .cluster_status import cluster_status
from .facts import ControlPlane, Facts, Held
from .identity import identity_status
from .inbound_status import inbound_status
from .notes import not_honoured

LATE = "late: "
"""How the join marks what was ACKed and then could not be decoded."""

Document = dict[str, Any]


def status(facts: Facts, pause: Callable[[], None] = lambda: None) -> Document:
    """How things stand. `pause` is called between small pieces of work."""
    runtime = facts.runtime
    plan = runtime.plan
    snapshot = plan.snapshot
    return {
        "ready": snapshot.complete,
        "generation": snapshot.generation,
        "control_plane": None if facts.control is None else _control(facts.control, facts.now),
        "identity": None if facts.identity is None else identity_status(facts.identity, facts.now),
        "resources": {} if facts.held is None else _resources(facts.held, pause),
        "rejected": [] if facts.held is None else _rejected(facts.held),
        "held_back": [] if facts.held is None else facts.held.held_back,
        "warming": sorted(snapshot.warming),
        "not_honoured": [
            {"resource": each.resource, "field": each.field, "reason": each.reason}
            for each in not_honoured(plan, pause)
        ],
        "clusters": _clusters(facts, pause),
        "inbound": inbound_status(runtime),
        "services": _services(runtime),
        "mirrored": dict(runtime.background.counts),
        "access_log": _logged(runtime),
    }


def _logged(runtime: Runtime) -> Document | None:
    if runtime.logged is None:
        return None
    counts = runtime.logged()
    return {"written": counts.written, "dropped": counts.dropped, "errors": dict(counts.errors)}


def _control(control: ControlPlane, now: float) -> Document:
    from_disk = control.from_disk
    good = from_disk if from_disk is not None else control.last_update
    return {
        "address": control.address,
        "connected": control.connected,
        "since": control.since,
        "identifier": control.control_plane,
        "error": control.error,
        "attempts": control.attempts,
        "updates": dict(control.updates),
        "rejects": dict(control.rejects),
        "last_update": control.last_update,
        "from_disk": from_disk,
        "age_s": None if good is None else round(max(0.0, now - good), 3),
    }


def _resources(held: Held, pause: Callable[[], None]) -> Document:
    document = {}
    for type_ in ResourceType:
        resources = list(held.newest[type_].values())
        pause()
        document[type_.message] = {
            "version": held.versions.get(type_, ""),
            "held": len(resources),
            "decoded": sum(each.decoded for each in resources),
            "versions": _versions(resources),
        }
    return document


def _versions(resources: list[Resource[Any]]) -> Document:
    """How many resources came with which version; delta gives each its own, and then the newest few are enough."""
    counts: dict[str, int] = {}
    for each in resources:
        counts[each.version] = counts.get(each.version, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: -pair[1])[:10])


def _rejected(held: Held) -> list[Document]:
    document = []
    for (type_, name), reason in sorted(dict(held.rejected).items(), key=lambda pair: (pair[0][0].message, pair[0][1])):
        resource = held.newest[type_].get(name)
        # A late reject is itself the newest, with the good one behind it; a NACKed one never got there.
        behind = resource.previous if resource is not None and resource.error is not None else resource
        document.append(
            {
                "type": type_.message,
                "name": name,
                "reason": reason.removeprefix(LATE),
                "late": reason.startswith(LATE),
                "in_force": None if behind is None else behind.version,
            }
        )
    return document


def _clusters(facts: Facts, pause: Callable[[], None]) -> list[Document]:
    """Those that calls have used, with what survives their configuration."""
    runtime = facts.runtime
    offset = facts.now - runtime.clock()
    current = dict(runtime.plan.clusters)
    document = []
    for name in sorted({*current, *list(runtime.states)}):
        pause()
        cluster, state = current.get(name), runtime.states.get(name)
        if state is not None:
            document.append(cluster_status(name, cluster, state, offset, runtime.clock()))
    return document


def _services(runtime: Runtime) -> list[Document]:
    """Those that filters have asked."""
    return [
        {
            "cluster": cluster,
            "method": method,
            "answers": each.answers,
            "failures": each.failures,
            "last_failure": each.last_failure,
        }
        for (cluster, method), each in sorted(dict(runtime.asked).items())
    ]
