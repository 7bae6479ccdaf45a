"""Security and telemetry policies against the mesh: whom they select, and what of them is not enforced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from ..api.kubernetes import Deployment, Service
from ..api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from ..api.selectors import LabelSelector
from ..api.telemetry import Telemetry
from ..emit.rbac import DRY_RUN
from ..objects import Object
from ..registry.attachment import targets
from . import access, providers
from .finding import Keys, Said
from .mesh import Mesh


def peer_authentication(source: Object[PeerAuthentication], mesh: Mesh) -> Iterator[Said]:
    namespace, selector = source.meta.namespace, source.spec.selector
    yield from _selects(namespace, selector, mesh)
    first = mesh.world.peer_authentications.whole(namespace)
    if (selector is None or not selector.match_labels) and first is not None and first is not source:
        yield "warning", (), f"has no effect: {first.ref} is older, or first by name, and holds for the namespace"
    selected = mesh.workloads(namespace, selector.match_labels if selector is not None else {})
    ports = {port for each in selected for port in mesh.ports.get(id(each), ())}
    for port in source.spec.port_level_mtls:
        if ports and port not in ports:
            known = ", ".join(map(str, sorted(ports)))
            why = f"is no port of the workloads that it selects (their own ports count: {known})"
            yield "warning", ("spec", "portLevelMtls", str(port)), why


def request_authentication(source: Object[RequestAuthentication], mesh: Mesh) -> Iterator[Said]:
    yield from _selects(source.meta.namespace, source.spec.selector, mesh)
    yield from _targets(source.spec)
    for index, rule in enumerate(source.spec.jwt_rules):
        if not rule.jwks and not rule.jwks_uri and not rule.issuer.startswith(("http://", "https://")):
            keys = ("spec", "jwtRules", index, "issuer")
            yield "warning", keys, "is no URL, so no keys can be fetched from it: no token of this issuer is valid"


def authorization_policy(source: Object[AuthorizationPolicy], mesh: Mesh) -> Iterator[Said]:
    yield from _selects(source.meta.namespace, source.spec.selector, mesh)
    yield from _targets(source.spec)
    yield from access.rules(source, mesh)
    if source.spec.action == "CUSTOM" and source.spec.provider is not None:
        why = providers.no_authorizer(source.spec.provider.name, mesh)
        if why:
            keys = ("spec", "provider", "name")
            yield "warning", keys, f"asks nobody: {why}; what the rules match is denied, as istiod does it"
        elif source.meta.flag(DRY_RUN):
            tried = "does not try a policy of action CUSTOM: istiod makes rules of it that deny, and nobody is asked"
            yield "warning", ("metadata", "annotations", DRY_RUN), tried


def telemetry(source: Object[Telemetry], mesh: Mesh) -> Iterator[Said]:
    yield from _selects(source.meta.namespace, source.spec.selector, mesh)
    first = mesh.world.telemetries.first(source)
    if first is not None:
        yield "warning", (), f"has no effect: {first.ref} is older, or first by name, and holds for the namespace"
    yield from _targets(source.spec)
    for index, logging in enumerate(source.spec.access_logging):
        if logging.filter is not None and not logging.filter.expression:
            refused = "Envoy refuses the listeners: an empty expression is none; istiod sends it all the same"
            yield "error", ("spec", "accessLogging", index, "filter"), refused
        for place, provider in enumerate(logging.providers):
            why = providers.no_log(provider.name, mesh)
            if why:
                keys = ("spec", "accessLogging", index, "providers", place)
                yield "warning", keys, f'"{provider.name}" writes no access log: {why}'
    default = mesh.world.mesh.default_providers.tracing
    for index, tracing in enumerate(source.spec.tracing):
        at: Keys = ("spec", "tracing", index)
        if tracing.providers:
            named, at = tracing.providers[0].name, (*at, "providers", 0)
        elif default:
            named = default[0]
        else:
            yield "warning", at, "switches tracing off: the mesh has no default provider of tracing"
            continue
        why = providers.no_tracer(named, mesh)
        if why:
            yield "warning", at, f'switches tracing off: "{named}" takes no spans: {why}'


def _selects(namespace: str, selector: LabelSelector | None, mesh: Mesh) -> Iterator[Said]:
    labels = selector.match_labels if selector is not None else {}
    if labels and mesh.has_workloads and not mesh.selected(namespace, labels):
        yield "warning", ("spec", "selector"), "selects no workload"
    elif labels and not mesh.has_workloads:
        for name, value, near in _slips(namespace, labels, mesh):
            why = f'selects nobody that is known here: {name} is "{value}" (did you mean "{near}"?)'
            yield "warning", ("spec", "selector", "matchLabels", name), why


def _slips(namespace: str, labels: Mapping[str, str], mesh: Mesh) -> Iterator[tuple[str, str, str]]:
    """Without Pods: labels that nobody in the folder has, where a Service or a Deployment has nearly the same."""
    known = [each.spec.selector for each in mesh.world.of_kind("Service", Service) if each.meta.namespace == namespace]
    deployments = mesh.world.of_kind("Deployment", Deployment)
    known += [each.spec.template.metadata.labels for each in deployments if each.meta.namespace == namespace]
    for name, value in labels.items():
        others = {each[name] for each in known if name in each}
        near = get_close_matches(value, others, n=1, cutoff=0.85)
        if value not in others and near:
            yield name, value, near[0]


def _targets(spec: RequestAuthentication | AuthorizationPolicy | Telemetry) -> Iterator[Said]:
    if targets(spec):
        key = "targetRefs" if spec.target_refs else "targetRef"
        yield "warning", ("spec", key), "makes the policy one for gateways and waypoints: no sidecar gets it"
