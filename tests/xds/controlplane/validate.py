"""What the control plane sends, put before the real Envoy: `envoy --mode validate` reads it and says no or nothing.

Left out is only what a stock Envoy does not have: the filters called `istio.*`. RDS and EDS are inlined, since Envoy
reads them only when they are there; certificates stay to be fetched from the agent. Those that istiod itself would
send are fetched there too: Envoy falls over an ADS secret when it only validates.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.emit.view import View
from proxyless.xds.wire.schema import unpack
from tests.support import envoy

from .support import plain

Json = dict[str, Any]
_MANAGER = "envoy.filters.network.http_connection_manager"
_TO_AGENT = {"type": "STATIC", "connect_timeout": "1s"}


def bootstrap(view: View) -> Json:
    """Everything that a proxy gets, as a configuration of one Envoy."""
    resources = Resources()
    clusters = _made(resources, rules.CLUSTER, view)
    listeners = _made(resources, rules.LISTENER, view)
    held = [each["name"] for each in clusters if "eds_cluster_config" in each]
    assignments = {each["cluster_name"]: each for each in _made(resources, rules.ENDPOINT, view, held)}
    for cluster in clusters:
        _inline_endpoints(cluster, assignments)
    tables = {name for listener in listeners for name in _table_names(listener)}
    routes = {each["name"]: each for each in _made(resources, rules.ROUTE, view, tables)}
    for listener in listeners:
        _inline_routes(listener, routes)
    agent: list[Json] = [{"name": name, **_TO_AGENT, "http2_protocol_options": {}} for name in ("sds-grpc", "xds-grpc")]
    return {
        "node": {"id": "validated", "cluster": "validated"},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            }
        },
        "static_resources": {"listeners": listeners, "clusters": [*clusters, *agent]},
    }


def _made(resources: Resources, type_: rules.ResourceType, view: View, names: Iterable[str] = ()) -> list[Json]:
    out = []
    for _, content in resources.make(type_, view, list(names)):
        message = unpack(content)
        assert message is not None
        out.append(plain(message))
    return out


def _inline_endpoints(cluster: Json, assignments: dict[str, Json]) -> None:
    _ask_the_agent(cluster)
    cluster["filters"] = [each for each in cluster.get("filters", ()) if not each["name"].startswith("istio.")]
    if "eds_cluster_config" in cluster:
        del cluster["eds_cluster_config"]
        cluster["type"] = "STATIC"
        cluster["load_assignment"] = copy.deepcopy(assignments[cluster["name"]])


def _ask_the_agent(part: Any) -> None:
    """Secrets over ADS become secrets of the agent."""
    if isinstance(part, dict):
        if "ads" in part.get("sds_config", ()):
            part["sds_config"] = {
                "resource_api_version": "V3",
                "api_config_source": {
                    "api_type": "GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "sds-grpc"}}],
                },
            }
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            _ask_the_agent(each)


def _chains(listener: Json) -> Iterable[Json]:
    yield from listener.get("filter_chains", ())
    if "default_filter_chain" in listener:
        yield listener["default_filter_chain"]


def _managers(listener: Json) -> Iterable[Json]:
    for chain in _chains(listener):
        for each in chain["filters"]:
            if each["name"] == _MANAGER:
                yield each["typed_config"]


def _table_names(listener: Json) -> Iterable[str]:
    for manager in _managers(listener):
        if "rds" in manager:
            yield manager["rds"]["route_config_name"]


def _inline_routes(listener: Json, routes: dict[str, Json]) -> None:
    for chain in _chains(listener):
        chain["filters"] = [each for each in chain["filters"] if not each["name"].startswith("istio.")]
    for manager in _managers(listener):
        manager["http_filters"] = [each for each in manager["http_filters"] if not each["name"].startswith("istio.")]
        if "rds" in manager:
            manager["route_config"] = copy.deepcopy(routes[manager.pop("rds")["route_config_name"]])


def refusal(view: View, folder: Path) -> str:
    """What the real Envoy has against a proxy's configuration; empty if nothing."""
    path = folder / "bootstrap.json"
    path.write_text(json.dumps(bootstrap(view)))
    done = subprocess.run(
        [str(envoy.require()), "--mode", "validate", "-c", str(path), "--log-level", "error", "--skip-deprecated-logs"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip()
