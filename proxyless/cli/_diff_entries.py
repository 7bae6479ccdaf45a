"""A comparison as people look for things: by clients, then by host; what changes alike is one entry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..comparing.changes import Change, short
from ..comparing.clients import folded, named
from ..comparing.comparison import Comparison, Group

TOLD_BY_REQUESTS = (
    "timeout_s",
    "max_grpc_timeout_s",
    "idle_timeout_s",
    "retry",
    "hash_policies",
    "filters[envoy.filters.http.fault]",
)
"""Policies of routes that the requests which take the route already tell."""

FIRST = ("to", "action", "answer", "location", "body", "path", "authority")
RETRYING = ("retry on", "per try timeout", "retried statuses", "retry host predicates")

MOST = 100
"""Characters of a value."""


OWN_PORTS = "their own ports"
"""In place of the names of several workloads whose own ports change alike."""


@dataclass(slots=True)
class Entry:
    """Something that changed: a title, what of it, and the changes that say so."""

    title: str
    lines: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def effects(self) -> set[str]:
        """Which ways it goes."""
        said = (
            effect["effect"]
            for each in self.changes
            for effect in (each.document, *each.document.get("differences", ()))
            if "effect" in effect
        )
        return set(said)


Hosts = dict[str, list[Entry]]


@dataclass(frozen=True, slots=True)
class Section:
    """What the same clients see, by host."""

    clients: str
    hosts: Hosts


def sections(found: Comparison) -> list[Section]:
    """Everything that changed. What the own ports of several workloads do otherwise is told once for all of them."""
    place = {id(each): index for index, each in enumerate(found.everybody)}
    seen: dict[tuple[int, ...], Hosts] = {}
    incoming: dict[tuple[str, str], tuple[set[int], list[Change]]] = {}
    for group in found.groups:
        places = tuple(place[id(each)] for each in group.clients)
        _add(seen.setdefault(places, {}), _outgoing(group))
        for each in group.of("policies"):
            if each.document["of"] == "inbound":
                key = _place(each.document), _change(each.document["field"], each.document)
                who, changes = incoming.setdefault(key, (set(), []))
                who.update(places)
                changes.append(each)
    for (title, line), (who, changes) in incoming.items():
        hosts = seen.setdefault(tuple(sorted(who)), {})
        names = {each.host for each in changes}
        entries = hosts.setdefault(short(changes[0].host) if len(names) == 1 else OWN_PORTS, [])
        entry = next((each for each in entries if each.title == title), None)
        if entry is None:
            entries.append(entry := Entry(title))
        entry.lines.append(line)
        entry.changes += changes
    return [
        Section(named([found.everybody[each] for each in places], found.everybody), _merged(hosts))
        for places, hosts in sorted(seen.items(), key=lambda each: (-len(each[0]), each[0]))
        if hosts
    ]


def _add(hosts: Hosts, more: Hosts) -> None:
    for host, entries in more.items():
        hosts.setdefault(host, []).extend(entries)


def _merged(hosts: Hosts) -> Hosts:
    """Hosts of which the same is said, as one."""
    alike: dict[str, list[str]] = {}
    for host, entries in hosts.items():
        alike.setdefault(json.dumps([[each.title, each.lines] for each in entries]), []).append(host)
    merged: Hosts = {}
    for names in alike.values():
        entries = hosts[names[0]]
        for host in names[1:]:
            for entry, other in zip(entries, hosts[host], strict=True):
                entry.changes += other.changes
        merged[folded(names)] = entries
    return merged


def rest(found: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Workloads of one side alone."""
    if found.come:
        yield "new workloads", [each.name for each in found.come]
    if found.gone:
        yield "workloads that are gone", [each.name for each in found.gone]


