"""What makes a DestinationRule invalid beyond the types of its fields, as Istio's own admission refuses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isqrt

from ..hosts import is_label
from .destination_rule import (
    ClientTLSSettings,
    ConsistentHashLB,
    DestinationRule,
    Failover,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    PortTrafficPolicy,
    Subset,
    TrafficPolicy,
    TunnelSettings,
    WarmupConfiguration,
    ZoneAwareLoadBalancerSetting,
)
from .problems import Problem

_PERCENT = 100
_LARGEST_TABLE = 5_000_011
_SHORTEST_S = 0.001
_TOPOLOGY = frozenset({"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"})


def traffic_policy(made: TrafficPolicy) -> Iterator[Problem]:
    if made == TrafficPolicy():
        yield (), "must say something: an empty one is refused"
    if made.tunnel is not None and made.proxy_protocol is not None:
        yield ("proxyProtocol",), "cannot be set together with tunnel"


def port_policy(made: PortTrafficPolicy) -> Iterator[Problem]:
    if made.port is None or not made.port.number:
        yield ("port",), "is required"
    elif made == PortTrafficPolicy(port=made.port):
        yield (), "must say something of the port: an empty one is refused"


def outlier_detection(made: OutlierDetection) -> Iterator[Problem]:
    if made.consecutive_local_origin_failures and not made.split_external_local_origin_errors:
        yield ("consecutiveLocalOriginFailures",), "needs splitExternalLocalOriginErrors"
    for key, seconds in (("interval", made.interval), ("baseEjectionTime", made.base_ejection_time)):
        if seconds is not None and seconds < _SHORTEST_S:
            yield (key,), "must be at least 1ms"


def consistent_hash(made: ConsistentHashLB) -> Iterator[Problem]:
    """Envoy refuses a table whose size is not prime or is too large, and with it the cluster."""
    if made.minimum_ring_size and (made.maglev is not None or made.ring_hash is not None):
        yield ("minimumRingSize",), "cannot be set together with ringHash or maglev"
    size = made.maglev.table_size if made.maglev is not None else None
    if size is not None and (size >= _LARGEST_TABLE or not _is_prime(size)):
        yield ("maglev", "tableSize"), f"must be a prime number below {_LARGEST_TABLE}, not {size}"
    if made.http_cookie is not None:
        names = [each.name for each in made.http_cookie.attributes]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield ("httpCookie", "attributes", index, "name"), f'"{name}" is given twice'


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, isqrt(number) + 1))


def load_balancer(made: LoadBalancerSettings) -> Iterator[Problem]:
    if made.locality_lb_setting is not None and made.zone_aware_lb_setting is not None:
        yield ("zoneAwareLbSetting",), "cannot be set together with localityLbSetting"


def warmup(made: WarmupConfiguration) -> Iterator[Problem]:
    if made.aggression is not None and made.aggression <= 0:
        yield ("aggression",), "must be greater than 0"


def locality(made: LocalityLoadBalancerSetting) -> Iterator[Problem]:
    if made.distribute and made.failover:
        yield ("failover",), "cannot be set together with distribute"
    if made.failover:
        for index, label in enumerate(made.failover_priority):
            if label in _TOPOLOGY:
                yield ("failoverPriority", index), f"cannot be {label} where failover is set"
    for index, rule in enumerate(made.distribute):
        total = sum(rule.to.values())
        if total != _PERCENT:
            yield ("distribute", index, "to"), f"has weights that sum to {total}, not {_PERCENT}"
        elif 0 in rule.to.values():
            yield ("distribute", index, "to"), "has a weight of 0"
    yield from _failover(made.failover)


def zone_aware(made: ZoneAwareLoadBalancerSetting) -> Iterator[Problem]:
    for index, label in enumerate(made.failover_priority):
        if label in _TOPOLOGY:
            yield ("failoverPriority", index), f"cannot be {label}: regions and zones are followed anyway"
    yield from _failover(made.failover)


def _failover(rules: Sequence[Failover]) -> Iterator[Problem]:
    for index, change in enumerate(rules):
        if change.from_ == change.to:
            yield ("failover", index), "goes from a region to itself"
        for key, region in (("from", change.from_), ("to", change.to)):
            if "/" in region or "*" in region:
                yield ("failover", index, key), "must be a region, without zones and wildcards"


_FILES = (
    ("client_certificate", "clientCertificate"),
    ("private_key", "privateKey"),
    ("ca_certificates", "caCertificates"),
    ("ca_crl", "caCrl"),
)


def tls(made: ClientTLSSettings) -> Iterator[Problem]:
    if made.mode not in ("SIMPLE", "MUTUAL"):
        return  # what else is said is passed over
    if made.insecure_skip_verify:
        if made.ca_certificates:
            yield ("caCertificates",), "cannot be set together with insecureSkipVerify"
        if made.subject_alt_names:
            yield ("subjectAltNames",), "cannot be set together with insecureSkipVerify"
        if made.mode == "SIMPLE" and made.credential_name:
            yield ("credentialName",), "cannot be set together with insecureSkipVerify"
    if made.credential_name:
        for name, key in _FILES:
            if getattr(made, name):
                yield (key,), "cannot be set together with credentialName"
    elif made.mode == "MUTUAL":
        for name, key in _FILES[:2]:
            if not getattr(made, name):
                yield (key,), "is required for mode MUTUAL"


def tunnel(made: TunnelSettings) -> Iterator[Problem]:
    if made.protocol not in ("", "CONNECT", "POST"):
        yield ("protocol",), f"must be one of CONNECT, POST, not {made.protocol}"


def subset(made: Subset) -> Iterator[Problem]:
    if made.name and not is_label(made.name):
        yield ("name",), f'"{made.name}" is no DNS label'


def destination_rule(made: DestinationRule) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, each in enumerate(made.subsets):
        if each.name in seen:
            yield ("subsets", index, "name"), f'"{each.name}" is defined twice'
        seen.add(each.name)
