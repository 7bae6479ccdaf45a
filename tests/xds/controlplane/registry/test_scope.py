"""What a workload sees of a mesh: which Sidecar holds for it, what its hosts pick, who exports what to whom."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxyless.xds.controlplane.mesh import MeshConfig
from proxyless.xds.controlplane.registry.scope import Scope
from proxyless.xds.controlplane.registry.services import Service
from tests.xds.controlplane.support import istio, service, view, world

A = service("a", "http:80", namespace="one")
B = service("b", "http:80", "http-more:8080", "tcp:90", namespace="one")
C = service("c", "http:80", namespace="two")
D = service("d", "http:80", namespace="three")
MESH = A + B + C + D
CLUSTER = "svc.cluster.local"


def name(short: str) -> str:
    """`a.one` as a full name."""
    return f"{short}.{CLUSTER}"


def sidecar(spec: str, *, namespace: str = "one", called: str = "scope", **metadata: object) -> str:
    return istio("Sidecar", called, spec, namespace=namespace, **metadata)


def entry(called: str, host: str, port: int = 80, *, namespace: str = "one", rest: str = "", **metadata: object) -> str:
    ports = f"[{{number: {port}, name: http-{port}, protocol: HTTP}}]"
    spec = f"{{hosts: ['{host}'], ports: {ports}, resolution: STATIC, endpoints: [{{address: 10.0.0.7}}]{rest}}}"
    return istio("ServiceEntry", called, spec, namespace=namespace, **metadata)


def routing(
    called: str, host: str, to: str, port: int | None = None, *, namespace: str = "one", rest: str = "", match: str = ""
) -> str:
    said = f", port: {{number: {port}}}" if port else ""
    route = f"{{{match}route: [{{destination: {{host: {to}{said}}}}}]}}"
    return istio("VirtualService", called, f"{{hosts: ['{host}'], http: [{route}]{rest}}}", namespace=namespace)


def scope(
    text: str, namespace: str = "one", labels: Mapping[str, str] | None = None, mesh: MeshConfig | None = None
) -> Scope:
    return view(world(text, mesh or MeshConfig()), namespace=namespace, labels=labels).scope


def short(host: str) -> str:
    return host.removesuffix(f".{CLUSTER}")


def shown(services: list[Service]) -> list[str]:
    """`b.one:80,90`."""
    return [f"{short(s.hostname)}:{','.join(str(port.number) for port in s.ports)}" for s in services]


def sees(text: str, namespace: str = "one", labels: Mapping[str, str] | None = None) -> list[str]:
    return shown(scope(text, namespace, labels).services)


# -- which Sidecar holds


def egress(*hosts: str) -> str:
    written = ", ".join(f"'{host}'" for host in hosts)
    return f"egress: [{{hosts: [{written}]}}]"


def test_without_a_sidecar_a_workload_sees_everything() -> None:
    assert sees(MESH) == ["a.one:80", "b.one:80,8080,90", "c.two:80", "d.three:80"]
    assert scope(MESH).name == "default-sidecar"
    assert scope(MESH).outbound_policy.mode == "ALLOW_ANY"


PICKED = "workloadSelector: {labels: {app: x}}"
SIDECARS = (
    MESH
    + sidecar(f"{{{egress('one/*')}}}", namespace="istio-system", called="root")
    + sidecar(f"{{{egress('three/*')}, {PICKED}}}", namespace="istio-system", called="picked")
    + sidecar(f"{{{egress('two/*')}}}", namespace="two", called="general")
    + sidecar(f"{{{egress('three/*')}, {PICKED}}}", namespace="two", called="special")
)


@pytest.mark.parametrize(
    ("namespace", "labels", "held", "seen"),
    [
        ("one", {}, "root", ["a.one:80", "b.one:80,8080,90"]),
        ("one", {"app": "x"}, "root", ["a.one:80", "b.one:80,8080,90"]),
        ("two", {}, "general", ["c.two:80"]),
        ("two", {"app": "x", "version": "v1"}, "special", ["d.three:80"]),
        ("two", {"app": "y"}, "general", ["c.two:80"]),
        ("istio-system", {"app": "x"}, "picked", ["d.three:80"]),
        ("istio-system", {}, "root", ["a.one:80", "b.one:80,8080,90"]),
    ],
)
def test_a_selector_goes_before_the_namespace_and_that_before_the_root_namespace(
    namespace: str, labels: dict[str, str], held: str, seen: list[str]
) -> None:
    found = scope(SIDECARS, namespace, labels)
    assert found.name == held
    assert found.namespace == namespace
    assert shown(found.services) == seen


def test_of_two_sidecars_for_one_workload_the_older_counts_then_the_name() -> None:
    old, new = {"creationTimestamp": "2026-01-01T00:00:00Z"}, {"creationTimestamp": "2026-01-02T00:00:00Z"}
    text = MESH + sidecar(f"{{{egress('two/*')}}}", called="a", **new)
    text += sidecar(f"{{{egress('three/*')}}}", called="b", **old) + sidecar(
        f"{{{egress('one/*')}}}", called="c", **old
    )
    assert sees(text) == ["d.three:80"]


def test_an_empty_selector_selects_all_and_counts_as_a_selector() -> None:
    text = MESH + sidecar(f"{{{egress('two/*')}}}", called="a")
    text += sidecar(f"{{{egress('three/*')}, workloadSelector: {{}}}}", called="b")
    assert sees(text) == ["d.three:80"]


def test_a_sidecar_without_egress_leaves_everything_visible() -> None:
    assert len(sees(MESH + sidecar("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"))) == 4


# -- what hosts pick

WILD = entry("wild", "*.wild.com") + entry("sub", "x.wild.com", namespace="two")


@pytest.mark.parametrize(
    ("hosts", "seen"),
    [
        (["./*"], ["a.one:80", "b.one:80,8080,90"]),
        (["two/*"], ["c.two:80"]),
        (["*/*"], ["a.one:80", "b.one:80,8080,90", "c.two:80", "d.three:80"]),
        ([f"*/{name('c.two')}"], ["c.two:80"]),
        ([f"one/{name('a.one')}"], ["a.one:80"]),
        ([f"two/{name('a.one')}"], []),
        ([f"one/*.one.{CLUSTER}", "three/*"], ["a.one:80", "b.one:80,8080,90", "d.three:80"]),
        (["*/*", f"~one/{name('a.one')}"], ["b.one:80,8080,90", "c.two:80", "d.three:80"]),
        (["*/*", "~./*"], ["c.two:80", "d.three:80"]),
        (["*/*", f"~*/*.two.{CLUSTER}"], ["a.one:80", "b.one:80,8080,90", "d.three:80"]),
        (["*/*", f"~/*.three.{CLUSTER}"], ["a.one:80", "b.one:80,8080,90", "c.two:80"]),
        (["~/*"], []),
        (["nowhere/*"], []),
    ],
)
def test_hosts_pick_by_namespace_and_name(hosts: list[str], seen: list[str]) -> None:
    assert sees(MESH + sidecar(f"{{{egress(*hosts)}}}")) == seen


@pytest.mark.parametrize(
    ("hosts", "seen"),
    [
        (["*/*.wild.com"], ["*.wild.com:80", "x.wild.com:80"]),
        (["*/x.wild.com"], ["x.wild.com:80"]),
        (["one/x.wild.com"], []),
        (["*/*.com"], ["*.wild.com:80", "x.wild.com:80"]),
        (["*/*.x.wild.com"], []),
        (["*/*.com", "~*/*.wild.com"], []),
    ],
)
def test_a_wildcard_host_is_picked_by_one_that_covers_it(hosts: list[str], seen: list[str]) -> None:
    assert sees(WILD + sidecar(f"{{{egress(*hosts)}}}")) == seen


@pytest.mark.parametrize("hosts", [["*/*"], ["two/same.com", "three/same.com"], ["*/same.com"]])
@pytest.mark.parametrize(
    ("namespaces", "namespace", "won"),
    [(("two", "three"), "one", "two"), (("two", "one"), "one", "one"), (("three", "two"), "three", "three")],
)
def test_a_host_is_one_namespaces(hosts: list[str], namespaces: tuple[str, str], namespace: str, won: str) -> None:
    text = "".join(
        entry(f"e{index}", "same.com", namespace=each, creationTimestamp=f"2026-01-0{index + 1}T00:00:00Z")
        for index, each in enumerate(namespaces)
    )
    written = [f"{each}/same.com" for each in namespaces] if len(hosts) == 2 else hosts
    found = scope(text + sidecar(f"{{{egress(*written)}}}", namespace=namespace), namespace)
    assert [each.namespace for each in found.services] == [won]


def test_a_service_of_kubernetes_goes_before_an_older_entry_of_another_namespace() -> None:
    old = entry("squat", name("c.two"), namespace="three", creationTimestamp="2020-01-01T00:00:00Z")
    (found,) = scope(C + old + sidecar(f"{{{egress('*/*')}}}")).services
    assert found.namespace == "two"


def test_aliases_are_imported_by_their_own_names() -> None:
    alias = service(
        "other", "http:80", namespace="two", ip="", rest=f"{{type: ExternalName, externalName: {name('c.two')}}}"
    )
    found = scope(C + alias + sidecar(f"{{{egress('two/' + name('c.two'))}}}"))
    assert [s.aliases for s in found.services] == [()]
    found = scope(C + alias + sidecar(f"{{{egress('two/*')}}}"))
    assert [[short(a.hostname) for a in s.aliases] for s in found.services if s.resolution != "Alias"] == [
        ["other.two"]
    ]


# -- listeners with a port


@pytest.mark.parametrize(
    ("port", "seen"),
    [
        ("{number: 80, protocol: HTTP}", ["a.one:80", "b.one:80"]),
        ("{number: 8080, protocol: HTTP}", ["b.one:8080"]),
        ("{number: 90, protocol: TCP}", ["b.one:90"]),
        ("{number: 7, protocol: HTTP}", []),
        ("{number: 7, protocol: HTTP_PROXY}", ["a.one:80", "b.one:80,8080,90"]),
    ],
)
def test_a_listener_takes_services_that_have_its_port(port: str, seen: list[str]) -> None:
    assert sees(MESH + sidecar(f"{{egress: [{{port: {port}, hosts: [one/*]}}]}}")) == seen


def test_a_unix_socket_takes_services_of_every_port() -> None:
    text = "{egress: [{port: {number: 0, protocol: HTTP}, bind: 'unix:///x', hosts: [one/*]}]}"
    assert sees(MESH + sidecar(text)) == ["a.one:80", "b.one:80,8080,90"]


def test_the_ports_of_a_service_that_several_listeners_import_add_up() -> None:
    text = """
    egress:
    - {port: {number: 90, protocol: TCP}, hosts: [one/*]}
    - {port: {number: 8080, protocol: HTTP}, hosts: [one/*]}
    - {hosts: [two/*]}
    """
    found = scope(MESH + sidecar(text))
    assert shown(found.services) == ["b.one:90,8080", "c.two:80"]
    assert [shown(listener.services) for listener in found.listeners] == [["b.one:90"], ["b.one:8080"], ["c.two:80"]]
    assert [found.listener_for(port) for port in (90, 8080, 80)] == found.listeners


def test_entries_for_one_host_add_their_ports_unless_they_differ_otherwise() -> None:
    first, second = entry("a", "same.com", 80), entry("b", "same.com", 81)
    assert sees(first + second) == ["same.com:80,81"]
    private = entry("b", "same.com", 81, rest=", exportTo: [one]")
    assert sees(first + private) == ["same.com:81"]
    dns = istio(
        "ServiceEntry", "b", "{hosts: [same.com], ports: [{number: 81, name: x}], resolution: DNS}", namespace="one"
    )
    assert sees(first + dns) == ["same.com:80"]


def test_a_listener_of_a_socket_is_found_by_its_path() -> None:
    text = "".join(f"- {{port: {{number: 0}}, bind: 'unix:///{each}', hosts: [one/*]}}\n" for each in "ab")
    found = scope(MESH + sidecar(f"egress:\n{text}"))
    assert found.listener_for(0, "unix:///b") is found.listeners[1]
    assert found.listener_for(0, "unix:///c") is None
    assert found.listener_for(80) is None


# -- virtual services


def routed(text: str, namespace: str = "one", labels: Mapping[str, str] | None = None) -> list[str]:
    found = scope(text, namespace, labels)
    return [each.name for listener in found.listeners for each in listener.routings]


@pytest.mark.parametrize(
    ("hosts", "host", "taken"),
    [
        (["one/*"], name("c.two"), True),
        (["two/*"], name("c.two"), False),
        (["*/*"], "a.com", True),
        (["*/a.com"], "a.com", True),
        (["*/a.com"], "b.com", False),
        (["*/a.com"], "*.com", True),
        (["*/*.a.com"], "*.com", True),
        (["*/*.com"], "*.a.com", True),
        (["*/*", "~one/a.com"], "a.com", False),
        (["*/*", "~one/a.com"], "*.com", True),
        (["*/*", "~*/*.com"], "*.com", False),
        (["one/*", "~two/*"], "a.com", True),
    ],
)
def test_virtual_services_are_imported_by_their_namespace_and_one_of_their_hosts(
    hosts: list[str], host: str, taken: bool
) -> None:
    text = MESH + routing("r", host, name("d.three")) + sidecar(f"{{{egress(*hosts)}}}")
    assert routed(text) == (["r"] if taken else [])


