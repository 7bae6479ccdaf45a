"""Modes of mTLS that do not go together: what one side asks for and the other does not bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .finding import ERROR, GOOD, UNKNOWN, WARNING, Finding

if TYPE_CHECKING:
    from ..xds.controlplane.registry.services import Service
    from ..xds.controlplane.registry.world import World

Document = dict[str, Any]
TLS_LABEL = "security.istio.io/tlsMode"
_SERVE = (
    f"serve by the context of proxyless.tls (docs/tls.md) or below `proxyless run` (docs/run.md), and label the Pod "
    f"{TLS_LABEL}: istio; or PERMISSIVE for it"
)
_GET = "mount a token and use the control plane's port with TLS (docs/identity.md)"
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Served:
    """What a workload was sent (listeners and clusters in protobuf's JSON), and what it has: a certificate, and the
    label by which peers call it by mTLS."""

    listeners: list[Document]
    clusters: list[Document]
    certificate: bool
    serves: bool


def own_modes(of: Served) -> Iterator[Finding]:
    """By what the control plane has sent to this workload."""
    inbound = next((each for each in of.listeners if each.get("name") == "virtualInbound"), None)
    strict = _strict(inbound) if inbound is not None else []
    yield from _inbound(strict, "PeerAuthentication STRICT", certificate=of.certificate, serves=of.serves)
    asking = [str(each.get("name")) for each in of.clusters if _asks_for_certificate(each)]
    if asking and not of.certificate:
        seen = (
            f"{len(asking)} clusters may ask for a certificate, and there is none: such calls fail (UF): {_few(asking)}"
        )
        yield Finding("mtls", ERROR, seen, _GET)
    elif not strict:
        yield Finding("mtls", GOOD, "callers need no certificate here, and calls have what they need")
    do = "`proxyless doctor --kubeconfig FILE --pod NAMESPACE/NAME` from where that may be read"
    yield Finding("mtls", UNKNOWN, "whether DestinationRules disable what others ask for is not seen from here", do)


def _inbound(strict: list[str], why: str, *, certificate: bool, serves: bool) -> Iterator[Finding]:
    if not strict:
        return
    where = f"{why} holds for {_few(strict)}"
    if not certificate:
        yield Finding("mtls", ERROR, f"{where}, and this workload has no certificate: every caller is refused", _GET)
    elif not serves:
        yield Finding("mtls", ERROR, f"{where}, and peers are told to call it in plaintext ({TLS_LABEL})", _SERVE)
    else:
        do = ""
        yield Finding("mtls", GOOD, f"{where}; it is labelled for it, and has a certificate", do)


def _strict(listener: Document) -> list[str]:
    """Ports whose chains all want TLS."""
    found: dict[str, set[bool]] = {}
    for chain in listener.get("filter_chains") or ():
        match = chain.get("filter_chain_match") or {}
        if "blackhole" in str(chain.get("name")) or "passthrough" in str(chain.get("name")):
            continue
        port = match.get("destination_port")
        named = f"port {port}" if port else "every port"
        found.setdefault(named, set()).add("transport_socket" in chain)
    return [port for port, kinds in found.items() if kinds == {True}]


def _asks_for_certificate(cluster: Document) -> bool:
    sockets = [
        cluster.get("transport_socket"),
        *(each.get("transport_socket") for each in cluster.get("transport_socket_matches") or ()),
    ]
    for each in sockets:
        common = ((each or {}).get("typed_config") or {}).get("common_tls_context") or {}
        if common.get("tls_certificate_sds_secret_configs") or common.get("tls_certificates"):
            return True
    return False


def between(world: World, namespace: str, labels: Mapping[str, str], *, certificate: bool) -> Iterator[Finding]:
    """By the objects of the mesh: for a workload, as a server and as a client."""
    policies = world.peer_authentications
    own = policies.of_workload(namespace, labels)
    strict = [f"port {port}" for port, mode in own.ports.items() if mode == "STRICT"]
    strict = (["every port"] if own.mode == "STRICT" else []) + strict
    serves = labels.get(TLS_LABEL) == "istio"
    yield from _inbound(strict, "PeerAuthentication STRICT", certificate=certificate, serves=serves)
    found: list[Finding] = []
    for service in world.services:
        found += _calling(world, namespace, labels, service, certificate=certificate)
    shown = found[:20]
    yield from shown
    if len(found) > len(shown):
        yield Finding("mtls", UNKNOWN, f"and {len(found) - len(shown)} more hosts of that kind", "")
    if not found and (not strict or (certificate and serves)):
        yield Finding("mtls", GOOD, "no DestinationRule and no PeerAuthentication contradict each other here")


def _calling(
    world: World, namespace: str, labels: Mapping[str, str], service: Service, *, certificate: bool
) -> Iterator[Finding]:
    """A service as this workload calls it."""
    if not world.exported.sees(namespace, service):
        return
    instances = world.instances.get(service.key)
    workloads = [each.workload for each in instances.all] if instances else []
    taken = {
        world.peer_authentications.of_workload(each.namespace, each.labels).mode for each in workloads if each.name
    }
    rules = world.destination_rules.find(namespace, service.hostname, service.namespace)
    rule = next((each for each in rules if each.selector is None or each.selector.items() <= labels.items()), None)
    policy = rule.spec.traffic_policy if rule is not None else None
    mode = policy.tls.mode if policy is not None and policy.tls is not None else ""
    named = str(rule.source.ref) if rule is not None else ""
    if mode in ("DISABLE", "SIMPLE") and taken == {"STRICT"}:
        do = "take the mode out of the rule (mTLS comes by itself), or say ISTIO_MUTUAL"
        yield Finding("mtls", ERROR, f"{named} says {mode} for {service.hostname}, whose pods are STRICT: refused", do)
    elif mode == "ISTIO_MUTUAL" and workloads and all(each.tls_mode != "istio" for each in workloads):
        do = f"take the mode out of the rule, or serve mTLS there ({TLS_LABEL}: istio)"
        yield Finding(
            "mtls", ERROR, f"{named} says ISTIO_MUTUAL for {service.hostname}, whose pods serve plaintext", do
        )
    elif mode in ("MUTUAL", "ISTIO_MUTUAL") and not certificate and policy is not None:
        if mode == "ISTIO_MUTUAL" or not (policy.tls and policy.tls.client_certificate):
            yield Finding("mtls", ERROR, f"{named} says {mode}, and this workload has no certificate", _GET)
    elif taken == {"STRICT"} and not certificate:
        yield Finding("mtls", ERROR, f"{service.hostname} is STRICT, and this workload has no certificate", _GET)
    elif "STRICT" in taken and any(each.tls_mode != "istio" for each in workloads):
        plain = sorted({each.name for each in workloads if each.tls_mode != "istio"})
        seen = f"{service.hostname} is STRICT, and is called in plaintext at {_few(plain)}: refused"
        yield Finding("mtls", WARNING, seen, f"label those Pods {TLS_LABEL}: istio, if they serve mTLS")


def _few(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
