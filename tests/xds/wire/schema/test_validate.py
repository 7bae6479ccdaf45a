"""Whole messages against Envoy's rules: where the engine descends, what it reports first, in which words."""

from __future__ import annotations

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from proxyless.xds.wire.schema import ConstraintError, find, pool, validate, violation
from proxyless.xds.wire.schema import types as pb
from proxyless.xds.wire.schema._constraints import UnknownRuleError
from proxyless.xds.wire.schema._field_rules import FieldRules

from .configurations import BROKEN, Broken


def message_of(broken: Broken) -> Message:
    cls = find(broken.kind)
    assert cls is not None
    return json_format.ParseDict(broken.message, cls(), descriptor_pool=pool())


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.text.rpartition("caused by ")[2][:90])
def test_a_broken_message_is_refused_in_envoys_words(broken: Broken) -> None:
    assert violation(message_of(broken)) == broken.text


def test_a_good_message_passes() -> None:
    cluster = pb.cluster_v3.Cluster(name="c", connect_timeout=pb.google_protobuf.Duration(seconds=1))
    assert violation(cluster) is None
    validate(cluster)


def test_the_error_carries_envoys_text() -> None:
    with pytest.raises(ConstraintError) as raised:
        validate(pb.cluster_v3.Cluster())
    inner = "ClusterValidationError.Name: value length must be at least 1 characters"
    assert raised.value.violation == inner
    assert str(raised.value) == f"Proto constraint validation failed ({inner})"


def test_fields_can_be_left_out() -> None:
    table = pb.route_v3.RouteConfiguration(virtual_hosts=[pb.route_v3.VirtualHost()])
    assert violation(table) is not None
    assert violation(table, without=("virtual_hosts",)) is None
    validate(table, without=("virtual_hosts",))


def test_the_inside_of_an_any_is_not_looked_at() -> None:
    socket = pb.core_v3.TransportSocket(name="tls")
    socket.typed_config.Pack(pb.tls_v3.UpstreamTlsContext(sni="x" * 256))
    assert violation(socket) is None


def test_a_required_any_has_to_be_set() -> None:
    config = pb.core_v3.TypedExtensionConfig(name="x")
    assert violation(config) == "TypedExtensionConfigValidationError.TypedConfig: value is required"
    config.typed_config.SetInParent()
    assert violation(config) is None


def test_a_required_message_has_to_be_set_though_it_may_be_empty() -> None:
    matcher = pb.route_v3.CookieMatcher(name="c")
    assert violation(matcher) == "CookieMatcherValidationError.StringMatch: value is required"
    matcher.string_match.SetInParent()
    assert violation(matcher) == (
        "CookieMatcherValidationError.StringMatch: embedded message failed validation | caused by "
        'field: "match_pattern", reason: is required'
    )


def test_a_list_that_has_to_be_unique_names_the_first_repetition() -> None:
    policy = pb.route_v3.InternalRedirectPolicy(response_headers_to_copy=["a", "b", "a", "b"])
    text = "InternalRedirectPolicyValidationError.ResponseHeadersToCopy[2]: repeated value must contain unique items"
    assert violation(policy) == text
    assert violation(pb.route_v3.InternalRedirectPolicy(response_headers_to_copy=["a", "b"])) is None


def test_a_field_that_is_skipped_is_not_looked_into() -> None:
    broken = pb.core_v3.KeyValue()
    assert violation(broken) is not None
    assert violation(pb.core_v3.KeyValueAppend(entry=broken)) is None


def test_a_map_needs_its_pairs_and_each_key_and_value_is_looked_at() -> None:
    tree = pb.xds_matcher_v3.Matcher.MatcherTree.MatchMap
    assert violation(tree()) == "MatchMapValidationError.Map: value must contain at least 1 pair(s)"
    report = pb.xds_data_orca_v3.OrcaLoadReport(utilization={"good": 1.0, "bad": 1.5})
    text = "OrcaLoadReportValidationError.Utilization[bad]: value must be inside range [0, 1]"
    assert violation(report) == text


def test_a_wrapper_is_opened_and_may_be_absent() -> None:
    ring = pb.cluster_v3.Cluster.RingHashLbConfig()
    assert violation(ring) is None
    ring.maximum_ring_size.value = 8388609
    text = "RingHashLbConfigValidationError.MaximumRingSize: value must be less than or equal to 8388608"
    assert violation(ring) == text


def test_a_rule_of_a_newer_envoy_than_xds_protos_knows_holds() -> None:
    bucket = pb.type_v3.TokenBucket(max_tokens=0, fill_interval=pb.google_protobuf.Duration(seconds=1))
    assert violation(bucket) is None


def test_of_two_violations_the_first_declared_is_reported() -> None:
    cluster = pb.cluster_v3.Cluster(connect_timeout=pb.google_protobuf.Duration())
    assert violation(cluster) == "ClusterValidationError.Name: value length must be at least 1 characters"


def test_a_type_without_rules_is_always_good() -> None:
    assert violation(pb.google_protobuf.Struct()) is None
    assert violation(pb.istio_nds_v1.NameTable()) is None


@pytest.mark.parametrize(
    ("field", "rules"),
    [
        ("health_checks", {"repeated": {"odd": True}}),
        ("typed_extension_protocol_options", {"map": {"no_sparse": True}}),
    ],
)
def test_a_rule_on_lists_or_maps_that_the_engine_does_not_know_is_not_passed_over(
    field: str, rules: dict[str, dict[str, bool]]
) -> None:
    cluster = pool().FindMessageTypeByName("envoy.config.cluster.v3.Cluster")
    with pytest.raises(UnknownRuleError):
        FieldRules(cluster.fields_by_name[field], rules, lambda _: None).step()
