"""The status document for people: what is wrong first, then tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .._extensions import line

Document = dict[str, Any]

UNLIMITED = 4294967295
PIPED_WIDTH = 160
"""Columns where nobody says how wide the paper is."""


def console() -> Console:
    """Standard output."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def view(document: Document) -> RenderableType:
    """The whole document."""
    parts: list[RenderableType] = [_head(document), *_findings(document["findings"])]
    parts += [Text(f"  {each}", style="yellow") for each in document["options"].get("warnings", ())]
    if document.get("identity") is not None and document["identity"]["certificates"]:
        parts.append(_certificates(document["identity"]))
    parts.append(_resources(document["resources"]))
    if document["clusters"]:
        parts += [_clusters(document["clusters"]), _endpoints(document["clusters"])]
    if document["inbound"]:
        parts += [_inbound(document["inbound"]), *_tokens(document["inbound"])]
    if document["services"]:
        parts.append(_services(document["services"]))
    if document["held_back"]:
        parts.append(Text("held back until what they need is there: " + ", ".join(document["held_back"])))
    if document.get("extensions"):
        parts.append(Text("extensions: " + "; ".join(map(line, document["extensions"]))))
    if document["not_honoured"]:
        parts.append(_not_honoured(document["not_honoured"]))
    parts.append(Text(document["limits"]["note"], style="dim"))
    return Group(*parts)


def _head(document: Document) -> RenderableType:
    process = document["process"]
    table = Table.grid(padding=(0, 2))
    versions = ", ".join(f"{name} {process[name]}" for name in ("proxyless", "python", "grpcio") if process[name])
    rows = {
        "process": f"{process['pid']} ({versions})",
        "node": document["node"]["id"],
        "control plane": _control(document),
        "configuration": f"generation {document['generation']}, {'complete' if document['ready'] else 'not complete'}",
    }
    if document.get("identity") is not None:
        rows["identity"] = _identity(document["identity"])
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), Text(value))
    return table


def _identity(identity: Document) -> str:
    leaf = next((each for each in identity["certificates"] if each["kind"] == "leaf"), None)
    if leaf is None:
        return f"none yet, from the {identity['source']}"
    text = f"{leaf['subject']} from the {identity['source']}, valid until {_clock(leaf['not_after'])}"
    return f"{text}, renewed after {_clock(leaf['renews'])}" if leaf["renews"] else text


def _certificates(identity: Document) -> RenderableType:
    table = table_of(
        "certificates", "secret", "what for", "subject", "issuer", "valid until", "renewed after", "#rotations"
    )
    for each in identity["certificates"]:
        table.add_row(
            Text(each["secret"]),
            "shown" if each["kind"] == "leaf" else "verifies peers",
            Text(each["subject"]),
            Text(each["issuer"]),
            Text(_clock(each["not_after"]), style="bold red" if each["expires_in_s"] <= 0 else ""),
            _clock(each["renews"]) if each["renews"] else "-",
            str(identity["rotations"].get(each["secret"], 0)),
        )
    return table


def _control(document: Document) -> str:
    control = document["control_plane"]
    if control is None:
        return f"none: {document['source']}"
    since = f" since {_clock(control['since'])}" if control["connected"] and control["since"] else ""
    state = f"connected{since}" if control["connected"] else "not connected"
    text = f"{control['address']}, {state}, attempt {control['attempts']}"
    if control["from_disk"] is not None:
        text += f"; from disk, saved {_clock(control['from_disk'])}"
    elif control["age_s"] is not None:
        text += f"; last update {control['age_s']:.0f} s ago"
    return text


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def _findings(findings: Iterable[str]) -> list[RenderableType]:
    return [Text(f"! {each}", style="bold red") for each in findings]


def _resources(resources: Document) -> RenderableType:
    table = table_of("resources", "type", "version", "#held", "#decoded")
    for type_, each in resources.items():
        table.add_row(type_, each["version"] or "-", str(each["held"]), str(each["decoded"]))
    return table


