"""Authorization: the RBAC filter, what it asks of requests and of those who send them."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Sleep
from proxyless.governance.filters.rbac import decisions_of
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView

from ..registry import Effect, effect
from ..resources import (
    Field,
    Json,
    Shop,
    chain,
    extension,
    host,
    inbound,
    listener,
    manager,
    route,
    shop,
    table,
    typed,
)
from ..scene import Scene
from ..seeing import See

HTTP = "envoy.extensions.filters.http.rbac.v3.RBAC"
PER_ROUTE = HTTP + "PerRoute"
RBAC = "envoy.config.rbac.v3."
MATCHER = "envoy.type.matcher.v3."
MTLS = "envoy.extensions.rbac.principals.mtls_authenticated.v3.Config"
TEMPLATE = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
INPUT = MATCHER + "HttpRequestHeaderMatchInput"

ANY: Json = {"any": True}
NAME = "spiffe://cluster.local/ns/shop/sa/frontend"
PEER = Peer(b"x", True, (NAME,), ("a.example",), "CN=a", "sni")
OTHER = Peer(b"x", True, ("spiffe://cluster.local/ns/bank/sa/ledger",), ("b.example",), "CN=b", "else")


def filtered(**fields: Any) -> Shop:
    """An inbound port with the filter."""
    return shop(listeners=[inbound(extension(HTTP, "rbac", **fields))])


def policy(permission: Json = ANY, principal: Json = ANY) -> Json:
    """A policy of one permission and one principal."""
    return {"permissions": [permission], "principals": [principal]}


def ruled(permission: Json = ANY, principal: Json = ANY, action: str = "ALLOW", **fields: Any) -> Shop:
    """One policy."""
    return filtered(rules={"action": action, "policies": {"one": policy(permission, principal)}}, **fields)


def mixed(*requests: Json) -> See:
    """Statuses of different requests: 0 where the app gets them."""
    return lambda scene: [scene.receive(**each).status for each in requests]


def told(scene: Scene) -> Any:
    """What is written for others."""
    return scene.receive().dynamic


def counted(scene: Scene) -> Any:
    """Whether policies are counted singly."""
    return [each.per_rule for each in decisions_of(scene.receive())]


def permits(
    name: str, permission: Json, good: Json, bad: Json, *below: Field, against: Json | None = None
) -> list[Effect]:
    """A permission that lets one request in and not the other; `below`: fields inside that are needed for it."""
    made = ruled(permission)
    see = mixed(good, bad)
    own = ruled({"not_rule": ANY}) if against is None else ruled(against)
    return [
        effect(RBAC + "Permission." + name, made, see, [0, 403], against=ruled()),
        *(effect(each, made, see, [0, 403], against=own) for each in below),
    ]


def identifies(
    name: str, principal: Json, good: Json, bad: Json, *below: Field, against: Json | None = None
) -> list[Effect]:
    """The same for a principal."""
    made = ruled(principal=principal)
    see = mixed(good, bad)
    own = ruled(principal={"not_id": ANY}) if against is None else ruled(principal=against)
    return [
        effect(RBAC + "Principal." + name, made, see, [0, 403], against=ruled()),
        *(effect(each, made, see, [0, 403], against=own) for each in below),
    ]


def header(value: str) -> Json:
    return {"name": "x", "string_match": {"exact": value}}


def having(value: str) -> Json:
    """A request with a header."""
    return {"headers": [("x", value)]}


def metadata(**value: Any) -> Json:
    """One value of a filter's metadata."""
    return {"filter": "f", "path": [{"key": "a"}, {"key": "b"}], "value": value}


def written(value: Any) -> Json:
    """A request of which a filter has written that."""
    return {"dynamic": {"f": {"a": {"b": value}}}}


def valued(field: str, good: Any, bad: Any, *below: Field, **value: Any) -> list[Effect]:
    """A matcher of metadata."""
    made = ruled({"metadata": metadata(**value)})
    see = mixed(written(good), written(bad))
    names = (MATCHER + "ValueMatcher." + field, *below)
    return [effect(each, made, see, [0, 403], against=ruled()) for each in names]


def end(verdict: str, called: str) -> Json:
    """What a tree leads to."""
    return {"action": {"name": "a", "typed_config": typed(RBAC + "Action", action=verdict, name=called)}}


