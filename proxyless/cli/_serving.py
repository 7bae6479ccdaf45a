"""What `serve` says: the state of a control plane, and how one state differs from the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..xds.controlplane import Fault, Ref
from ..xds.controlplane.kinds import KINDS
from ..xds.controlplane.objects import Object
from ..xds.controlplane.plane import State

Document = dict[str, Any]
Held = Object[Any]

STAYS = "what it said before stays in force"
NOTHING = "nothing of it is in force"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened: `event` is added, changed, removed, refused, repaired or noted (without effect)."""

    event: str
    document: Document


def opening(state: State, directory: str, address: str, tls: str = "", mutual: str = "") -> Document:
    """What is served at first. `tls` and `mutual` are where it is served over TLS, too."""
    kinds: dict[str, int] = {}
    for ref in state.world.by_ref:
        kinds[ref.kind] = kinds.get(ref.kind, 0) + 1
    return {
        "event": "serving",
        "address": f"xds://{address}",
        **({"tls_address": f"xds+tls://{tls}"} if tls else {}),
        **({"mtls_address": f"xds+tls://{mutual}"} if mutual else {}),
        "folder": directory,
        "version": state.version,
        "objects": dict(sorted(kinds.items())),
        "services": sorted({service.hostname for service in state.world.services}),
        "errors": [_error(fault, {}) for fault in state.faults],
        "notes": [_note(note) for note in state.notes],
    }


def shown_opening(document: Document) -> str:
    """The same for people."""
    objects = document["objects"]
    counts = ", ".join(f"{count} {kind}" for kind, count in objects.items())
    services = document["services"]
    lines = [
        f"serving {document['folder']} at {document['address']}",
        *([f"over TLS at {document['tls_address']}"] if "tls_address" in document else []),
        *([f"for clients with certificates at {document['mtls_address']}"] if "mtls_address" in document else []),
        *([f"checking objects at {document['webhook']}"] if "webhook" in document else []),
        f"objects: {sum(objects.values())}" + (f" ({counts})" if counts else ""),
        f"services: {len(services)}" + (f" ({', '.join(services)})" if services else ""),
    ]
    lines += [_shown_error(each) for each in document["errors"]]
    lines += [_shown_note(each) for each in document["notes"]]
    return "\n".join(lines)


def differences(before: State, after: State) -> Iterator[Change]:
    """What happened between two states: objects by name, then what is wrong and what is right again."""
    old, new = before.world.by_ref, after.world.by_ref
    for ref, item in new.items():
        known = old.get(ref)
        if known is not item:
            yield Change("added" if known is None else "changed", _object(ref, item.place.file, after))
    for ref, item in old.items():
        if ref not in new:
            yield Change("removed", _object(ref, item.place.file, after))
    known_faults = set(before.faults)
    for fault in after.faults:
        if fault not in known_faults:
            yield Change("refused", {"version": after.version, **_error(fault, _kept(old, new))})
    for note in after.notes:
        if note not in before.notes:
            yield Change("noted", {"version": after.version, **_note(note)})
    wrong = _files(after.faults)
    for file in sorted(_files(before.faults) - wrong):
        yield Change("repaired", {"version": after.version, "file": file})


def shown(change: Change) -> str:
    """One line for people."""
    document = change.document
    if change.event == "refused":
        return _shown_error(document)
    if change.event == "noted":
        return _shown_note(document)
    if change.event == "repaired":
        return f"repaired {document['file']}"
    where = "" if document["file"] == document["object"] else f" ({document['file']})"
    return f"{change.event} {document['object']}{where}"


def _files(faults: Iterable[Fault]) -> set[str]:
    return {fault.place.file for fault in faults}


def _object(ref: Ref, file: str, state: State) -> Document:
    return {"version": state.version, "object": str(ref), "file": file}


def _kept(old: Mapping[Ref, Held], new: Mapping[Ref, Held]) -> Mapping[Ref, Held]:
    return {ref: item for ref, item in new.items() if ref in old}


def _error(fault: Fault, kept: Mapping[Ref, Held]) -> Document:
    """`in_force`: whether what it said before, if anything, still serves. `kept` was in force and is."""
    if fault.object is not None:
        in_force = fault.object in kept
    elif fault.place.file in KINDS or "://" in fault.place.file:
        in_force = True  # a kind of a cluster, or its API server: all of it has been read, be it that nothing was there
    else:
        in_force = any(fault.place.file == item.place.file for item in kept.values())
    return {**_note(fault), "in_force": in_force}


def _note(fault: Fault) -> Document:
    return {
        "file": fault.place.file,
        "line": fault.place.line,
        "column": fault.place.column,
        "object": str(fault.object) if fault.object is not None else None,
        "field": fault.field,
        "message": fault.message,
        "text": str(fault),
    }


def _shown_error(error: Document) -> str:
    return f"refused {error['text']}; {STAYS if error['in_force'] else NOTHING}"


def _shown_note(note: Document) -> str:
    return f"noted {note['text']}"
