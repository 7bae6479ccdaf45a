"""Resources as JSON and as envoy-data-plane's classes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format

from proxyless.recorded import Recording
from proxyless.xds.model.resource import Resource, ResourceType
from proxyless.xds.wire.readable import as_json, as_typed
from proxyless.xds.wire.schema import find, pool
from proxyless.xds.wire.schema import types as pb

RECORDED = Path(__file__).parents[2] / "recorded" / "shop" / "xds"


def resources(workload: str) -> list[Resource[object]]:
    graph = Recording(RECORDED / workload).graph
    return [each for held in graph.newest.values() for each in held.values()]


def test_every_recorded_resource_is_the_same_when_it_is_read_back() -> None:
    for each in resources("frontend"):
        kind = find(each.type.value)
        assert kind is not None
        document = as_json(each.type, each.raw)
        back = json_format.ParseDict(document, kind(), descriptor_pool=pool())
        # Entries of a map have no order: neither bytes nor ordered dictionaries can be compared.
        again = as_json(each.type, back.SerializeToString())
        assert json.dumps(again, sort_keys=True) == json.dumps(document, sort_keys=True)
        assert back.ByteSize() == len(each.raw), each.name


def test_virtual_hosts_are_shown_one_by_one_with_a_pause_before_each() -> None:
    [table] = [each for each in resources("frontend") if each.type is ResourceType.ROUTE and each.name == "80"]
    pauses: list[None] = []
    document = as_json(table.type, table.raw, lambda: pauses.append(None))
    assert document["name"] == "80"
    assert len(pauses) == len(document["virtual_hosts"]) > 3


def test_a_table_without_virtual_hosts_has_none() -> None:
    raw = pb.route_v3.RouteConfiguration(name="empty").SerializeToString()
    assert as_json(ResourceType.ROUTE, raw) == {"name": "empty"}


def test_a_type_that_nobody_knows_is_shown_by_name_and_size() -> None:
    cluster = pb.cluster_v3.Cluster(name="c")
    known = cluster.typed_extension_protocol_options["known"]
    known.Pack(pb.core_v3.Http1ProtocolOptions(accept_http_10=True))
    unknown = cluster.typed_extension_protocol_options["unknown"]
    unknown.type_url = "type.googleapis.com/acme.Secret"
    unknown.value = b"bytes that nobody can read"
    shown = as_json(ResourceType.CLUSTER, cluster.SerializeToString())["typed_extension_protocol_options"]
    assert shown["known"]["accept_http_10"] is True
    assert shown["unknown"]["value"] == {"unknown_type": "type.googleapis.com/acme.Secret", "bytes": 26.0}


def test_bytes_that_are_not_what_they_say_are_shown_by_name_and_size() -> None:
    cluster = pb.cluster_v3.Cluster(name="c")
    broken = cluster.typed_extension_protocol_options["broken"]
    broken.type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    broken.value = b"\xff\xff"
    shown = as_json(ResourceType.CLUSTER, cluster.SerializeToString())["typed_extension_protocol_options"]
    assert shown["broken"]["value"]["bytes"] == 2


def test_typed_resources_are_envoy_data_planes_own_and_hold_no_secret() -> None:
    cluster = pytest.importorskip("envoy_data_plane.envoy.config.cluster.v3")
    message = pb.cluster_v3.Cluster(name="c", connect_timeout=pb.google_protobuf.Duration(seconds=3))
    context = pb.tls_v3.UpstreamTlsContext(sni="c.example")
    context.common_tls_context.tls_certificates.add().private_key.inline_string = "hush"
    message.transport_socket.name = "tls"
    message.transport_socket.typed_config.Pack(context)
    typed = as_typed(ResourceType.CLUSTER, message.SerializeToString())
    assert isinstance(typed, cluster.Cluster)
    assert typed.name == "c"
    assert typed.transport_socket.typed_config is not None
    assert b"hush" not in typed.transport_socket.typed_config.value


def test_istios_own_name_table_has_no_class_there() -> None:
    assert as_typed(ResourceType.NAMES, b"") is None


def test_without_the_extra_typed_resources_are_an_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envoy_data_plane.envoy.config.cluster.v3", None)
    with pytest.raises(ImportError):
        as_typed(ResourceType.CLUSTER, pb.cluster_v3.Cluster(name="c").SerializeToString())