def _outgoing(group: Group) -> Hosts:
    found: Hosts = {}
    alike: dict[str, list[Change]] = {}
    for each in group.of("requests"):
        known = [said for said in _shown(each) if said["what"] != "path"]
        alike.setdefault(json.dumps([each.host, known], sort_keys=True), []).append(each)
    for changes in alike.values():
        found.setdefault(short(changes[0].host), []).append(_requests(changes))
    for each in group.of("connections"):
        document = each.document
        asks = f" ({document['match']})" if document["match"] else ""
        title = f"connections to {document['address']}:{document['port']}{asks}"
        said = Entry(f"{title}: {_value(document['old'])} -> {_value(document['new'])}", changes=[each])
        found.setdefault(short(each.host), []).append(said)
    for each in group.of("services"):
        found.setdefault(short(each.host), []).append(Entry(_service(each.document), changes=[each]))
    policies: dict[tuple[str, str], Entry] = {}
    told = {each.host.partition(":")[0] for each in group.of("requests")}
    for each in group.of("policies"):
        document = each.document
        if document["of"] == "inbound":
            continue
        if document["of"] == "route" and document["field"].startswith(TOLD_BY_REQUESTS) and each.host in told:
            continue
        place = _place(document)
        entry = policies.get((each.host, place))
        if entry is None:
            entry = policies[each.host, place] = Entry(place)
            found.setdefault(short(each.host) or "the mesh", []).append(entry)
        entry.lines.append(_change(document["field"], document))
        entry.changes.append(each)
    for each in group.of("unsampled"):
        document = each.document
        route = f"route {document['route'] or document['route_index']}, {document['side']} folder"
        said = Entry(f"{route}: not asked about: {document['reason']}", changes=[each])
        found.setdefault(short(each.host), []).append(said)
    return found


def _requests(changes: list[Change]) -> Entry:
    document = changes[0].document
    path = "/" + document["url"].partition("://")[2].partition("/")[2]
    headers = "".join(f"  {name}: {value}" for name, value in document["headers"])
    more = f"  (and {len(changes) - 1} more like it)" if len(changes) > 1 else ""
    entry = Entry(f"{document['method']} {path}{headers}{more}", changes=list(changes))
    entry.lines += [_change(each["what"], each) for each in _shown(changes[0])]
    return entry


def _shown(change: Change) -> list[dict[str, Any]]:
    """What people want to know: where another kind of thing happens, only what; and nothing that follows from it."""
    differences = change.document["differences"]
    names = {each["what"] for each in differences}
    if "action" in names:
        return [each for each in differences if each["what"] in FIRST]
    return [
        each
        for each in differences
        if not each["what"].startswith("request header x-envoy-")
        and not ("retries" in names and None in (each["old"], each["new"]) and each["what"] in RETRYING)
    ] or list(differences)


def _change(name: str, said: dict[str, Any]) -> str:
    effect = f" ({said['effect']})" if said["effect"] != "changes" else ""
    old, new = (_value(said[side]) for side in ("old", "new"))
    if name == "authorization":
        # A policy none of whose rules can be asked there; it allows, or denies, nothing.
        old, new = (f"{said['action'].lower()}s nothing" if each == "nothing" else each for each in (old, new))
    return f"{name}: {old} -> {new}{effect}"


def _place(document: dict[str, Any]) -> str:
    of = document["of"]
    if of == "inbound":
        ports = [str(each) for each in document["ports"] if each != "others"]
        said = "incoming"
        if not document["every_port"]:
            said += f", {'port' if len(ports) == 1 else 'ports'} {', '.join(ports)}" if ports else ""
            said += ", other ports" if "others" in document["ports"] else ""
        return f"{said}, {document['action']} {document['policy_name']}".rstrip() if "action" in document else said
    if of == "route":
        return f"route {document['route']}"
    parts = [of]
    if document.get("port"):
        parts.append(f"port {document['port']}")
    parts += [f"{key} {document[key]}" for key in ("subset", "locality", "address") if document.get(key)]
    return ", ".join(parts)


def _service(document: dict[str, Any]) -> str:
    endpoints = document["endpoints"]
    port = f"port {document['port']}" if document["port"] is not None else document["cluster"]
    what = f"{port}, subset {document['subset']}" if document["subset"] else port
    if document["change"] == "added":
        return f"{what}: new, {endpoints['new']} endpoints"
    if document["change"] == "removed":
        return f"{what}: gone, with {endpoints['old']} endpoints"
    names = [f"-{each}" for each in endpoints["gone"]] + [f"+{each}" for each in endpoints["come"]]
    said = f"{what}: {endpoints['old']} -> {endpoints['new']} endpoints"
    return f"{said} ({_cut(' '.join(names))})" if names else said


def _value(value: Any) -> str:
    """Shares as `cart.shop v1 90 %`, lists with commas; nothing is `none`."""
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, dict) and value.keys() == {"rule", "says"}:
        return f"rule {value['rule']} {value['says']}" if value["rule"] else "nothing"
    if isinstance(value, dict) and all(isinstance(each, float) for each in value.values()):
        return ", ".join(f"{name} {share:g} %" for name, share in value.items())
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        return _cut(",".join(map(str, value)))
    if isinstance(value, float):
        return f"{value:g}"
    return _cut(value if isinstance(value, str) else json.dumps(value))


def _cut(text: str) -> str:
    text = text.replace("\n", " ")
    return text if len(text) <= MOST else f"{text[: MOST - 3]}..."
