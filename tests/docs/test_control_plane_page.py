"""The control plane's page names every kind, and every field that has no effect, and no other."""

from __future__ import annotations

import re

from proxyless.xds.controlplane.checking.effects import EFFECTS
from proxyless.xds.controlplane.kinds import KINDS, UNREAD
from tests.docs.pages import text_of
from tests.xds.controlplane.emit.registries import addresses


def first_cells(heading: str, end: str) -> set[str]:
    """The names in the first column of a table."""
    section = text_of("control-plane").partition(heading)[2].partition(end)[0]
    cells = re.findall(r"^\| ([^|]*`[^|]*) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_kind_is_named() -> None:
    assert first_cells("## What it reads", "Fields of these kinds") == KINDS.keys() | UNREAD


def test_every_field_without_effect_is_named() -> None:
    named = first_cells("Fields of these kinds", "## While it runs")
    listed = {name.removeprefix("*.").rpartition(".")[2] for names in EFFECTS.values() for name in names}
    by_value = {"tls", "DISABLE", "AuthorizationPolicy", "WasmPlugin", "TrafficExtension", "mtls", "STRICT"}
    assert {name.rpartition(".")[2] for name in named} - by_value == listed - {""}


def test_the_example_of_processes_in_place_of_pods_has_the_endpoints_that_it_names() -> None:
    section = text_of("control-plane").partition("### Processes in place of Pods")[2].partition("## While")[0]
    text = section.partition("```yaml")[2].partition("```")[0]
    found = addresses(text, "outbound|80||catalog.shop.svc.cluster.local")
    assert found == ["127.0.20.1:8080", "127.0.0.1:8081"]
    assert all(f"`{each}`" in section for each in found)
