"""DestinationRules, ServiceEntries and endpoints against the mesh."""

from __future__ import annotations

from collections.abc import Iterator

from ..api import kubernetes
from ..api.decode import nearest
from ..api.destination_rule import ClientTLSSettings, DestinationRule, Subset, TrafficPolicy
from ..api.service_entry import ServiceEntry
from ..objects import Object
from ..registry import protocols
from ..registry.services import Service
from . import refused
from .finding import Keys, Said
from .mesh import Mesh


def destination_rule(source: Object[DestinationRule], mesh: Mesh) -> Iterator[Said]:
    spec, namespace = source.spec, source.meta.namespace
    name = mesh.qualified(spec.host, namespace)
    scope = mesh.scope(namespace)
    matching = scope.hosts_matching(name)
    services = [service for service in scope.services if service.hostname in matching]
    if not services:
        yield "warning", ("spec", "host"), f"{name} is no service that {namespace} can see{nearest(name, mesh.hosts)}"
    yield from _merged(source, name, mesh)
    picked = spec.workload_selector is not None
    yield from _policy(("spec", "trafficPolicy"), spec.traffic_policy, services, picked=picked)
    for index, subset in enumerate(spec.subsets):
        at: Keys = ("spec", "subsets", index)
        yield from _policy((*at, "trafficPolicy"), subset.traffic_policy, services, picked=picked)
        yield from _subset(at, subset, services, mesh)
    selector = spec.workload_selector
    if selector is not None and mesh.has_workloads and not mesh.selected(namespace, selector.match_labels):
        yield "warning", ("spec", "workloadSelector"), "selects no workload"


def _merged(source: Object[DestinationRule], name: str, mesh: Mesh) -> Iterator[Said]:
    """Of several rules for a host the first counts; the others only add subsets."""
    for rule in mesh.rules(name, source.meta.namespace):
        if source in rule.sources and rule.source is not source:
            first = rule.source.meta
            yield (
                "warning",
                ("spec", "host"),
                f"{name} has the DestinationRule {first.namespace}/{first.name} already: only new subsets are added",
            )


def _subset(at: Keys, subset: Subset, services: list[Service], mesh: Mesh) -> Iterator[Said]:
    for service in services:
        instances = mesh.world.instances.get(service.key)
        endpoints = instances.all if instances else ()
        if endpoints and not any(subset.labels.items() <= e.workload.labels.items() for e in endpoints):
            yield "warning", (*at, "labels"), f"pick no endpoint of {service.hostname}"


def _policy(at: Keys, policy: TrafficPolicy | None, services: list[Service], *, picked: bool) -> Iterator[Said]:
    if policy is None:
        return
    balancer = policy.load_balancer
    setting = balancer.locality_lb_setting if balancer else None
    if setting is not None and (setting.failover or setting.failover_priority) and policy.outlier_detection is None:
        yield "warning", at, "has failover but no outlierDetection: no endpoint ever counts as failed"
    yield from _tls((*at, "tls"), policy.tls, picked=picked)
    numbers = {port.number for service in services for port in service.ports}
    for index, own in enumerate(policy.port_level_settings):
        here: Keys = (*at, "portLevelSettings", index)
        if services and own.port is not None and own.port.number not in numbers:
            yield "error", (*here, "port"), f"{own.port.number} is no port of {services[0].hostname}"
        yield from _tls((*here, "tls"), own.tls, picked=picked)


_WITHOUT_SECRET = "configmap://", "builtin://", "sds://"
"""Credentials that are no Secret: roots of a ConfigMap, the mesh's own certificates, those of a server of their own."""


def _tls(at: Keys, tls: ClientTLSSettings | None, *, picked: bool) -> Iterator[Said]:
    """`picked`: whether the rule is for the workloads of a selector."""
    if tls is not None and tls.mode in ("SIMPLE", "MUTUAL"):
        if tls.credential_name and not picked and not tls.credential_name.startswith("configmap://"):
            why = "has no effect without a workloadSelector, as on a sidecar: calls go out in plaintext"
            yield "warning", (*at, "credentialName"), why
        elif tls.credential_name and not tls.credential_name.startswith(_WITHOUT_SECRET):
            why = "is a Secret, which istiod sends and a folder does not: from a folder calls wait for it, and fail"
            yield "warning", (*at, "credentialName"), why
        if not tls.ca_certificates and not tls.credential_name and not tls.insecure_skip_verify:
            yield "warning", at, "names no caCertificates: the system's roots decide who is trusted"
        if not tls.subject_alt_names and not tls.sni and not tls.insecure_skip_verify:
            yield "warning", at, "names no subjectAltNames: any certificate of a trusted root will do"


