"""Roots beside a workload's own, as istiod tells its agents of them (istio.mesh.v1alpha1.ProxyConfig, PCDS).

istiod answers only with ISTIO_MULTIROOT_MESH; the resource has nothing but `ca_certificates_pem`.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from .refused import RefusedError
from .schema import types as pb

TYPE = "type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig"


def decode_bundle(raw: bytes, *, delta: bool) -> bytes:
    """The roots (PEM) of a DiscoveryResponse, or of a DeltaDiscoveryResponse.

    Raises:
        RefusedError: it holds no such resource.
    """
    try:
        if delta:
            packed = [each.resource for each in pb.discovery_v3.DeltaDiscoveryResponse.FromString(raw).resources]
        else:
            packed = list(pb.discovery_v3.DiscoveryResponse.FromString(raw).resources)
        found = [
            certificate
            for each in packed
            if each.type_url == TYPE
            for certificate in pb.istio_mesh_v1alpha1.ProxyConfig.FromString(each.value).ca_certificates_pem
        ]
    except DecodeError as error:
        raise RefusedError(f"truncated or malformed ProxyConfig: {error}") from error
    if any(each.type_url != TYPE for each in packed):
        raise RefusedError(f"a resource that is no {TYPE}")
    return "\n".join(found).encode()
