"""Redirects that are followed inside the mesh (envoy.config.route.v3.InternalRedirectPolicy)."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Head

from ..registry import Effect, effect
from ..resources import Json, Shop, extension, route, shop
from ..scene import Scene
from ..seeing import See, drive

ACTION = "envoy.config.route.v3.RouteAction."
POLICY = "envoy.config.route.v3.InternalRedirectPolicy."
KIND = "envoy.extensions.internal_redirect."
LISTED = KIND + "allow_listed_routes.v3.AllowListedRoutesConfig"


def following(action: Json | None = None, **policy: Any) -> Shop:
    """`/b` goes to cluster `b`, the rest to `a`."""
    rest = action if action is not None else {"internal_redirect_policy": policy}
    return shop(routes=[route({"prefix": "/b"}, {"cluster": "b"}, name="b"), route(action=rest, name="rest")])


def went(*to: str, status: int = 302) -> See:
    """The hosts and statuses of a call that is sent to these places."""

    def see(scene: Scene) -> tuple[list[str], int, list[bytes]]:
        answers = [Head(status, [(b"location", each.encode()), (b"x-copied", b"1")], None) for each in to]
        steps = drive(scene, [*answers, 200])
        copied = [value for name, value in steps.sent()[-1].headers if name == b"x-copied"]
        return steps.hosts, steps.status, copied

    return see


A, B = "10.0.0.1:80", "10.0.0.3:80"
ONE = went("http://shop/b")

HANDLE = {"internal_redirect_action": "HANDLE_INTERNAL_REDIRECT"}

CASES: list[Effect] = [
    effect(ACTION + "internal_redirect_policy", following(), ONE),
    effect(ACTION + "internal_redirect_action", following(HANDLE), ONE),
    effect(ACTION + "max_internal_redirects", following({**HANDLE, "max_internal_redirects": 0}), ONE),
    effect(POLICY + "max_internal_redirects", following(max_internal_redirects=0), ONE),
    effect(
        POLICY + "redirect_response_codes", following(redirect_response_codes=[301]), went("http://shop/b", status=301)
    ),
    effect(POLICY + "allow_cross_scheme_redirect", following(allow_cross_scheme_redirect=True), went("https://shop/b")),
    effect(POLICY + "response_headers_to_copy", following(response_headers_to_copy=["x-copied"]), ONE),
    effect(POLICY + "predicates", following(predicates=[extension(LISTED, "p", allowed_route_names=["rest"])]), ONE),
    effect(
        LISTED + ".allowed_route_names",
        following(predicates=[extension(LISTED, "p", allowed_route_names=["b"])]),
        ONE,
    ),
]