def tree(action: str = "DENY", last: str = "else") -> Json:
    """A tree that looks at a header, and lets everybody else in."""
    looked_at = extension(INPUT, "i", header_name="x")
    matcher = {"predicate": {"single_predicate": {"input": looked_at, "value_match": {"exact": "1"}}}}
    return {
        "matcher_list": {"matchers": [{**matcher, "on_match": end(action, "found")}]},
        "on_no_match": end("ALLOW", last),
    }


TRUE_PATH: Json = {"url_path": {"path": {"exact": "/a"}}}
A: Json = {"path": "/a?q=1"}
B: Json = {"path": "/b"}
BY_TEMPLATE: Json = {"uri_template": extension(TEMPLATE, "t", path_template="/a/*")}
BY_SAN: Json = {"custom": extension(MTLS, "m", san_matcher={"san_type": "URI", "matcher": {"exact": NAME}})}
BY_CERTIFICATE: Json = {"custom": extension(MTLS, "m", any_validated_client_certificate=True)}
FROM: Json = {"address_prefix": "192.0.2.0", "prefix_len": 24}
FAR: Json = {"source": "203.0.113.1"}
CLIENT: Json = {"headers": [("x-forwarded-for", "192.0.2.9")], "source": "203.0.113.1"}
OF_ROUTE: Json = {
    "sourced_metadata": {"metadata_matcher": metadata(string_match={"exact": "1"}), "metadata_source": "ROUTE"}
}
OF_FILTER: Json = {"sourced_metadata": {"metadata_matcher": metadata(string_match={"exact": "1"})}}
BY_RANGE: Json = {"filter_state": {"key": "k", "address_match": {"ranges": [{"address_prefix": "::"}]}}}
STATE: Json = {"filter_state": {"key": "k", "string_match": {"prefix": "a"}}}


def routed(permission: Json) -> Shop:
    """Two routes, one of which says something of itself."""
    own = {"filter_metadata": {"f": {"a": {"b": "1"}}}}
    to = {"cluster": "in"}
    routes = [route({"path": "/a"}, to, metadata=own), route({}, to)]
    rules = {"policies": {"one": policy(permission)}}
    return shop(listeners=[inbound(extension(HTTP, "rbac", rules=rules), routes=routes)])


def per_route(own: Json) -> Shop:
    """A route that has rules of its own."""
    routes = [route({}, {"cluster": "in"}, typed_per_filter_config={"rbac": typed(PER_ROUTE, **own)})]
    return shop(listeners=[inbound(extension(HTTP, "rbac", rules={}), routes=routes)])


P = RBAC + "Permission."
R = RBAC + "Principal."
META = ("filter", "path", "value")