ELSEWHERE = sidecar(f"{{{egress('one/*')}}}")


def leading(kind: str, rest: str = "", match: str = "") -> str:
    """A VirtualService whose route goes to c, and perhaps somewhere else too."""
    route = f"{{{match}route: [{{destination: {{host: {name('c.two')}}}}}]{rest}}}"
    return istio("VirtualService", "r", f"{{hosts: [a.com], {kind}: [{route}]}}", namespace="one")


D_TOO = f"{{host: {name('d.three')}}}"


@pytest.mark.parametrize(
    ("route", "seen"),
    [
        (leading("http"), ["c.two:80"]),
        (routing("r", "a.com", "nobody.com"), []),
        (leading("http", match="match: [{sourceNamespace: two}], "), []),
        (leading("http", match="match: [{sourceNamespace: two}, {sourceNamespace: one}], "), ["c.two:80"]),
        (leading("http", match="match: [{uri: {exact: /}}], "), ["c.two:80"]),
        (routing("r", "a.com", name("d.three"), namespace="two"), []),
        (leading("tcp"), ["c.two:80"]),
        (leading("tls", match="match: [{sniHosts: [a.com]}], "), ["c.two:80"]),
        (leading("http", rest=f", mirror: {D_TOO}"), ["c.two:80", "d.three:80"]),
        (leading("http", rest=f", mirrors: [{{destination: {D_TOO}}}]"), ["c.two:80", "d.three:80"]),
    ],
)
def test_what_a_route_leads_to_has_clusters_too(route: str, seen: list[str]) -> None:
    assert sees(C + D + route + ELSEWHERE) == seen


