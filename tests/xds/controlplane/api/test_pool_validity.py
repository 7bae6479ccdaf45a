"""A connection pool that Istio's admission refuses is refused here, with the field, wherever it stands."""

from __future__ import annotations

import pytest

from tests.xds.controlplane.api.test_validity import faults

REFUSED = [
    ("{}", "must have one of http, tcp"),
    *(
        (f"{{http: {{{key}: -1}}}}", f".http.{key} must be at least 0, not -1")
        for key in (
            "http1MaxPendingRequests",
            "http2MaxRequests",
            "maxRequestsPerConnection",
            "maxRetries",
            "maxConcurrentStreams",
        )
    ),
    ("{tcp: {maxConnections: -1}}", ".tcp.maxConnections must be at least 0, not -1"),
    ("{tcp: {connectTimeout: 0s}}", ".tcp.connectTimeout must be at least 1ms"),
    ("{tcp: {connectTimeout: 1500us}}", ".tcp.connectTimeout must be a whole number of milliseconds"),
    ("{tcp: {maxConnectionDuration: 0s}}", ".tcp.maxConnectionDuration must be at least 1ms"),
    ("{tcp: {idleTimeout: 1us}}", ".tcp.idleTimeout must be at least 1ms"),
    ("{tcp: {tcpKeepalive: {time: 0s}}}", ".tcp.tcpKeepalive.time must be at least 1ms"),
    ("{tcp: {tcpKeepalive: {interval: 0s}}}", ".tcp.tcpKeepalive.interval must be at least 1ms"),
    ("{http: {idleTimeout: 0s}}", ".http.idleTimeout must be at least 1ms"),
    ("{http: {http2KeepAlive: {timeout: 1s}}}", ".http.http2KeepAlive.interval is required"),
    ("{http: {http2KeepAlive: {interval: 1s}}}", ".http.http2KeepAlive.timeout is required"),
    ("{http: {http2KeepAlive: {interval: 1s, timeout: 0s}}}", ".http.http2KeepAlive.timeout must be at least 1ms"),
    ("{http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}", ".http.useClientProtocol cannot be set where"),
]
WHERE = {
    "spec.trafficPolicy.connectionPool": ("DestinationRule", "{host: web, trafficPolicy: {connectionPool: POOL}}"),
    "spec.inboundConnectionPool": ("Sidecar", "{inboundConnectionPool: POOL}"),
    "spec.ingress[0].connectionPool": (
        "Sidecar",
        "{ingress: [{port: {number: 80, protocol: HTTP}, connectionPool: POOL}]}",
    ),
}


@pytest.mark.parametrize("place", WHERE)
@pytest.mark.parametrize(("pool", "said"), REFUSED)
def test_refused(pool: str, said: str, place: str) -> None:
    kind, spec = WHERE[place]
    wanted = place + (said if said.startswith(".") else f" {said}")
    found = faults(kind, spec.replace("POOL", pool))
    assert any(each.startswith(wanted) for each in found), found


@pytest.mark.parametrize(
    "pool",
    [
        "{tcp: {idleTimeout: 0s}}",
        "{tcp: {maxConnections: 0, connectTimeout: 1ms, tcpKeepalive: {time: 1s, interval: 1.5s}}}",
        "{http: {http2KeepAlive: {interval: 1s, timeout: 1s}, useClientProtocol: true}}",
    ],
)
def test_accepted(pool: str) -> None:
    for kind, spec in WHERE.values():
        assert faults(kind, spec.replace("POOL", pool)) == []
