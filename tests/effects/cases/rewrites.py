"""Rewrites by formats, templates and endpoints; what is matched besides paths and headers."""

from __future__ import annotations

from ..registry import effect
from ..resources import Json, endpoint, extension, locality, shop
from ..seeing import answered, explained, matched, sent

R = "envoy.config.route.v3."
ACTION = R + "RouteAction."
MATCH = R + "RouteMatch."
PATH = "envoy.extensions.path."
TEMPLATE: Json = extension(PATH + "match.uri_template.v3.UriTemplateMatchConfig", path_template="/{x}")
REWRITE: Json = extension(PATH + "rewrite.uri_template.v3.UriTemplateRewriteConfig", path_template_rewrite="/r/{x}")
COOKIE: Json = {"cookies": [{"name": "c", "string_match": {"exact": "v"}}]}
NOT_COOKIE: Json = {"cookies": [{"name": "c", "string_match": {"exact": "v"}, "invert_match": True}]}
OTHER = [("cookie", "c=w")]
PRESENTED: Json = {"tls_context": {"presented": True}}
VALIDATED: Json = {"tls_context": {"validated": True}}
NAMED = locality(endpoint("10.0.0.1"))
NAMED["lb_endpoints"][0]["endpoint"]["hostname"] = "its.name"


def other(host: str) -> Json:
    """A virtual host whose one route leads to cluster b."""
    return {"name": host, "domains": [host], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "b"}}]}


CASES = [
    effect(ACTION + "path_rewrite", shop(action={"path_rewrite": "/x"}), explained("path"), "/x"),
    effect(ACTION + "host_rewrite", shop(action={"host_rewrite": "x"}), explained("authority"), "x"),
    effect(
        ACTION + "append_x_forwarded_host",
        shop(action={"host_rewrite_literal": "x", "append_x_forwarded_host": True}),
        sent("x-forwarded-host"),
        ["shop"],
    ),
    effect(
        ACTION + "auto_host_rewrite",
        shop(action={"auto_host_rewrite": True}, endpoints=[NAMED]),
        explained("authority"),
        "its.name",
    ),
    effect(
        ACTION + "path_rewrite_policy",
        shop(match={"path_match_policy": TEMPLATE}, action={"path_rewrite_policy": REWRITE}),
        explained("path"),
        "/r/a",
    ),
    effect(
        "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig.path_template_rewrite",
        shop(match={"path_match_policy": TEMPLATE}, action={"path_rewrite_policy": REWRITE}),
        explained("path"),
        "/r/a",
    ),
    effect(
        "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig.path_template",
        shop(match={"path_match_policy": TEMPLATE}),
        matched(url="http://shop/a/b"),
        False,
    ),
    effect(
        R + "RedirectAction.path_rewrite",
        shop(route_fields={"redirect": {"path_rewrite": "/x"}}),
        answered("location", answers=()),
        [b"http://shop/x"],
    ),
    effect(
        MATCH + "path_match_policy", shop(match={"path_match_policy": TEMPLATE}), matched(url="http://shop/a/b"), False
    ),
    effect(MATCH + "cookies", shop(match=COOKIE), matched(headers=OTHER), False),
    effect(R + "CookieMatcher.name", shop(match=COOKIE), matched(headers=[("cookie", "c=v")]), True),
    effect(R + "CookieMatcher.string_match", shop(match=COOKIE), matched(headers=[("cookie", "c=v")]), True),
    effect(R + "CookieMatcher.invert_match", shop(match=NOT_COOKIE), matched(headers=OTHER), True),
    effect(MATCH + "tls_context", shop(match=PRESENTED), matched(), False),
    effect(MATCH + "TlsContextMatchOptions.presented", shop(match=PRESENTED), matched(), False),
    effect(MATCH + "TlsContextMatchOptions.validated", shop(match=VALIDATED), matched(), False),
    effect(
        MATCH + "dynamic_metadata",
        shop(match={"dynamic_metadata": [{"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}}]}),
        matched(),
        False,
    ),
    effect(
        "envoy.type.matcher.v3.MetadataMatcher.invert",
        shop(
            match={
                "dynamic_metadata": [
                    {"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}, "invert": True}
                ]
            }
        ),
        matched(),
        True,
    ),
    effect(
        R + "RouteConfiguration.vhost_header",
        shop(hosts=[other("one"), other("shop")], table_fields={"vhost_header": "x-vhost"}),
        explained("virtual_host", headers=[("x-vhost", "one")]),
        "one",
    ),
    effect(
        R + "RouteConfiguration.ignore_path_parameters_in_path_matching",
        shop(match={"path": "/a"}, table_fields={"ignore_path_parameters_in_path_matching": True}),
        matched(url="http://shop/a;x=1"),
        True,
    ),
    effect(
        "envoy.extensions.filters.http.router.v3.Router.suppress_envoy_headers",
        shop(
            action={"host_rewrite_literal": "x"},
            manager_fields={
                "http_filters": [
                    extension("envoy.extensions.filters.http.router.v3.Router", "r", suppress_envoy_headers=True)
                ]
            },
        ),
        sent("x-envoy-original-host"),
        [],
    ),
]
