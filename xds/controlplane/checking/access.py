"""AuthorizationPolicies against the workloads that they select: rules that no request can meet."""

from __future__ import annotations

from collections.abc import Iterator

from ..api.decode import nearest
from ..api.security import AuthorizationPolicy, Rule
from ..objects import Object
from ..registry.endpoints import Workload
from .conditions import lower_case_method, no_path
from .finding import Keys, Said
from .mesh import Mesh

TOKENS = "request.auth."
"""How keys of conditions begin that look into a JWT."""


def rules(source: Object[AuthorizationPolicy], mesh: Mesh) -> Iterator[Said]:
    """What of a policy's rules is never met."""
    spec, namespace = source.spec, source.meta.namespace
    selected = mesh.workloads(namespace, spec.selector.match_labels if spec.selector is not None else {})
    ports = {port for each in selected for port in mesh.ports.get(id(each), ())}
    for index, rule in enumerate(spec.rules):
        at: Keys = ("spec", "rules", index)
        yield from _operations(at, rule, ports)
        for place, sender in enumerate(rule.from_):
            if sender.source is None:
                continue
            keys: Keys = (*at, "from", place, "source")
            yield from _principals((*keys, "principals"), sender.source.principals)
            for name in sender.source.namespaces if mesh.has_workloads else ():
                if "*" not in name and name not in mesh.namespaces:
                    yield "warning", (*keys, "namespaces"), f"{name} has no workload{nearest(name, mesh.namespaces)}"
        if selected and _asks_for_tokens(rule) and not any(_verifies(each, mesh) for each in selected):
            why = "asks for a token, and no RequestAuthentication verifies any for the workloads that it selects"
            yield "warning", at, f"{why}: no request has one"


def _operations(at: Keys, rule: Rule, ports: set[int]) -> Iterator[Said]:
    for place, target in enumerate(rule.to):
        operation = target.operation
        if operation is None:
            continue
        for name, written in (("ports", operation.ports), ("notPorts", operation.not_ports)):
            for port in written:
                if ports and port.isdecimal() and int(port) not in ports:
                    known = ", ".join(map(str, sorted(ports)))
                    why = f"{port} is no port of the workloads that it selects (their own ports count: {known})"
                    yield "warning", (*at, "to", place, "operation", name), why
        for method in operation.methods:
            why = lower_case_method(method)
            if why:
                yield "warning", (*at, "to", place, "operation", "methods"), f"{method} {why}"
        for path in operation.paths:
            if no_path(path):
                yield "warning", (*at, "to", place, "operation", "paths"), no_path(path)


def _principals(at: Keys, names: tuple[str, ...]) -> Iterator[Said]:
    for name in names:
        if name.startswith("spiffe://"):
            yield "warning", at, f'"{name}" is never met: a principal is written without spiffe://'
        elif "*" not in name and "/ns/" not in name:
            yield "warning", at, f'"{name}" is no identity of Istio\'s: TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT'


def _asks_for_tokens(rule: Rule) -> bool:
    return any(
        each.source is not None and (each.source.request_principals or each.source.not_request_principals)
        for each in rule.from_
    ) or any(each.key.startswith(TOKENS) for each in rule.when)


def _verifies(workload: Workload, mesh: Mesh) -> bool:
    return bool(mesh.world.policies.tokens_of_workload(workload.namespace, workload.labels))
