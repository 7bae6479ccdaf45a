"""MeshConfig as an object of the folder: which one counts, what it is laid over, what a change of it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxyless.xds.controlplane import FolderSource, MeshConfig, Plane
from proxyless.xds.controlplane.discovery.changes import between
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.wire.schema import types as pb
from tests.xds.controlplane.support import mesh, named, plain, service, world

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


def test_without_settings_istiods_defaults_hold() -> None:
    held = world(service("web", "http:80")).mesh
    assert (held.root_namespace, held.trust_domain, held.connect_timeout) == ("istio-system", "cluster.local", 10)
    assert held.outbound_traffic_policy.mode == "ALLOW_ANY"
    assert held.inbound_traffic_policy.mode == "PASSTHROUGH"
    assert (held.enable_auto_mtls, held.enable_tracing, held.access_log_file) == (True, True, "")
    assert (held.dns_refresh_rate, held.protocol_detection_timeout, held.h2_upgrade_policy) == (60, 0, "DO_NOT_UPGRADE")
    assert (held.proxy_listen_port, held.proxy_inbound_listen_port, held.proxy_http_port) == (15001, 15006, 0)
    assert held.default_service_export_to == held.default_virtual_service_export_to == ("*",)
    assert [each.name for each in held.extension_providers] == ["prometheus", "stackdriver", "envoy"]
    assert held.locality_lb_setting is not None
    assert held.locality_lb_setting.enabled is True


def test_what_is_not_given_keeps_its_default() -> None:
    held = world(mesh("{accessLogFile: /dev/stdout, connectTimeout: 1s}")).mesh
    assert (held.access_log_file, held.connect_timeout, held.dns_refresh_rate) == ("/dev/stdout", 1, 60)


def test_a_message_that_is_given_has_no_defaults_of_the_mesh() -> None:
    assert world(mesh("outboundTrafficPolicy: {}")).mesh.outbound_traffic_policy.mode == "REGISTRY_ONLY"


def test_providers_are_added_to_the_built_in_ones_or_replace_them() -> None:
    held = world(
        mesh(
            """
            extensionProviders:
            - {name: zipkin, zipkin: {service: zipkin.obs.svc.cluster.local, port: 9411}}
            - {name: envoy, envoyFileAccessLog: {path: /tmp/log}}
            """
        )
    ).mesh
    assert [each.name for each in held.extension_providers] == ["prometheus", "stackdriver", "envoy", "zipkin"]
    found = held.provider("Envoy")
    assert found is not None
    assert found.envoy_file_access_log is not None
    assert found.envoy_file_access_log.path == "/tmp/log"
    assert found.provider is found.envoy_file_access_log
    assert held.provider("nobody") is None


def test_aliases_of_the_trust_domain_are_sorted_and_distinct() -> None:
    assert world(mesh("trustDomainAliases: [b, a, b]")).mesh.trust_domain_aliases == ("a", "b")


def test_the_default_revision_of_the_istio_system_counts() -> None:
    one = mesh("accessLogFile: /a", name="istio-canary")
    two = mesh("accessLogFile: /b", namespace="alone")
    three = mesh("accessLogFile: /c")
    assert world(one).mesh.access_log_file == "/a"
    assert world(one + two).mesh.access_log_file == "/b"
    held = world(one + two + three)
    assert held.mesh.access_log_file == "/c"
    assert [item.meta.name for item in held.settings.passed_over] == ["istio", "istio-canary"]


def test_other_config_maps_are_nobodys(tmp_path: Path) -> None:
    text = mesh("accessLogFile: /a", name="app") + mesh("a: b", name="istio-ca-root-cert").replace("mesh:", "root:")
    (tmp_path / "maps.yaml").write_text(text)
    loaded = FolderSource(tmp_path).poll()
    assert loaded is not None
    assert (loaded.objects, loaded.faults, loaded.notes) == ((), (), ())


def test_what_istioctl_installs_from_counts_where_there_is_no_config_map() -> None:
    operator = """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: installed, namespace: istio-system}
spec: {profile: default, meshConfig: {accessLogFile: /operator}, components: {pilot: {enabled: true}}}
"""
    assert world(operator).mesh.access_log_file == "/operator"
    assert world(operator + mesh("accessLogFile: /map")).mesh.access_log_file == "/map"


def test_networks_stand_beside_the_mesh() -> None:
    held = world(mesh("{}", networks="networks: {n1: {gateways: [{address: 1.2.3.4, port: 15443}]}}")).mesh
    assert held.networks.networks["n1"].gateways[0].address == "1.2.3.4"


def test_the_same_object_gives_the_same_settings() -> None:
    one = world(mesh("accessLogFile: /a") + service("web", "http:80"))
    base = one.settings.base
    objects = list(one.by_ref.values())
    after = type(one)([*objects], base, one)
    assert after.settings is one.settings
    assert not between(one, after)
    fewer = type(one)([item for item in objects if item.kind != "ConfigMap"], base, after)
    assert fewer.mesh is base
    assert between(after, fewer).everything
    assert type(one)(objects, MeshConfig(), one).mesh is not one.mesh


def test_a_revision_that_comes_changes_nothing(tmp_path: Path) -> None:
    first = mesh("accessLogFile: /a")
    (tmp_path / "istio.yaml").write_text(first)
    plane = Plane(FolderSource(tmp_path))
    before = plane.state.world
    (tmp_path / "other.yaml").write_text(mesh("accessLogFile: /b", name="istio-canary"))
    assert plane.poll()
    assert plane.state.world.mesh is before.mesh
    assert not between(before, plane.state.world)


def _timeouts(session: Any, responses: Any) -> set[str]:
    clusters = named(responses.resources)
    return {plain(each)["connect_timeout"] for each in clusters.values()}


def test_settings_are_followed_while_it_runs_and_stay_when_they_become_wrong(tmp_path: Path) -> None:
    file = tmp_path / "istio.yaml"
    (tmp_path / "web.yaml").write_text(service("web", "http:80"))
    file.write_text(mesh("connectTimeout: 2s"))
    plane = Plane(FolderSource(tmp_path))
    session: Any = SotwSession(plane)
    node = pb.core_v3.Node(id="sidecar~10.0.0.1~client.shop~shop.svc.cluster.local")
    (response,) = session.receive(pb.discovery_v3.DiscoveryRequest(node=node, type_url=CLUSTER))
    assert _timeouts(session, response) == {"2s"}
    session.receive(
        pb.discovery_v3.DiscoveryRequest(
            type_url=CLUSTER, version_info=response.version_info, response_nonce=response.nonce
        )
    )
    file.write_text(mesh("connectTimeout: 3s"))
    assert plane.poll()
    (response,) = session.changed()
    assert _timeouts(session, response) == {"3s"}
    file.write_text(mesh("connectTimeout: 4 seconds"))
    assert plane.poll()
    assert {fault.field for fault in plane.state.faults} == {"data.mesh.connectTimeout"}
    assert plane.state.world.mesh.connect_timeout == 3


def test_a_config_map_of_certificates_is_no_mesh_whatever_else_it_holds() -> None:
    certificates = mesh("{connectTimeout: 1s}", name="roots").replace("data:\n", "data:\n  ca.crt: a certificate\n")
    held = world(certificates)
    assert held.mesh.connect_timeout == 10
    assert [item.kind for item in held.given] == ["ConfigMap"]
    both = mesh("{connectTimeout: 1s}").replace("data:\n", "data:\n  ca.crt: a certificate\n")
    assert world(both).mesh.connect_timeout == 1
