"""What metrics and status say of a workload's certificates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from prometheus_client import CollectorRegistry

import proxyless
from proxyless.documents import findings
from proxyless.governance.telemetry.identity import identity_counts, identity_gauges, identity_status
from proxyless.xds.model.identity import HeldCertificate, IdentityState
from tests.support.certificates import authority, spiffe, write

PAGE = (Path(__file__).parents[3] / "docs" / "status.md").read_text()
NODE = proxyless.Node(app="front", namespace="shop", ip="127.0.10.1")


def held(name: str, kind: Literal["leaf", "root"], ends: float, obtained: float = 50.0) -> HeldCertificate:
    return HeldCertificate(name, kind, spiffe("front"), "CN=root", "1f", 10.0, ends, obtained, 75.0)


STATE = IdentityState(
    "certificate authority ca:15012",
    True,
    3,
    (held("default", "leaf", 100.0), held("ROOTCA", "root", 900.0, 40.0), held("ROOTCA", "root", 800.0, 60.0)),
    {"default": 2},
    {"unavailable": 4},
    "it is not reached",
)


def test_a_secret_ends_with_the_first_of_its_certificates() -> None:
    readings = {(each.metric, each.labels): each.value for each in identity_gauges(STATE)}
    ends, got = (
        "proxyless_certificate_expiration_timestamp_seconds",
        "proxyless_certificate_last_rotation_timestamp_seconds",
    )
    assert readings == {
        ("proxyless_identity_ready", (STATE.source,)): 1,
        (ends, ("default", "leaf")): 100.0,
        (got, ("default", "leaf")): 50.0,
        (ends, ("ROOTCA", "root")): 800.0,
        (got, ("ROOTCA", "root")): 60.0,
    }


def test_rotations_and_failures_are_counted() -> None:
    assert [tuple(each) for each in identity_counts(STATE)] == [
        ("proxyless_certificate_rotations_total", ("default",), 2),
        ("proxyless_certificate_failures_total", ("unavailable",), 4),
    ]


def test_the_page_explains_every_key_of_the_identity() -> None:
    table = PAGE.partition("`identity` ([identity.md]")[2].partition("\n\nEach entry of `inbound`")[0]
    keys = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    document = identity_status(STATE, 90.0)
    assert keys == set(document)
    row = next(line for line in table.splitlines() if line.startswith("| `certificates`"))
    assert set(document["certificates"][0]) <= set(re.findall(r"`(\w+)`", row))
    assert document["certificates"][0]["expires_in_s"] == 10.0


def test_findings_say_what_is_wrong_with_it() -> None:
    def of(state: IdentityState) -> list[str]:
        document: dict[str, Any] = {"control_plane": None, "ready": True, "rejected": []}
        document["policies"] = {"mesh": [], "suites": []}
        document["identity"] = identity_status(state, 150.0)
        return findings(document)

    assert of(STATE) == [
        "identity from the certificate authority ca:15012: it is not reached (the certificate in use stays)",
        f"the certificate {spiffe('front')} (default) has expired",
    ]
    assert of(IdentityState("agent", False, 1)) == ["identity from the agent: no answer yet (there is no certificate)"]
    assert of(IdentityState("agent", True, 1)) == []


def test_a_mesh_tells_of_its_files_and_never_of_a_key(tmp_path: Path) -> None:
    pair = authority().workload("front")
    chain, key = write(pair, tmp_path)
    registry = CollectorRegistry()
    identity = proxyless.Identity.from_files(chain, key)
    with proxyless.Mesh("xds://127.0.0.1:1", node=NODE, registry=registry, cache_dir=False, identity=identity) as mesh:
        [certificate] = mesh.status()["identity"]["certificates"]
        assert (certificate["secret"], certificate["subject"]) == ("default", spiffe("front"))
        ends = registry.get_sample_value(
            "proxyless_certificate_expiration_timestamp_seconds", {"secret": "default", "kind": "leaf"}
        )
        assert ends == certificate["not_after"]
        assert "PRIVATE" not in str(mesh.status())
        assert "PRIVATE" not in repr(identity.key_pair)
    identity.close()
    with proxyless.Mesh("xds://127.0.0.1:1", node=NODE, registry=False, cache_dir=False) as mesh:
        assert mesh.status()["identity"] is None
