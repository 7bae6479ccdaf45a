"""Many meshes before one Envoy: their resources in one configuration, each under names of its own.

Clusters are renamed wherever they are named, listeners get names and addresses that no other has, and everything else
stays: in `--mode validate` Envoy binds nothing.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxyless.xds.controlplane.hosts import is_ip
from tests.support import envoy

Json = dict[str, Any]
_AGENTS = frozenset({"sds-grpc", "xds-grpc"})


def together(bootstraps: Sequence[Json]) -> Json:
    """One configuration of several."""
    first = bootstraps[0]
    listeners: list[Json] = []
    clusters = [each for each in first["static_resources"]["clusters"] if each["name"] in _AGENTS]
    for index, one in enumerate(bootstraps):
        own = one["static_resources"]
        names = {each["name"] for each in own["clusters"]} - _AGENTS
        clusters += [_renamed(each, names, index) for each in own["clusters"] if each["name"] not in _AGENTS]
        for listener in own["listeners"]:
            made = _renamed(listener, names, index)
            made["name"] = f"{listener['name']}#{index}"
            _place(made, len(listeners))
            listeners.append(made)
    return {**first, "static_resources": {"listeners": listeners, "clusters": clusters}}


def _renamed(value: Any, names: set[str], index: int) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(each, names, index) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names, index) for each in value]
    return f"{value}#{index}" if isinstance(value, str) and value in names else value


def _place(listener: Json, number: int) -> None:
    """Addresses that are nobody else's, of the same family and kind."""
    addresses = [listener["address"], *(each["address"] for each in listener.get("additional_addresses", ()))]
    for address in addresses:
        if "pipe" in address:
            address["pipe"]["path"] += f"#{number}"
        else:
            socket = address["socket_address"]
            if not is_ip(socket["address"]):
                continue  # Envoy is to say so
            tail = f"{number >> 8 & 255:x}{number & 255:02x}"
            socket["address"] = f"fd00::{tail}" if ":" in socket["address"] else f"10.{number >> 8}.{number & 255}.1"


def refusal_of(bootstrap: Json, folder: Path) -> str:
    """What Envoy has against it; empty if nothing."""
    path = folder / "batch.json"
    path.write_text(json.dumps(bootstrap))
    done = subprocess.run(
        [str(envoy.require()), "--mode", "validate", "-c", str(path), "--log-level", "error", "--skip-deprecated-logs"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip()


def refused(bootstraps: Sequence[Json], folder: Path) -> dict[int, str]:
    """By number, what Envoy has against each. Only where it refuses them together is each half asked for again."""
    found: dict[int, str] = {}

    def search(numbers: Sequence[int]) -> None:
        said = refusal_of(together([bootstraps[each] for each in numbers]), folder)
        if said and len(numbers) == 1:
            found[numbers[0]] = said
        elif said:
            half = len(numbers) // 2
            search(numbers[:half])
            search(numbers[half:])

    if bootstraps:
        search(range(len(bootstraps)))
    return found
