"""What a process names of one of everything that Istio has, `check` names too: both follow the table of fields."""

from __future__ import annotations

from pathlib import Path

from proxyless import Mesh, Node
from proxyless.cli.explain import explain_one
from proxyless.xds.controlplane import check
from proxyless.xds.wire.coverage import notes
from tests.xds.controlplane.everything import EVERYTHING

NAMED = {
    "filters by extension (CEL)": "spec.accessLogging[0].filter.expression",
    "envoy.filters.network.sni_dynamic_forward_proxy": "spec.resolution",
    "envoy.filters.http.dynamic_forward_proxy": "spec.resolution",
    "envoy.filters.http.lua": "spec",
    "network filters are not asked for": "spec",
    "envoy.filters.http.wasm": "spec",
}
"""How a reason begins, and the field for which `check` has a warning."""

NOT_NAMED = ("idle TCP connections", "TCP connections live", "connections are not kept alive by pings")
"""What only `status`, `explain` and the log name."""


def test_what_a_process_names_of_everything_check_names_too(tmp_path: Path) -> None:
    (tmp_path / "mesh.yaml").write_text(EVERYTHING)
    fields = {each.field for each in check(tmp_path) if each.severity == "warning"}
    with Mesh.from_config(tmp_path, node=Node(app="web", namespace="shop", ip="10.1.0.1"), registry=False) as mesh:
        mesh.wait_ready(20)
        explain_one(mesh, {"url": "http://web.shop/"}, None, "127.0.0.1", 5.0)
        held = mesh.snapshot
        tables = (held.listeners, held.clusters, held.routes, held.assignments, held.extensions)
        reasons = {
            each.reason
            for table in tables
            for resource in table.values()
            for each in notes(resource.type, resource.raw)
        }
    assert reasons
    for reason in reasons:
        named = next((field for begin, field in NAMED.items() if reason.startswith(begin)), None)
        assert named in fields or reason.startswith(NOT_NAMED), reason