@pytest.mark.parametrize(("port", "seen"), [(None, ["b.one:80,8080,90"]), (8080, ["b.one:8080"]), (7, [])])
def test_only_the_ports_that_a_route_names_come_with_it(port: int | None, seen: list[str]) -> None:
    text = B + routing("r", "a.com", name("b.one"), port, namespace="two")
    assert sees(text + sidecar(f"{{{egress('two/*')}}}", namespace="two"), "two") == seen


def test_of_a_listener_with_a_port_only_that_port_comes_with_a_route() -> None:
    text = (
        A
        + B
        + routing("r", "a.com", name("b.one"), 90, namespace="two")
        + routing("s", "b.com", name("a.one"), 1, namespace="two")
    )
    listener = "{port: {number: 80, protocol: HTTP}, hosts: [two/*]}"
    assert sees(text + sidecar(f"{{egress: [{listener}]}}", namespace="two"), "two") == ["b.one:80", "a.one:80"]


def test_a_destination_of_several_namespaces_is_the_own_ones_then_kubernetes_then_the_oldest() -> None:
    host = name("c.two")
    old = entry("old", host, namespace="three", creationTimestamp="2020-01-01T00:00:00Z")
    new = entry("new", host, namespace="four", creationTimestamp="2021-01-01T00:00:00Z")
    own = entry("own", host, namespace="one", rest=", exportTo: ['~']")
    hidden = entry(
        "hidden", host, namespace="five", rest=", exportTo: [five]", creationTimestamp="2019-01-01T00:00:00Z"
    )
    route = routing("r", "a.com", host)
    text = sidecar(f"{{{egress('one/a.com')}}}") + route + hidden

    def found(*more: str) -> list[str]:
        return [each.namespace for each in scope(text + "".join(more)).services]

    assert found(old, new) == ["three"]
    assert found(new, old, C) == ["two"]
    assert found(old, C, own) == ["one"]
    assert found() == []