def _clusters(clusters: list[Document]) -> RenderableType:
    names = ("requests", "pending", "connections", "retries")
    table = table_of("clusters in use", "cluster", "policy", *(f"#{each}" for each in names), "#overflows")
    for cluster in clusters:
        for priority, breaker in cluster["breakers"].items():
            counted = any(breaker[each]["now"] for each in names) or any(breaker["overflows"].values())
            if priority == "default" or counted:
                name = cluster["name"] if priority == "default" else f"  priority {priority}"
                overflows = ", ".join(f"{kind} {count}" for kind, count in breaker["overflows"].items() if count)
                gone = "" if cluster["in_force"] else " (gone)"
                numbers = [f"{breaker[each]['now']}/{_limit(breaker[each]['limit'])}" for each in names]
                table.add_row(Text(name + gone), cluster["lb_policy"] or "-", *numbers, overflows or "-")
    return table


def _limit(value: int) -> str:
    return "-" if value >= UNLIMITED else str(value)


def _endpoints(clusters: list[Document]) -> RenderableType:
    table = table_of("endpoints", "cluster", "address", "health", "locality", "#prio", "#weight", "#active", "#conns")
    for cluster in clusters:
        for each in cluster["endpoints"]:
            health = _health(each)
            table.add_row(
                Text(cluster["name"]),
                each["address"],
                Text(health, style="" if health in ("HEALTHY", "UNKNOWN") else "bold red"),
                each["locality"] or "-",
                *(str(each[key]) for key in ("priority", "weight", "active", "connections")),
            )
    return table


def _health(endpoint: Document) -> str:
    """The control plane's word, unless something here says worse."""
    if endpoint["ejected"]:
        return "EJECTED"
    if endpoint["failing"]:
        return "FAILS CHECKS"
    return "DEGRADED" if endpoint["degraded"] else str(endpoint["health"])


ASKED = "istio-ext-authz-"
"""How istiod begins the names of what is asked about: rules that are only tried."""

TLS = {"mutual": "mTLS", "server": "TLS", "none": "-", "unknown": "refused"}


def _inbound(chains: list[Document]) -> RenderableType:
    table = table_of("who may come in", "#port", "filter chain", "TLS", "what", "policies")
    for chain in chains:
        rows = [("closed", chain["closed"])] if chain["closed"] else []
        rows += [(_what(each), ", ".join(each["policies"]) or "-") for each in chain["authorization"]]
        rows += [
            (f"asks by {each['protocol']}", each["cluster"] + (", or lets pass" if each["fails_open"] else ""))
            for each in chain["asks"]
        ]
        for what, policies in rows or [("anybody", "-")]:
            table.add_row(str(chain["port"]), Text(chain["filter_chain"]), TLS[chain["tls"]], what, Text(policies))
    return table


def _what(engine: Document) -> str:
    if engine["shadow"] and engine["policies"] and all(each.startswith(ASKED) for each in engine["policies"]):
        return "CUSTOM"
    return f"{engine['action'] or 'matcher'}{' (dry run)' if engine['shadow'] else ''}"


def _tokens(chains: list[Document]) -> list[RenderableType]:
    table = table_of("whose tokens are taken", "#port", "issuer", "audiences", "keys", "#age", "last failure")
    for chain in chains:
        for each in chain["tokens"]:
            table.add_row(
                str(chain["port"]),
                Text(each["issuer"] or "anybody"),
                Text(", ".join(each["audiences"]) or "-"),
                Text(each["keys_from"] or "configured"),
                "-" if each["keys_age_s"] is None else f"{each['keys_age_s']:.0f} s",
                Text(each["last_failure"] or "-"),
            )
    return [table] if table.row_count else []


def _services(services: list[Document]) -> RenderableType:
    table = table_of("services that filters ask", "cluster", "method", "#answers", "#failures", "last failure")
    for each in services:
        numbers = (str(each[key]) for key in ("answers", "failures"))
        table.add_row(Text(each["cluster"]), each["method"], *numbers, Text(each["last_failure"] or "-"))
    return table


def _not_honoured(notes: list[Document]) -> RenderableType:
    table = table_of("set, but not honoured", "resource", "field", "reason")
    for each in notes:
        table.add_row(Text(each["resource"]), Text(each["field"]), Text(each["reason"]))
    return table


def table_of(title: str, *columns: str) -> Table:
    """A column whose name starts with # holds numbers."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for each in columns:
        table.add_column(
            each.lstrip("#"),
            justify="right" if each.startswith("#") else "left",
            no_wrap=each.startswith("#"),
            overflow="fold",
        )
    return table
