"""What connection managers do to requests before routing, and to responses (http_connection_manager.v3)."""

from __future__ import annotations

from ..registry import effect
from ..resources import Json, Shop, shop
from ..seeing import answered, both, explained, sent

M = "envoy.extensions.filters.network.http_connection_manager.v3."
MANAGER = M + "HttpConnectionManager."
COMMON = MANAGER + "common_http_protocol_options."
FOR = "x-forwarded-for"
REMOTE: Json = {"use_remote_address": True}
INSIDE: Json = {"internal_address_config": {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}}


def managed(**fields: object) -> Shop:
    """The shop behind a manager of these fields."""
    return shop(manager_fields=dict(fields))


def common(**fields: object) -> Shop:
    """The shop behind a manager of these common options."""
    return managed(common_http_protocol_options=fields)


LONG = [("x-a", "a" * 2000)]
MANY = [(f"x-{number}", "1") for number in range(9)]
NEAR = [(FOR, "10.1.1.1")]
OWN = [("x-request-id", "own")]
ID, PROTO, INTERNAL = "x-request-id", "x-forwarded-proto", "x-envoy-internal"
BY_PORT: Json = {"forward_proto_config": {"https_destination_ports": [80]}}
OVERWRITTEN: Json = {"scheme_header_transformation": {"scheme_to_overwrite": "https"}}
IN_RESPONSE: Json = {"always_set_request_id_in_response": True}

CASES = [
    effect(
        MANAGER + "max_request_headers_kb", managed(max_request_headers_kb=1), explained("status", headers=LONG), 431
    ),
    effect(MANAGER + "use_remote_address", managed(**REMOTE), sent(FOR), ["127.0.0.1"]),
    effect(MANAGER + "skip_xff_append", managed(**REMOTE, skip_xff_append=True), sent(FOR), []),
    effect(
        MANAGER + "xff_num_trusted_hops",
        managed(**REMOTE, xff_num_trusted_hops=1),
        sent("x-envoy-external-address", headers=[(FOR, "8.8.8.8")]),
        ["8.8.8.8"],
    ),
    effect(MANAGER + "internal_address_config", managed(**INSIDE), sent(INTERNAL, headers=NEAR), ["true"]),
    effect(
        MANAGER + "InternalAddressConfig.cidr_ranges",
        managed(**INSIDE),
        sent(INTERNAL, headers=NEAR),
        ["true"],
    ),
    effect(
        MANAGER + "add_user_agent",
        managed(add_user_agent=True),
        both(sent("user-agent"), sent("x-envoy-downstream-service-node")),
        [["app.shop"], ["node"]],
    ),
    effect(MANAGER + "via", managed(via="mesh"), both(sent("via"), answered("via")), [["mesh"], [b"mesh"]]),
    effect(MANAGER + "generate_request_id", managed(generate_request_id=False, **IN_RESPONSE), answered(ID), []),
    effect(
        MANAGER + "preserve_external_request_id",
        managed(**REMOTE, **IN_RESPONSE, preserve_external_request_id=True),
        answered(ID, headers=OWN),
        [b"own"],
    ),
    effect(MANAGER + "always_set_request_id_in_response", managed(**IN_RESPONSE), answered(ID, headers=OWN), [b"own"]),
    *(
        effect(MANAGER + field, managed(**{field: True}), explained("authority", headers=[("host", host)]), "shop")
        for field, host in (
            ("strip_any_host_port", "shop:81"),
            ("strip_matching_host_port", "shop:80"),
            ("strip_trailing_host_dot", "shop."),
        )
    ),
    effect(MANAGER + "scheme_header_transformation", managed(**OVERWRITTEN), sent(PROTO), ["https"]),
    effect(
        "envoy.config.core.v3.SchemeHeaderTransformation.scheme_to_overwrite",
        managed(**OVERWRITTEN),
        sent(PROTO),
        ["https"],
    ),
    effect(MANAGER + "forward_proto_config", managed(**BY_PORT), sent(PROTO), ["https"]),
    effect(M + "ForwardProtoConfig.https_destination_ports", managed(**BY_PORT), sent(PROTO), ["https"]),
    effect(
        MANAGER + "append_x_forwarded_port", managed(append_x_forwarded_port=True), sent("x-forwarded-port"), ["80"]
    ),
    effect(
        MANAGER + "common_http_protocol_options", common(max_headers_count=5), explained("status", headers=MANY), 431
    ),
    effect(COMMON + "max_headers_count", common(max_headers_count=5), explained("status", headers=MANY), 431),
    effect(
        COMMON + "headers_with_underscores_action",
        common(headers_with_underscores_action="REJECT_REQUEST"),
        explained("status", headers=[("x_a", "1")]),
        400,
    ),
    effect(
        "envoy.config.route.v3.RouteConfiguration.internal_only_headers",
        shop(table_fields={"internal_only_headers": ["x-only"]}),
        sent("x-only", headers=[("x-only", "1")]),
        [],
    ),
]