# -- who exports what

EXPORTS = [
    ("['*']", {"one", "two", "three"}),
    ("['.']", {"one"}),
    ("[one]", {"one"}),
    ("[two]", {"two"}),
    ("['.', two]", {"one", "two"}),
    ("[two, three]", {"two", "three"}),
    ("['~']", set()),
]
NAMED = [each for each in EXPORTS if "~" not in each[0]]
"""Of routes and rules: only what is called may be for nobody."""


def seen_from(text: str, mesh: MeshConfig | None = None) -> set[str]:
    return {each for each in ("one", "two", "three") if scope(text, each, mesh=mesh).services}


@pytest.mark.parametrize(("export_to", "visible"), EXPORTS)
def test_an_entry_is_seen_where_it_is_exported_to(export_to: str, visible: set[str]) -> None:
    assert seen_from(entry("e", "a.com", rest=f", exportTo: {export_to}")) == visible


@pytest.mark.parametrize(
    ("export_to", "visible"), [*EXPORTS, ("['~', two]", set()), ("['*', '~']", {"one", "two", "three"})]
)
def test_a_service_is_seen_where_its_annotation_says(export_to: str, visible: set[str]) -> None:
    said = export_to.strip("[]").replace("'", "")
    text = A.replace("name: a\n", f"name: a\n  annotations: {{networking.istio.io/exportTo: '{said}'}}\n", 1)
    assert "exportTo" in text
    assert seen_from(text) == visible


