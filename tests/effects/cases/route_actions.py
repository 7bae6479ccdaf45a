"""What routes do: actions, rewrites, redirects, direct responses (envoy.config.route.v3)."""

from __future__ import annotations

from ..registry import effect
from ..resources import shop
from ..seeing import explained

R = "envoy.config.route.v3."
ACTION = R + "RouteAction."

CASES = [
    effect(
        ACTION + "prefix_rewrite",
        shop(match={"prefix": "/a"}, action={"prefix_rewrite": "/new"}),
        explained("path"),
        "/new",
    ),
    effect(ACTION + "cluster", shop(action={"cluster": "b"}), explained("cluster"), "b"),
]
