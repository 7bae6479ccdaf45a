"""The page of MeshConfig names every field, and what it calls without effect is what `check` calls so."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

from proxyless.xds.controlplane.api.decode import json_name
from proxyless.xds.controlplane.api.extension_providers import KINDS
from proxyless.xds.controlplane.api.fields import Inert
from proxyless.xds.controlplane.api.mesh_config import MeshConfig
from proxyless.xds.controlplane.api.proxy_config import ProxyConfig

PAGE = (Path(__file__).parents[2] / "docs" / "mesh-config.md").read_text()


def inert(message: type) -> dict[str, bool]:
    """Whether a field has no effect, by its name in JSON."""
    hints = get_type_hints(message, include_extras=True)
    marked = {name: get_args(hint) if get_origin(hint) is Annotated else () for name, hint in hints.items()}
    spelled: dict[str, str] = getattr(message, "NAMES", {})
    return {
        spelled.get(each.name) or json_name(each.name): any(isinstance(mark, Inert) for mark in marked[each.name])
        for each in fields(message)
    }


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def first_column(text: str) -> set[str]:
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_field_of_the_mesh_is_on_the_page_with_its_effect() -> None:
    works, idle = section("MeshConfig").split("These have no effect here")
    known = inert(MeshConfig)
    assert first_column(works) == {name for name, without in known.items() if not without}
    assert first_column(idle) == {name for name, without in known.items() if without}


def test_every_kind_of_provider_is_on_the_page() -> None:
    assert first_column(section("Extension providers")) == {json_name(kind) for kind in KINDS}


def test_the_page_has_what_works_of_proxy_config() -> None:
    assert first_column(section("ProxyConfig")) == {name for name, without in inert(ProxyConfig).items() if not without}
