"""How formats spell response flags."""

from __future__ import annotations

from collections.abc import Mapping

FLAGS_LONG: Mapping[str, str] = {
    "DC": "DownstreamConnectionTermination",
    "DF": "DnsResolutionFailed",
    "DI": "DelayInjected",
    "DO": "DropOverLoad",
    "DPE": "DownstreamProtocolError",
    "DR": "DownstreamRemoteReset",
    "DT": "DurationTimeout",
    "FI": "FaultInjected",
    "IH": "InvalidEnvoyRequestHeaders",
    "LH": "FailedLocalHealthCheck",
    "LR": "LocalReset",
    "NC": "NoClusterFound",
    "NFCF": "NoFilterConfigFound",
    "NR": "NoRouteFound",
    "OM": "OverloadManagerTerminated",
    "RFCF": "ResponseFromCacheFilter",
    "RL": "RateLimited",
    "RLSE": "RateLimitServiceError",
    "SI": "StreamIdleTimeout",
    "UAEX": "UnauthorizedExternalService",
    "UC": "UpstreamConnectionTermination",
    "UF": "UpstreamConnectionFailure",
    "UH": "NoHealthyUpstream",
    "UMSDR": "UpstreamMaxStreamDurationReached",
    "UO": "UpstreamOverflow",
    "UPE": "UpstreamProtocolError",
    "UR": "UpstreamRemoteReset",
    "URX": "UpstreamRetryLimitExceeded",
    "UT": "UpstreamRequestTimeout",
}
"""Response flags spelled out."""
