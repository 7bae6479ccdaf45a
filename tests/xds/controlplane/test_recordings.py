"""What the control plane sends is what istiod sent, resource by resource, for every recorded node.

`DIFFERENCES` is the complete list of what differs, with the reason. A difference that is not listed fails a test, and
so does one that is listed and no longer there. None of them may change a decision.
"""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery.delta import DeltaSession
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.wire.schema import types as pb

from .support import RECORDED, SHOP, apply_step, named, plain, recorded_node, shop_folder

DIFFERENCES: dict[tuple[str, str], str] = {}
"""(recorded file, path of the difference) -> why. Empty: there is none."""

NODES = ("frontend", "payment", "ledger", "frontend-grpc")
FIRST = 5  # responses to the first requests: CDS, LDS, NDS, EDS, RDS


def differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    """Paths at which two JSON values differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in ours or key not in theirs:
                yield f"{path}.{key}"
            else:
                yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif ours != theirs:
        yield path


def compare(file: str, ours: Any, theirs: Any) -> set[tuple[str, str]]:
    """The differences of two responses; the order of resources is that of a map in istiod."""
    mine, recorded = named(ours.resources), named(theirs.resources)
    assert len(mine) == len(ours.resources)
    found = {(file, f"{name}: missing") for name in recorded.keys() - mine.keys()}
    found |= {(file, f"{name}: not recorded") for name in mine.keys() - recorded.keys()}
    for name in mine.keys() & recorded.keys():
        found |= {(file, path) for path in differences(plain(mine[name]), plain(recorded[name]), name)}
    return found


def sotw_request(recorded: Any, node: pb.core_v3.Node) -> pb.discovery_v3.DiscoveryRequest:
    """The request that a recorded response answered: RDS and EDS by name, the rest without; gRPC asks by name only."""
    request = pb.discovery_v3.DiscoveryRequest(type_url=recorded.type_url, node=node)
    by_name = "GENERATOR" in node.metadata.fields
    if by_name or recorded.type_url.endswith(("ClusterLoadAssignment", "RouteConfiguration")):
        request.resource_names.extend(named(recorded.resources))
    return request


def delta_request(recorded: Any, node: pb.core_v3.Node) -> pb.discovery_v3.DeltaDiscoveryRequest:
    request = pb.discovery_v3.DeltaDiscoveryRequest(type_url=recorded.type_url, node=node)
    if recorded.type_url.endswith(("ClusterLoadAssignment", "RouteConfiguration")):
        request.resource_names_subscribe.extend(named(recorded.resources))
    return request


def responses(folder: Path, kind: Any) -> list[tuple[str, Any]]:
    files = sorted(folder.glob("*.pb"))
    return [(f"{folder.name}/{file.name}", kind.FromString(file.read_bytes())) for file in files]


@pytest.mark.parametrize("node", NODES)
def test_the_first_push_to_a_node_is_the_recorded_one(node: str, tmp_path: Path) -> None:
    folder = SHOP / "xds" / node
    session = SotwSession(Plane(FolderSource(shop_folder(tmp_path))))
    found = set()
    for file, recorded in responses(folder, pb.discovery_v3.DiscoveryResponse):
        (response,) = session.receive(sotw_request(recorded, recorded_node(folder)))
        found |= compare(file, response, recorded)
    assert found == {key for key in DIFFERENCES if key[0].startswith(f"{node}/")}


@pytest.mark.parametrize("variant", ["frontend-changes", "frontend-changes-delta"])
def test_a_recorded_stream_is_followed_response_by_response(variant: str, tmp_path: Path) -> None:
    """The same types in the same order after each change, with the same resources, and the same ones removed."""
    folder = SHOP / "xds" / variant
    delta = variant.endswith("-delta")
    objects = shop_folder(tmp_path)
    plane = Plane(FolderSource(objects))
    kind = pb.discovery_v3.DeltaDiscoveryResponse if delta else pb.discovery_v3.DiscoveryResponse
    session: Any = DeltaSession(plane) if delta else SotwSession(plane)
    request: Any = delta_request if delta else sotw_request
    recorded = responses(folder, kind)
    node = recorded_node(folder)
    given = [session.receive(request(each, node))[0] for _, each in recorded[:FIRST]]
    for step in json.loads((folder / "steps.json").read_text()):
        assert len(given) == step["after"]
        apply_step(objects, SHOP / step["step"])
        assert plane.poll()
        given += session.changed()
    assert [each.type_url for each in given] == [each.type_url for _, each in recorded]
    found = set()
    for (file, theirs), ours in zip(recorded, given, strict=True):
        found |= compare(file, ours, theirs)
        if delta:
            assert list(ours.removed_resources) == list(theirs.removed_resources), file
    assert found == {key for key in DIFFERENCES if key[0].startswith(f"{variant}/")}


def test_a_mesh_of_a_thousand_services_is_the_recorded_one(tmp_path: Path) -> None:
    for name in ("kubernetes", "istio"):
        packed = (RECORDED / "scale" / f"{name}.yaml.gz").read_bytes()
        (tmp_path / f"{name}.yaml").write_bytes(gzip.decompress(packed))
    session = SotwSession(Plane(FolderSource(tmp_path)))
    found = set()
    with tarfile.open(RECORDED / "scale" / "svc0.tar.gz") as archive:
        held = {member.name: archive.extractfile(member) for member in archive.getmembers() if member.isfile()}
        content = {name: file.read() for name, file in held.items() if file is not None}
    (node_file,) = (name for name in content if name.endswith("node.json"))
    asks = tmp_path / ".asks"
    asks.mkdir()
    (asks / "node.json").write_bytes(content[node_file])
    node = recorded_node(asks)
    for file in sorted(name for name in content if name.endswith(".pb")):
        recorded = pb.discovery_v3.DiscoveryResponse.FromString(content[file])
        (response,) = session.receive(sotw_request(recorded, node))
        found |= compare(f"scale/{Path(file).name}", response, recorded)
    assert found == {key for key in DIFFERENCES if key[0].startswith("scale/")}


def test_every_listed_difference_has_a_reason() -> None:
    assert all(DIFFERENCES.values())