CASES: list[Effect] = [
    # The filter.
    effect(HTTP + ".rules", ruled(TRUE_PATH), mixed(A, B), [0, 403]),
    effect(HTTP + ".matcher", filtered(matcher=tree()), mixed(having("1"), having("2")), [403, 0]),
    effect(HTTP + ".rules_stat_prefix", ruled(rules_stat_prefix="own_"), told),
    effect(HTTP + ".shadow_rules", filtered(shadow_rules={}), told),
    effect(HTTP + ".shadow_matcher", filtered(shadow_matcher=tree()), told),
    effect(HTTP + ".shadow_rules_stat_prefix", filtered(shadow_rules={}, shadow_rules_stat_prefix="own_"), told),
    effect(HTTP + ".track_per_rule_stats", ruled(track_per_rule_stats=True), counted, [True]),
    effect(
        PER_ROUTE + ".rbac",
        per_route({"rbac": {"rules": {"policies": {"one": policy(TRUE_PATH)}}}}),
        mixed(A, B),
        [0, 403],
    ),
    effect(RBAC + "RBAC.action", ruled(TRUE_PATH, action="DENY"), mixed(A, B), [403, 0]),
    effect(RBAC + "RBAC.policies", ruled(TRUE_PATH), mixed(A, B), [0, 403]),
    effect(RBAC + "Action.action", filtered(matcher=tree()), mixed(having("1"), having("2")), [403, 0]),
    effect(RBAC + "Action.name", filtered(matcher=tree()), told, against=filtered(matcher=tree(last="other"))),
    effect(RBAC + "Policy.permissions", ruled(TRUE_PATH), mixed(A, B), [0, 403], against=ruled()),
    effect(RBAC + "Policy.principals", ruled(principal=TRUE_PATH), mixed(A, B), [0, 403], against=ruled()),
    # What is asked for.
    effect(P + "any", ruled(ANY), mixed(A, B), [0, 0], against=ruled({"not_rule": ANY})),
    effect(R + "any", ruled(principal=ANY), mixed(A, B), [0, 0], against=ruled(principal={"not_id": ANY})),
    *permits("and_rules", {"and_rules": {"rules": [ANY, TRUE_PATH]}}, A, B, RBAC + "Permission.Set.rules"),
    *permits("or_rules", {"or_rules": {"rules": [TRUE_PATH, {"not_rule": ANY}]}}, A, B),
    *permits("not_rule", {"not_rule": TRUE_PATH}, B, A),
    *permits("header", {"header": header("1")}, having("1"), having("2")),
    *permits("url_path", TRUE_PATH, A, B, MATCHER + "PathMatcher.path"),
    *permits("uri_template", BY_TEMPLATE, {"path": "/a/b"}, {"path": "/a/b/c"}),
    effect(
        P + "destination_ip",
        ruled({"destination_ip": {"address_prefix": "127.0.0.1", "prefix_len": 32}}),
        mixed(A),
        [0],
        against=ruled({"destination_ip": {"address_prefix": "127.0.0.2", "prefix_len": 32}}),
    ),
    effect(
        P + "destination_port", ruled({"destination_port": 8080}), mixed(A), [0], against=ruled({"destination_port": 1})
    ),
    effect(
        P + "destination_port_range",
        ruled({"destination_port_range": {"start": 8080, "end": 8081}}),
        mixed(A),
        [0],
        against=ruled({"destination_port_range": {"start": 8081, "end": 8090}}),
    ),
    *permits("requested_server_name", {"requested_server_name": {"exact": "sni"}}, {"peer": PEER}, {"peer": OTHER}),
    *permits(
        "metadata",
        {"metadata": metadata(string_match={"exact": "1"})},
        written("1"),
        written("2"),
        *(f"{P}metadata.{each}" for each in META),
        MATCHER + "MetadataMatcher.PathSegment.key",
    ),
    *permits(
        "metadata",
        {"metadata": {**metadata(string_match={"exact": "1"}), "invert": True}},
        written("2"),
        written("1"),
        P + "metadata.invert",
    )[1:],
    *permits(
        "sourced_metadata",
        OF_FILTER,
        written("1"),
        written("2"),
        RBAC + "SourcedMetadata.metadata_matcher",
        *(f"{RBAC}SourcedMetadata.metadata_matcher.{each}" for each in META),
    ),
    *permits(
        "sourced_metadata",
        {"sourced_metadata": {"metadata_matcher": {**metadata(string_match={"exact": "1"}), "invert": True}}},
        written("2"),
        written("1"),
        RBAC + "SourcedMetadata.metadata_matcher.invert",
    )[1:],
    effect(RBAC + "SourcedMetadata.metadata_source", routed(OF_ROUTE), mixed({"path": "/a"}, B), [0, 403]),
    # Who asks.
    *identifies("and_ids", {"and_ids": {"ids": [ANY, TRUE_PATH]}}, A, B, RBAC + "Principal.Set.ids"),
    *identifies("or_ids", {"or_ids": {"ids": [TRUE_PATH, {"not_id": ANY}]}}, A, B),
    *identifies("not_id", {"not_id": TRUE_PATH}, B, A),
    *identifies("authenticated", {"authenticated": {}}, {"peer": OTHER}, A),
    *identifies(
        "authenticated",
        {"authenticated": {"principal_name": {"exact": NAME}}},
        {"peer": PEER},
        {"peer": OTHER},
        RBAC + "Principal.Authenticated.principal_name",
        against={"authenticated": {}},
    )[1:],
    *identifies("custom", BY_CERTIFICATE, {"peer": PEER}, A, MTLS + ".any_validated_client_certificate"),
    *identifies(
        "custom",
        BY_SAN,
        {"peer": PEER},
        {"peer": OTHER},
        MTLS + ".san_matcher",
        MTLS + ".san_matcher.matcher",
        MTLS + ".san_matcher.san_type",
        against=BY_CERTIFICATE,
    )[1:],
    *identifies("source_ip", {"source_ip": FROM}, A, FAR),
    *identifies("direct_remote_ip", {"direct_remote_ip": FROM}, A, CLIENT),
    *identifies("remote_ip", {"remote_ip": FROM}, CLIENT, FAR),
    *identifies("header", {"header": header("1")}, having("1"), having("2")),
    *identifies("url_path", TRUE_PATH, A, B),
    *identifies(
        "metadata",
        {"metadata": metadata(string_match={"exact": "1"})},
        written("1"),
        written("2"),
        *(f"{R}metadata.{each}" for each in META),
    ),
    *identifies(
        "metadata",
        {"metadata": {**metadata(string_match={"exact": "1"}), "invert": True}},
        written("2"),
        written("1"),
        R + "metadata.invert",
    )[1:],
    *identifies("sourced_metadata", OF_FILTER, written("1"), written("2")),
    effect(R + "filter_state", ruled(principal=STATE), mixed(A), [403], against=ruled()),
    effect(R + "filter_state", ruled(principal=BY_RANGE), mixed(A), [403], against=ruled(), what="address"),
    # Values.
    *valued("string_match", "1", "2", string_match={"exact": "1"}),
    *valued("null_match", None, 1, null_match={}),
    *valued("bool_match", True, False, bool_match=True),
    *valued("double_match", 1, 2, MATCHER + "DoubleMatcher.exact", double_match={"exact": 1}),
    *valued(
        "double_match",
        1,
        2,
        MATCHER + "DoubleMatcher.range",
        "envoy.type.v3.DoubleRange.end",
        double_match={"range": {"start": 1, "end": 2}},
    )[1:],
    *valued("double_match", 1, 0, "envoy.type.v3.DoubleRange.start", double_match={"range": {"start": 1, "end": 2}})[
        1:
    ],
    *valued(
        "list_match",
        ["1"],
        ["2"],
        MATCHER + "ListMatcher.one_of",
        list_match={"one_of": {"string_match": {"exact": "1"}}},
    ),
    *valued(
        "or_match",
        "1",
        "2",
        MATCHER + "OrMatcher.value_matchers",
        or_match={"value_matchers": [{"string_match": {"exact": "1"}}, {"string_match": {"exact": "3"}}]},
    ),
    effect(
        MATCHER + "ValueMatcher.present_match",
        ruled({"metadata": metadata(present_match=True)}),
        mixed(written(1), A),
        [0, 403],
        against=ruled(),
    ),
]

