"""What a mesh says of itself: the documents behind `Mesh.status`, `Mesh.dump`, the status socket and the commands.

docs/status.md describes every key. Large parts come one by one (`parts`), so that whoever writes them can pause between
them: a process that is asked serves calls meanwhile.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import __version__
from ._extensions import extensions, problems
from .governance.composition.builtin import BUILTIN
from .governance.composition.compose import NONE
from .governance.telemetry.facts import Facts, Held
from .governance.telemetry.status import status as mesh_status
from .xds.identity.bootstrap import Node
from .xds.model.resource import Resource, ResourceType

Document = dict[str, Any]
Pause = Callable[[], None]

LIMITS = (
    "Rate limits and circuit breaker thresholds hold for each process by itself. With N worker processes of one pod up "
    "to N times as much is let through as Envoy would, which counts per pod; how many there are is not known here."
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose documents these are. `options`: the choices of the user, as the document shows them. `faults`: what is
    wrong with the folder that the configuration comes from."""

    node: Node
    address: str
    options: Mapping[str, Any]
    facts: Callable[[], Facts | None]
    faults: Callable[[], Sequence[str]] = tuple

    def now(self) -> Facts:
        """How things stand.

        Raises:
            ReferenceError: the mesh is gone.
        """
        facts = self.facts()
        if facts is None:
            raise ReferenceError("the mesh is closed")
        return facts


def _nothing() -> None:
    pass


def status(subject: Subject, pause: Pause = _nothing) -> Document:
    """How things stand."""
    facts = subject.now()
    document = {
        **_head(subject),
        "limits": {"per": "process", "processes": None, "note": LIMITS},
        "options": dict(subject.options),
        **mesh_status(facts, pause),
    }
    document["policies"] = policies_in_force(facts)
    document["extensions"] = found = extensions()
    document["findings"] = [*findings(document), *problems(found), *(f"refused {each}" for each in subject.faults())]
    return document


def policies_in_force(facts: Facts) -> Document:
    """The lists of policies: the mesh's own, and that of every suite that was made (those that are alike once)."""
    runtime = facts.runtime
    return {
        "mesh": [each.document() for each in (runtime.policies or NONE).entries()],
        "suites": [
            {"suite": name, "made": made, "policies": [each.document() for each in entries]}
            for (name, entries), made in list(runtime.suites.items())
        ],
    }


def _switched(policies: Document) -> list[str]:
    """What is switched off or in shadow mode, and by whom."""
    lists = [("the mesh", policies["mesh"]), *((each["suite"], each["policies"]) for each in policies["suites"])]
    found = [
        f"{each['name']} {'is off' if each['mode'] == 'off' else 'is in shadow mode'} in {who} ({each['origin']})"
        + (": it keeps nobody out" if BUILTIN[each["name"]].secures else "")
        for who, entries in lists
        for each in entries
        if each["kind"] == "mesh" and each["mode"] != "on"
    ]
    return list(dict.fromkeys(found))


def findings(document: Document) -> list[str]:
    """What somebody should look at: a control plane that is away, resources that are refused."""
    found = []
    control = document["control_plane"]
    if control is not None and not control["connected"]:
        reason = control["error"] or "no answer yet"
        found.append(f"not connected to the control plane {control['address']}: {reason}")
    if not document["ready"]:
        found.append("no complete configuration is in force")
    found += _of_identity(document["identity"])
    found += _switched(document["policies"])
    for each in document["rejected"]:
        kept = "nothing is" if each["in_force"] is None else f"version {each['in_force']!r} stays"
        found.append(f"{each['type']} {each['name']!r} is rejected: {each['reason']} ({kept} in force)")
    return found


def _of_identity(identity: Document | None) -> list[str]:
    if identity is None:
        return []
    found = []
    if identity["error"] or not identity["ready"]:
        kept = "the certificate in use stays" if identity["ready"] else "there is no certificate"
        found.append(f"identity from the {identity['source']}: {identity['error'] or 'no answer yet'} ({kept})")
    found += [
        f"the certificate {each['subject']} ({each['secret']}) has expired"
        for each in identity["certificates"]
        if each["expires_in_s"] <= 0
    ]
    return found


