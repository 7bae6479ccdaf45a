"""A scope that takes over what a change did not touch is the scope that is made afresh, whatever changes."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxyless.xds.controlplane.mesh import MeshConfig
from proxyless.xds.controlplane.objects import Object, Ref
from proxyless.xds.controlplane.registry.scope import Scope
from proxyless.xds.controlplane.registry.services import Service
from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.support import istio, objects, service

MESH = MeshConfig()
NAMESPACES = ("one", "two", "istio-system")
WORKLOADS: tuple[tuple[str, dict[str, str]], ...] = (("one", {}), ("one", {"app": "x"}), ("two", {}), ("three", {}))
HOSTS = ("a.one.svc.cluster.local", "b.two.svc.cluster.local", "same.com", "*.com", "x.com")
EXPORTS = ("", ", exportTo: ['.']", ", exportTo: [two]", ", exportTo: ['*']")

services = st.builds(
    lambda name, namespace, ports: service(name, *ports, namespace=namespace),
    st.sampled_from("ab"),
    st.sampled_from(NAMESPACES),
    st.sampled_from([("http:80",), ("http:80", "tcp:90"), ("tcp:90",)]),
)
entries = st.builds(
    lambda name, namespace, host, port, rest: istio(
        "ServiceEntry",
        name,
        f"{{hosts: ['{host}'], ports: [{{number: {port}, name: http, protocol: HTTP}}]{rest}}}",
        namespace=namespace,
    ),
    st.sampled_from("cd"),
    st.sampled_from(NAMESPACES),
    st.sampled_from(HOSTS),
    st.sampled_from([80, 90]),
    st.sampled_from([*EXPORTS, ", exportTo: ['~']"]),
)
routes = st.builds(
    lambda name, namespace, host, to, source, rest: istio(
        "VirtualService",
        name,
        f"{{hosts: ['{host}'], http: [{{match: [{{sourceNamespace: '{source}'}}], "
        f"route: [{{destination: {{host: {to}}}}}]}}]{rest}}}",
        namespace=namespace,
    ),
    st.sampled_from("rs"),
    st.sampled_from(NAMESPACES),
    st.sampled_from(HOSTS),
    st.sampled_from([host for host in HOSTS if "*" not in host]),
    st.sampled_from(["", "one"]),
    st.sampled_from(EXPORTS),
)
ruled = st.builds(
    lambda name, namespace, host, rest: istio(
        "DestinationRule", name, f"{{host: '{host}', subsets: [{{name: {name}}}]{rest}}}", namespace=namespace
    ),
    st.sampled_from("pq"),
    st.sampled_from(NAMESPACES),
    st.sampled_from(HOSTS),
    st.sampled_from(EXPORTS),
)
sidecars = st.builds(
    lambda name, namespace, port, hosts, selector: istio(
        "Sidecar",
        name,
        f"{{egress: [{port}{{hosts: [{', '.join(repr(host) for host in hosts)}]}}]{selector}}}",
        namespace=namespace,
    ),
    st.sampled_from("yz"),
    st.sampled_from(NAMESPACES),
    st.sampled_from(["", "{port: {number: 90, protocol: TCP}, hosts: [./*]}, "]),
    st.lists(
        st.sampled_from(["*/*", "./*", "two/*", "*/same.com", "*/*.com", "~two/*", "one/a.one.svc.cluster.local"]),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["", ", workloadSelector: {labels: {app: x}}"]),
)
changes = st.lists(st.tuples(services | entries | routes | ruled | sidecars, st.booleans()), min_size=2, max_size=8)


def shown(scope: Scope) -> Any:
    """All that a scope says; two worlds have different objects, so by what they say."""

    def of(found: list[Service]) -> list[Any]:
        return [
            (s.key, s.source.ref, [(p.name, p.number, p.protocol) for p in s.ports], [alias.key for alias in s.aliases])
            for s in found
        ]

    listeners = [(each.spec, of(each.services), [r.source.ref for r in each.routings]) for each in scope.listeners]
    rules = {
        host: [[source.ref for source in rule.sources] for rule in scope.rules_of(host)]
        for host in sorted(scope.by_host)
    }
    return listeners, of(scope.services), rules


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(changes)
def test_what_is_taken_over_is_what_would_be_made_afresh(written: list[tuple[str, bool]]) -> None:
    held: dict[Ref, Object[object]] = {}
    world: World | None = None
    kept: dict[Any, Scope] = {}
    for text, stays in written:
        (item,) = objects(text)
        if stays:
            held[item.ref] = item
        else:
            held.pop(item.ref, None)
        world = World(held.values(), MESH, world)
        world.settle()
        afresh = World(held.values(), MESH)
        before, kept = kept, {}
        for namespace, labels in WORKLOADS:
            sidecar = world.sidecars.of_workload(namespace, labels)
            key = namespace, sidecar
            kept[key] = Scope(world, namespace, sidecar, before.get(key))
            assert shown(kept[key]) == shown(Scope(afresh, namespace, sidecar))