NETWORK = "envoy.extensions.filters.network.rbac.v3.RBAC"
FROM_NEAR: Json = {"direct_remote_ip": FROM}


def door(principal: Json = ANY, **fields: Any) -> Shop:
    """An inbound port whose chain has a filter of connections; `rules` let in whom `principal` is about."""
    own = {"stat_prefix": "s", "rules": {"policies": {"one": policy(ANY, principal)}}, **fields}
    behind = manager(route_config=table(host(route(action={"cluster": "in"}))))
    guarded = chain({"name": "door", "typed_config": typed(NETWORK, **own)}, behind)
    return shop(listeners=[listener("virtualInbound", {**guarded, "filter_chain_match": {"destination_port": 8080}})])


def port_tree(port: int) -> Json:
    """A tree that lets in who comes to a port."""
    looked_at = extension("envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput", "p")
    return {"matcher_tree": {"input": looked_at, "exact_match_map": {"map": {str(port): end("ALLOW", "found")}}}}


def said(scene: Scene) -> Any:
    """What is decided."""
    return [(each.enforced, each.allowed, each.policy, each.prefix) for each in decisions_of(scene.receive())]


def slept(scene: Scene) -> Any:
    """For how long a connection is kept waiting."""
    request = InboundRequest(scene.world.runtime, RequestView(b"GET", b"http", b"shop", b"/"), 8080)
    return [each.seconds for each in request.run() if isinstance(each, Sleep)]


CASES += [
    effect(NETWORK + ".rules", door(FROM_NEAR), mixed(A, FAR), [0, 403]),
    effect(NETWORK + ".matcher", door(matcher=port_tree(1)), mixed(A), [403]),
    effect(NETWORK + ".shadow_rules", door(shadow_rules={}), said),
    effect(NETWORK + ".shadow_matcher", door(shadow_matcher=port_tree(1)), said),
    effect(NETWORK + ".shadow_rules_stat_prefix", door(shadow_rules={}, shadow_rules_stat_prefix="own_"), said),
    effect(NETWORK + ".delay_deny", door({"not_id": ANY}, delay_deny="2s"), slept, [2.0]),
]
