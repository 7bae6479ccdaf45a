"""The real Envoy as the judge: its texts for broken configurations, and the descriptors that its binary carries."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from proxyless.xds.wire.schema import pool, violation
from tools.schema import rules
from tools.schema.generate import descriptors

from . import binary, newer
from .configurations import BROKEN, Broken
from .descriptors import facts
from .test_official import ISTIO
from .test_validate import message_of

pytestmark = pytest.mark.envoy

# Compiled out of this Envoy, or never in it.
ABSENT = {
    "envoy.extensions.load_balancing_policies.pick_first.v3.PickFirst",
    "envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog",
}


@pytest.fixture(scope="module")
def program() -> Path:
    return binary.find()


@pytest.fixture(scope="module")
def inside(program: Path) -> Any:
    return binary.descriptors(program)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.text.rpartition("caused by ")[2][:90])
def test_envoy_says_the_same(broken: Broken, program: Path, tmp_path: Path) -> None:
    text = violation(message_of(broken))
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(_bootstrap(broken)))
    command = [str(program), "--mode", "validate", "--disable-hot-restart", "-l", "critical", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    said = re.search(r"Proto constraint validation failed \((.*)\)$", done.stderr + done.stdout, re.MULTILINE)
    assert said is not None, done.stderr[-2000:]
    assert said[1] == text or said[1].endswith(f" | caused by {text}")


def test_every_field_agrees_with_the_descriptors_inside_envoy(inside: Any) -> None:
    theirs = facts(inside)
    differing = [
        (name, member, fact, theirs[name].get(member))
        for name, found in facts(descriptors()).items()
        if name in theirs
        for member, fact in found.items()
        if theirs[name].get(member) != fact
    ]
    assert differing == []


def test_what_envoy_has_and_the_schema_lacks_is_known(inside: Any) -> None:
    theirs = facts(inside)
    lacking = {
        name: theirs[name].keys() - found.keys() for name, found in facts(descriptors()).items() if name in theirs
    }
    assert {name: members for name, members in lacking.items() if members} == newer.LACKING


def test_every_message_is_inside_envoy(inside: Any) -> None:
    # Packages of others (Common Expression Language, OpenTelemetry) are linked in another form.
    ours = {name for name in facts(descriptors()) if name.startswith(("envoy.", "xds.", "udpa.", "google.protobuf."))}
    assert {name for name in ours if not name.startswith(ISTIO)} - set(facts(inside)) == ABSENT


def test_every_rule_is_the_one_that_envoy_was_built_with(inside: Any) -> None:
    theirs = rules.rules(descriptors(), inside)
    ours = {name: rule for name, rule in json.loads(rules.render(descriptors())).items() if name not in ABSENT}
    assert {name: rule for name, rule in ours.items() if rule != theirs.get(name)} == {}
    assert set(theirs) - set(ours) == set()


def _bootstrap(broken: Broken) -> dict[str, Any]:
    spelled = json_format.MessageToDict(message_of(broken), preserving_proto_field_name=True, descriptor_pool=pool())
    kind = broken.kind.rpartition(".")[2]
    if kind == "Cluster":
        return {"static_resources": {"clusters": [spelled]}}
    if kind == "Listener":
        return {"static_resources": {"listeners": [spelled]}}
    if kind == "UpstreamTlsContext":
        socket = {"name": "tls", "typed_config": {"@type": f"type.googleapis.com/{broken.kind}"} | spelled}
        return {"static_resources": {"clusters": [{"name": "c", "connect_timeout": "1s", "transport_socket": socket}]}}
    manager: dict[str, Any] = {"stat_prefix": "s"}
    router = {"name": "router", "typed_config": {"@type": f"type.googleapis.com/{_ROUTER}"}}
    if kind == "RouteConfiguration":
        manager |= {"route_config": spelled, "http_filters": [router]}
    else:
        tested = {"name": "tested", "typed_config": {"@type": f"type.googleapis.com/{broken.kind}"} | spelled}
        filters = [tested] if broken.kind == _ROUTER else [tested, router]
        manager |= {"route_config": {"name": "r"}, "http_filters": filters}
    network = {"name": "hcm", "typed_config": {"@type": f"type.googleapis.com/{_MANAGER}"} | manager}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {"name": "l", "address": address, "filter_chains": [{"filters": [network]}]}
    clusters = [{"name": "c", "connect_timeout": "1s"}]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
