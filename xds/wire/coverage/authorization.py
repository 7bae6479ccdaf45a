"""Coverage of authorization (envoy.config.rbac.v3) and of its filters."""

from __future__ import annotations

from collections.abc import Mapping

from ..decode.inert import NOT_DONE
from .status import Entry, honoured, meaningless, not_yet

RBAC = "envoy.config.rbac.v3."
HTTP = "envoy.extensions.filters.http.rbac.v3."
MATCHER = "envoy.type.matcher.v3."

CLOSED = f"{NOT_DONE}; the filter's chain is closed"
NOBODY = "Envoy does not look at it either"
STATE = "nothing writes filter state in process, and what is not there matches nothing"

METADATA = honoured("filter path value invert")

AUTHORIZATION: Mapping[str, Entry] = {
    HTTP + "RBAC": honoured(
        "rules rules_stat_prefix matcher shadow_rules shadow_matcher shadow_rules_stat_prefix track_per_rule_stats"
    ),
    HTTP + "RBACPerRoute": honoured("rbac"),
    "envoy.extensions.filters.network.rbac.v3.RBAC": {
        **honoured("rules matcher shadow_rules shadow_matcher shadow_rules_stat_prefix delay_deny"),
        **meaningless("metrics have names of their own", "stat_prefix"),
        **meaningless("nothing that is asked about changes while a connection lasts", "enforcement_type"),
    },
    RBAC + "RBAC": {**honoured("action policies"), **meaningless(NOBODY, "audit_logging_options")},
    RBAC + "Action": honoured("name action"),
    RBAC + "Policy": {
        **honoured("permissions principals"),
        **not_yet(CLOSED, "condition checked_condition"),
        **meaningless("without a condition it says nothing", "cel_config"),
    },
    RBAC + "Permission": {
        **honoured(
            "and_rules or_rules any header url_path destination_ip destination_port destination_port_range metadata "
            "not_rule requested_server_name uri_template sourced_metadata"
        ),
        **not_yet(CLOSED, "matcher"),
    },
    RBAC + "Permission.Set": honoured("rules"),
    RBAC + "Principal": honoured(
        "and_ids or_ids any authenticated source_ip direct_remote_ip remote_ip header url_path metadata filter_state "
        "not_id sourced_metadata custom"
    ),
    RBAC + "Principal.Set": honoured("ids"),
    RBAC + "Principal.Authenticated": honoured("principal_name"),
    RBAC + "Permission.metadata": METADATA,
    RBAC + "Principal.metadata": METADATA,
    RBAC + "SourcedMetadata.metadata_matcher": METADATA,
    RBAC + "SourcedMetadata": honoured("metadata_matcher metadata_source"),
    "envoy.extensions.rbac.principals.mtls_authenticated.v3.Config": honoured(
        "san_matcher any_validated_client_certificate"
    ),
    "envoy.extensions.rbac.principals.mtls_authenticated.v3.Config.san_matcher": {
        **honoured("san_type matcher"),
        **not_yet(CLOSED, "oid"),
    },
    MATCHER + "PathMatcher": honoured("path"),
    MATCHER + "ValueMatcher": honoured(
        "null_match double_match string_match bool_match present_match list_match or_match"
    ),
    MATCHER + "ValueMatcher.NullMatch": {},
    MATCHER + "DoubleMatcher": honoured("range exact"),
    MATCHER + "ListMatcher": honoured("one_of"),
    MATCHER + "OrMatcher": honoured("value_matchers"),
    MATCHER + "MetadataMatcher.PathSegment": honoured("key"),
    "envoy.type.v3.DoubleRange": honoured("start end"),
    MATCHER + "FilterStateMatcher": meaningless(STATE, "key string_match address_match"),
}
