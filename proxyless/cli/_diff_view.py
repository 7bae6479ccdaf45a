"""A comparison for people: by clients, then by host; requests that change alike are one entry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ..comparing.asking import Looked
from ..comparing.changes import Change, short
from ..comparing.clients import named
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


@dataclass(slots=True)
class Entry:
    """Something that changed: a title, and what of it."""

    title: str
    lines: list[str] = field(default_factory=list)


def as_text(found: Comparison) -> str:
    """Short text; empty where there is nothing to say."""
    lines: list[str] = []
    for group in found.groups:
        lines.append(f"{named(group.clients, found.everybody)}:")
        for host, entries in _by_host(group).items():
            lines.append(f"  {host}")
            for entry in entries:
                lines.append(f"    {entry.title}")
                lines += [f"      {each}" for each in entry.lines]
    for title, said in _rest(found):
        lines += [f"{title}:", *(f"  {each}" for each in said)]
    return "\n".join(lines)


def looked_at(looked: Looked) -> str:
    """What was looked at, beside the output."""
    return (
        f"{looked.kinds} {'kind' if looked.kinds == 1 else 'kinds'} of clients: {looked.compared} compared,"
        f" {looked.alike} told the same as one of these, {looked.untouched} told nothing new"
    )


def as_markdown(found: Comparison) -> str:
    """For a comment on a pull request."""
    if not found.differs and not any(found.findings.values()) and not found.groups:
        return "No decision of the mesh changes."
    lines = ["### What changes in the mesh", ""]
    for group in found.groups:
        lines += [f"**{named(group.clients, found.everybody)}**", ""]
        for host, entries in _by_host(group).items():
            lines.append(f"- {_code(host)}")
            for entry in entries:
                lines.append(f"  - {_code(entry.title)}" if entry.lines else f"  - {_escaped(entry.title)}")
                lines += [f"    - {_escaped(each)}" for each in entry.lines]
        lines.append("")
    for title, said in _rest(found):
        lines += [f"**{title}**", "", *(f"- {_escaped(each)}" for each in said), ""]
    return "\n".join(lines).rstrip()


def _code(text: str) -> str:
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def _escaped(text: str) -> str:
    for each in ("\\", "`", "*", "_", "<", "[", "|"):
        text = text.replace(each, f"\\{each}")
    return text


def _rest(found: Comparison) -> Iterator[tuple[str, list[str]]]:
    if found.come:
        yield "new workloads", [each.name for each in found.come]
    if found.gone:
        yield "workloads that are gone", [each.name for each in found.gone]
    for key, title in (("new", "new findings of check"), ("gone", "findings of check that are gone")):
        if found.findings[key]:
            yield title, [str(replace(each, column=0)) for each in found.findings[key]]


def _by_host(group: Group) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
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
        said = Entry(f"{title}: {_value(document['old'])} -> {_value(document['new'])}")
        found.setdefault(short(each.host), []).append(said)
    for each in group.of("services"):
        found.setdefault(short(each.host), []).append(Entry(_service(each.document)))
    policies: dict[tuple[str, str], Entry] = {}
    told = {each.host.partition(":")[0] for each in group.of("requests")}
    for each in group.of("policies"):
        document = each.document
        if document["of"] == "route" and document["field"].startswith(TOLD_BY_REQUESTS) and each.host in told:
            continue
        place = _place(document)
        entry = policies.get((each.host, place))
        if entry is None:
            entry = policies[each.host, place] = Entry(place)
            found.setdefault(short(each.host) or "the mesh", []).append(entry)
        entry.lines.append(_change(document["field"], document))
    for each in group.of("unsampled"):
        document = each.document
        route = f"route {document['route'] or document['route_index']}, {document['side']} folder"
        found.setdefault(short(each.host), []).append(Entry(f"{route}: not asked about: {document['reason']}"))
    return found


def _requests(changes: list[Change]) -> Entry:
    document = changes[0].document
    path = "/" + document["url"].partition("://")[2].partition("/")[2]
    headers = "".join(f"  {name}: {value}" for name, value in document["headers"])
    more = f"  (and {len(changes) - 1} more like it)" if len(changes) > 1 else ""
    entry = Entry(f"{document['method']} {path}{headers}{more}")
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
    return f"{name}: {_value(said['old'])} -> {_value(said['new'])}{effect}"


def _place(document: dict[str, Any]) -> str:
    of = document["of"]
    if of == "inbound":
        ports = [str(each) for each in document["ports"] if each != "others"]
        said = f"incoming, {'port' if len(ports) == 1 else 'ports'} {', '.join(ports)}" if ports else "incoming"
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
