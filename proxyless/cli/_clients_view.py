"""Clients of a control plane as tables for people."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

ORDER = ("CDS", "LDS", "EDS", "RDS")
"""As istioctl has them; what else somebody asks for follows by name."""
STYLES = {"SYNCED": "green", "STALE": "yellow", "ERROR": "red"}


def table(clients: list[dict[str, Any]]) -> RenderableType:
    """A line for each client."""
    others = sorted({name for client in clients for name in client["types"]} - set(ORDER))
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("NAME", "CLUSTER", "IP", "VERSION", *ORDER, *others, "CONNECTED"):
        made.add_column(title, overflow="fold", no_wrap=title != "NAME")
    now = time.time()
    for client in clients:
        cells = [_cell(client["types"].get(name), now) for name in (*ORDER, *others)]
        version = client["istio_version"] or client["program"] or "-"
        who = (client["name"] or f"(unknown, {client['peer']})", client["cluster"] or "-", client["ip"] or "-", version)
        made.add_row(*who, *cells, _ago(now - client["since"]))
    errors = [
        Text(f"{client['name']}: {name}: {each['error']}", style="red")
        for client in clients
        for name, each in client["types"].items()
        if each["error"]
    ]
    return Group(made, *errors) if clients else Text("no clients")


def detail(clients: list[dict[str, Any]], name: str) -> RenderableType:
    """Clients by type."""
    if not clients:
        return Text(f"{name} is not connected")
    parts: list[RenderableType] = []
    now = time.time()
    for client in clients:
        head = Table.grid(padding=(0, 2))
        for key in ("node", "ip", "peer", "program", "istio_version", "protocol", "version", "rejected"):
            if client[key] != "":
                head.add_row(Text(key.replace("_", " "), style="bold"), Text(str(client[key])))
        head.add_row(Text("connected", style="bold"), Text(_ago(now - client["since"])))
        head.add_row(Text("labels", style="bold"), Text(" ".join(f"{k}={v}" for k, v in client["labels"].items())))
        made = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("TYPE", "STATE", "NAMES", "BYTES", "VERSION", "ERROR"):
            made.add_column(title, overflow="fold")
        for type_, each in client["types"].items():
            made.add_row(
                type_,
                _cell(each, now),
                str(each["names"]),
                f"{each['bytes']:,}",
                each["version"] or "-",
                each["error"] or "",
            )
        parts += [head, made]
    return Group(*parts)


def _cell(each: dict[str, Any] | None, now: float) -> Text:
    if each is None:
        return Text("IGNORED", style="dim")
    text = each["state"] if each["since"] is None else f"{each['state']} ({_ago(now - each['since'])})"
    return Text(text, style=STYLES.get(each["state"], ""))


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"
