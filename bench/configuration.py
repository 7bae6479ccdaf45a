"""Configurations to measure with: the recorded mesh of a thousand services, with some endpoints moved to a backend.

What a real istiod sent is taken as it is but for two things: endpoints lose the label that asks for mTLS, since the
backends speak plaintext, and the services that are called get the backend's address.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from proxyless.xds.wire.schema import types as pb

RECORDED = Path(__file__).parents[1] / "tests" / "recorded"
SCALE = RECORDED / "scale" / "svc0.tar.gz"
NAMESPACES = 20


def service(number: int) -> str:
    """The full host name of a service of the recording."""
    return f"svc{number}.ns{number % NAMESPACES}.svc.cluster.local"


@cache
def scale() -> dict[str, bytes]:
    """File name to response, as recorded."""
    found: dict[str, bytes] = {}
    import tarfile  # not in the processes whose memory is measured

    with tarfile.open(SCALE) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member) if member.name.endswith(".pb") else None
            if file is not None:
                found[Path(member.name).name] = file.read()
    return dict(sorted(found.items()))


def plaintext(port: int, services: int = 1000) -> dict[str, bytes]:
    """The recording in plaintext, cut down to so many services, with every endpoint at 127.0.0.1:port."""
    wanted = {service(number) for number in range(services)}
    found: dict[str, bytes] = {}
    for name, raw in scale().items():
        response = pb.discovery_v3.DiscoveryResponse.FromString(raw)
        kept = []
        for each in response.resources:
            if "ClusterLoadAssignment" in name:
                assignment = pb.endpoint_v3.ClusterLoadAssignment.FromString(each.value)
                if not _within(assignment.cluster_name, wanted):
                    continue
                _move(assignment, port)
                each.value = assignment.SerializeToString()
            elif "Cluster" in name:
                if not _within(pb.cluster_v3.Cluster.FromString(each.value).name, wanted):
                    continue
            elif "RouteConfiguration" in name:
                table = pb.route_v3.RouteConfiguration.FromString(each.value)
                hosts = [host for host in table.virtual_hosts if host.name == "allow_any" or _within(host.name, wanted)]
                del table.virtual_hosts[:]
                table.virtual_hosts.extend(hosts)
                each.value = table.SerializeToString()
            kept.append(each)
        del response.resources[:]
        response.resources.extend(kept)
        found[name] = response.SerializeToString()
    return found


def _within(name: str, wanted: set[str]) -> bool:
    host = name.split("|")[-1] if "|" in name else name.rpartition(":")[0]
    return not host.startswith("svc") or host in wanted


def _move(assignment: pb.endpoint_v3.ClusterLoadAssignment, port: int) -> None:
    for locality in assignment.endpoints:
        for endpoint in locality.lb_endpoints:
            endpoint.metadata.filter_metadata.pop("envoy.transport_socket_match", None)
            address = endpoint.endpoint.address.socket_address
            address.address, address.port_value = "127.0.0.1", port


def write(folder: Path, responses: dict[str, bytes]) -> Path:
    """As a recording that a mesh can be made from."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in responses.items():
        (folder / name).write_bytes(raw)
    return folder