@pytest.mark.parametrize(("export_to", "visible"), NAMED)
def test_a_virtual_service_is_seen_where_it_is_exported_to(export_to: str, visible: set[str]) -> None:
    text = MESH + routing("r", "a.com", name("c.two"), rest=f", exportTo: {export_to}")
    assert {each for each in ("one", "two", "three") if routed(text, each)} == visible


def ruled(text: str, mesh: MeshConfig | None = None) -> set[str]:
    """The namespaces where the rule of `a` holds."""
    found = {each: view(world(text, mesh or MeshConfig()), namespace=each) for each in ("one", "two", "three")}
    return {each for each, seen in found.items() if seen.scope.rule(seen.proxy, name("a.one")) is not None}


@pytest.mark.parametrize(("export_to", "visible"), NAMED)
def test_a_rule_holds_where_it_is_exported_to(export_to: str, visible: set[str]) -> None:
    text = MESH + istio("DestinationRule", "r", f"{{host: a, exportTo: {export_to}}}", namespace="one")
    assert ruled(text) == visible


def test_the_meshs_defaults_hold_for_what_says_nothing() -> None:
    own = MeshConfig(default_service_export_to=(".",))
    assert seen_from(entry("e", "a.com"), own) == {"one"}
    assert seen_from(A, own) == {"one"}
    assert seen_from(entry("e", "a.com", rest=", exportTo: ['*']"), own) == {"one", "two", "three"}
    named = MeshConfig(default_service_export_to=("two",))
    assert seen_from(A, named) == {"two"}
    routes = MESH + routing("r", "a.com", name("c.two"))

    def routed_in(mesh: MeshConfig) -> list[str]:
        return [each for each in ("one", "two") if scope(routes, each, mesh=mesh).listeners[0].routings]

    assert routed_in(MeshConfig(default_virtual_service_export_to=(".",))) == ["one"]
    assert routed_in(MeshConfig(default_virtual_service_export_to=("two",))) == ["two"]
    rule = MESH + istio("DestinationRule", "r", "{host: a}", namespace="one")
    assert ruled(rule, MeshConfig(default_destination_rule_export_to=(".",))) == {"one"}
    assert ruled(rule, MeshConfig(default_destination_rule_export_to=("two",))) == {"one", "two", "three"}


def test_a_delegate_is_used_where_its_exports_reach() -> None:
    root = istio(
        "VirtualService", "root", "{hosts: [a.com], http: [{delegate: {name: leaf, namespace: two}}]}", namespace="one"
    )
    leaf = istio(
        "VirtualService",
        "leaf",
        f"{{http: [{{route: [{{destination: {{host: {name('c.two')}}}}}]}}]}}",
        namespace="two",
    )

    def routes(mesh: MeshConfig) -> int:
        return sum(len(each.spec.http) for each in scope(MESH + root + leaf, mesh=mesh).listeners[0].routings)

    assert routes(MeshConfig()) == 1
    assert routes(MeshConfig(default_virtual_service_export_to=(".",))) == 0


def test_a_host_that_is_named_in_full_is_seen_only_where_it_is_exported_to() -> None:
    text = entry("e", "a.com", namespace="two", rest=", exportTo: ['.']")
    assert sees(text + sidecar(f"{{{egress('two/a.com')}}}")) == []