def dump(
    subject: Subject,
    *,
    typed: bool = False,
    type_: str | None = None,
    name: str | None = None,
    pause: Pause = _nothing,
) -> Document:
    """Every resource, or those of one type or name."""
    document = _dump_head(subject)
    document["dump"] = list(resources(subject.now(), typed=typed, type_=type_, name=name, pause=pause))
    return document


def resources(
    facts: Facts, *, typed: bool = False, type_: str | None = None, name: str | None = None, pause: Pause = _nothing
) -> Iterator[Document]:
    """One resource after the other, as it was sent but for its secrets."""
    from .xds.wire.readable import as_json, as_typed

    if facts.held is None:
        return
    for each in _chosen(facts.held, type_, name):
        pause()
        now = _in_force(facts, each)
        yield {
            "type": each.type.message,
            "name": each.name,
            "version": each.version,
            "state": "rejected" if each.error is not None else "decoded" if each.decoded else "held",
            "version_in_force": None if now is None else now.version,
            "resource": as_typed(each.type, each.raw) if typed else as_json(each.type, each.raw, pause),
        }


def _chosen(held: Held, type_: str | None, name: str | None) -> Iterator[Resource[Any]]:
    for kind in ResourceType:
        if type_ is None or kind.message.lower() == type_.lower():
            for each in list(held.newest[kind].values()):
                if name is None or each.name == name:
                    yield each


def _in_force(facts: Facts, resource: Resource[Any]) -> Resource[Any] | None:
    """What calls see under this name: another version while the newest is held back or refused."""
    snapshot = facts.runtime.plan.snapshot
    tables: Mapping[ResourceType, Mapping[str, Resource[Any]]] = {
        ResourceType.LISTENER: snapshot.listeners,
        ResourceType.ROUTE: snapshot.routes,
        ResourceType.CLUSTER: snapshot.clusters,
        ResourceType.ENDPOINT: snapshot.assignments,
        ResourceType.EXTENSION: snapshot.extensions,
    }
    table = tables.get(resource.type)
    current = resource if table is None else table.get(resource.name)
    return current.previous if current is not None and current.error is not None else current


def parts(subject: Subject, request: Document, pause: Pause) -> Iterator[Document]:
    """A document for the wire: `{"part": key, "item": ...}` for each entry of a long list, then the rest."""
    command = request.get("command")
    if command == "status":
        document = status(subject, pause)
        clusters, document["clusters"] = document["clusters"], []
        for item in clusters:
            yield {"part": "clusters", "item": item}
        yield {"document": document}
    elif command == "dump":
        for item in resources(subject.now(), type_=request.get("type"), name=request.get("name"), pause=pause):
            yield {"part": "dump", "item": item}
        yield {"document": _dump_head(subject)}
    else:
        yield {"error": f"unknown command {command!r}"}


def joined(lines: Iterator[Document]) -> Document:
    """The reverse of `parts`.

    Raises:
        ValueError: the other side says that it cannot.
    """
    lists: dict[str, list[Any]] = {}
    for line in lines:
        if "error" in line:
            raise ValueError(line["error"])
        if "document" in line:
            document: Document = line["document"]
            return document | lists
        lists.setdefault(line["part"], []).append(line["item"])
    raise ValueError("the answer breaks off")


def _head(subject: Subject) -> Document:
    node = subject.node
    return {
        "process": {"pid": os.getpid(), **versions()},
        "source": subject.address,
        "node": {
            "id": node.id,
            "namespace": node.namespace,
            "app": node.app,
            "service_account": node.service_account,
            "labels": dict(node.labels),
            "locality": None if node.locality is None else "/".join(node.locality).rstrip("/"),
            "cluster_id": node.cluster_id,
        },
    }


def _dump_head(subject: Subject) -> Document:
    return {**_head(subject), "generation": subject.now().runtime.plan.snapshot.generation, "dump": []}


def versions() -> dict[str, str | None]:
    """Of proxyless and of what it stands on, without importing any of it."""
    found: dict[str, str | None] = {"proxyless": __version__, "python": platform.python_version()}
    for name in ("grpcio", "protobuf"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found