def service_entry(source: Object[ServiceEntry], mesh: Mesh) -> Iterator[Said]:
    spec, namespace = source.spec, source.meta.namespace
    for index, host in enumerate(spec.hosts):
        for other in mesh.world.by_host.get(host, {}).values():
            if other.source is not source and other.source.meta.namespace == namespace:
                yield "warning", ("spec", "hosts", index), f"{host} is also defined by {other.source.ref}"
    yield from _other_protocols(source, mesh)
    yield from _told_apart(source, mesh)
    if not spec.ports:
        yield "warning", ("spec", "ports"), "is empty: nothing can be called"
    if spec.resolution == "STATIC" and not spec.endpoints and spec.workload_selector is None:
        yield "warning", ("spec", "endpoints"), "is empty: calls are answered 503"
    for _, name in refused.clusters(source, mesh):
        why = (
            f"Envoy refuses the cluster {name}: where there are settings for HTTP (HTTP/2, a connection pool, header "
            "case) such an entry needs TLS, too; istiod sends it all the same"
        )
        yield "error", ("spec", "resolution"), why
    selector = spec.workload_selector
    if selector is not None and mesh.has_workloads and not mesh.selected(namespace, selector.labels):
        yield "warning", ("spec", "workloadSelector"), "selects no workload"


def _other_protocols(source: Object[ServiceEntry], mesh: Mesh) -> Iterator[Said]:
    """Ports that another entry, seen by the same clients, says to carry something else."""
    spec, namespace = source.spec, source.meta.namespace
    for index, port in enumerate(spec.ports):
        for host in spec.hosts:
            for other in mesh.world.by_host.get(host, {}).values():
                theirs = other.port(port.number)
                if other.source is source or theirs is None or not mesh.world.exported.sees(namespace, other):
                    continue
                if theirs.protocol != protocols.parse(port.protocol):
                    at: Keys = ("spec", "ports", index, "protocol")
                    yield "warning", at, f"{host}:{port.number} is {theirs.protocol} for {other.source.ref}"


def _told_apart(source: Object[ServiceEntry], mesh: Mesh) -> Iterator[Said]:
    """TCP without addresses: one listener for all hosts of a port, and the first of them takes every connection."""
    for index, port in enumerate(source.spec.ports):
        hosts = [
            each for each in mesh.anywhere.get(port.number, ()) if mesh.world.exported.sees(source.meta.namespace, each)
        ]
        if hosts and any(each.source is source for each in hosts[1:]):
            first = hosts[0]
            why = f"connections to port {port.number} all go to {first.hostname} ({first.source.ref}): give addresses"
            yield "warning", ("spec", "ports", index), f"is not told apart: {why}"


def endpoint_slice(source: Object[kubernetes.EndpointSlice], mesh: Mesh) -> Iterator[Said]:
    namespace = source.meta.namespace
    name = source.meta.labels.get("kubernetes.io/service-name", "")
    if not name:
        yield "warning", ("metadata", "labels"), "has no kubernetes.io/service-name: the slice belongs to no service"
        return
    if mesh.world.service(namespace, f"{name}.{namespace}.svc.{mesh.world.mesh.domain_suffix}") is None:
        yield "warning", ("metadata", "labels"), f"Service {namespace}/{name} does not exist"
    for index, endpoint in enumerate(source.spec.endpoints):
        target = endpoint.target_ref
        if target is not None and target.kind == "Pod":
            where = (target.namespace or namespace, target.name)
            if where not in mesh.world.workloads:
                yield (
                    "warning",
                    ("endpoints", index, "targetRef"),
                    f"Pod {where[0]}/{where[1]} does not exist: the endpoint is left out",
                )
