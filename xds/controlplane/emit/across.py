"""Endpoints in other networks: a proxy reaches them through the gateways of their network, with mTLS alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..registry.endpoints import Endpoint, Workload, augmented
from ..registry.networks import Gateway, Gateways, Standpoint

_MOST = 2**32 - 1


def through_gateways(
    places: Mapping[str, Sequence[Endpoint]],
    gateways: Gateways,
    at: Standpoint,
    cluster: str,
    mutual: Callable[[Endpoint], bool],
) -> dict[str, list[Endpoint]]:
    """Endpoints by place, those out of reach replaced by gateways, which share their weight.

    Every weight is multiplied by what makes it divisible among the gateways of any network.
    """
    scale = gateways.scale
    out = {}
    for place, members in places.items():
        near: list[Endpoint] = []
        shares: dict[Gateway, int] = {}
        for endpoint in members:
            network = endpoint.workload.network
            weight = min((endpoint.weight or 1) * scale, _MOST)
            leading = gateways.to(network, cluster)
            own = not network or not at.network or network == at.network
            # A proxy that does not know its network goes through gateways wherever there are any.
            forced = not at.network and network and leading
            if not forced and (own or not leading):
                if endpoint.address:
                    near.append(replace(endpoint, weight=weight))
                continue
            reachable = [each for each in leading if at.mode == "Dual" or (":" in each.address) == (at.mode == "IPv6")]
            if not reachable or not mutual(endpoint):
                continue
            for gateway in reachable:
                shares[gateway] = shares.get(gateway, 0) + weight // len(reachable)
        out[place] = near + [_endpoint(gateway, place, shares[gateway] or 1) for gateway in sorted(shares)]
    return out


def _endpoint(gateway: Gateway, place: str, weight: int) -> Endpoint:
    labels = augmented({}, "", "", gateway.cluster, gateway.network)
    workload = Workload(labels=labels, locality=place, tls_mode="istio", network=gateway.network)
    return Endpoint(gateway.address, gateway.port, "", workload, weight=weight, gateway=gateway.cluster)
