"""The filter: who is refused, and what is told of it."""

from __future__ import annotations

from typing import Any

from proxyless.governance.authorization.decisions import Decision, denied_details
from proxyless.governance.filters.rbac import RbacFilter, decisions_of
from proxyless.governance.inbound_explain import inbound_document
from proxyless.governance.replies import LocalReply
from proxyless.xds.model.filters import FilterConfig
from proxyless.xds.model.rbac import Action, Anything, Policy, Rbac, RbacPerRoute, Rules, WithPath
from tests.effects.cases.authorization import filtered, ruled
from tests.effects.resources import Shop, typed
from tests.effects.scene import Scene
from tests.governance.authorization.asking import exact, request
from tests.governance.filters.places import target
from tests.support.streams import FakeStream, run


def rules(action: Action = "ALLOW", *paths: str) -> Rules:
    """Policies named after the paths they are about."""
    return Rules(action, tuple((each, Policy((WithPath(exact(each)),), (Anything(),))) for each in paths))


def ran(
    config: Rbac | None, path: str = "/a", *, own: FilterConfig | None = None, on: bool = True
) -> tuple[LocalReply | None, FakeStream]:
    place = target(rbac=own) if own is not None else None
    stream = FakeStream(request(path), target=place, incoming=True)
    return run(RbacFilter("rbac", config, on=on), stream).reply, stream


def told(stream: FakeStream) -> dict[str, Any]:
    return stream.dynamic.get("envoy.filters.http.rbac", {})


def test_nobody_is_refused_where_nothing_is_decided() -> None:
    for config, on in ((None, True), (Rbac(), True), (Rbac(rules()), False)):
        reply, stream = ran(config, on=on)
        assert (reply, stream.dynamic, decisions_of(stream)) == (None, {}, ())


def test_who_may_not_is_refused() -> None:
    reply, stream = ran(Rbac(rules("ALLOW", "/b")))
    assert reply == LocalReply(403, b"RBAC: access denied", details="rbac_access_denied_matched_policy[none]")
    assert told(stream) == {"enforced_engine_result": "denied"}
    reply, stream = ran(Rbac(rules("DENY", "/a"), per_rule=True))
    assert reply is not None
    assert reply.details == "rbac_access_denied_matched_policy[/a]"
    assert told(stream) == {"enforced_effective_policy_id": "/a", "enforced_engine_result": "denied"}
    assert decisions_of(stream) == (Decision("rbac", True, False, "/a", "", True),)


def test_what_is_only_tried_changes_nothing() -> None:
    reply, stream = ran(Rbac(None, rules("ALLOW", "/b"), shadow_prefix="dry_"))
    assert reply is None
    assert told(stream) == {"dry_shadow_engine_result": "denied"}
    reply, stream = ran(Rbac(rules("ALLOW", "/a"), rules("DENY", "/a"), "real_", "dry_"))
    assert reply is None
    assert told(stream) == {
        "dry_shadow_effective_policy_id": "/a",
        "dry_shadow_engine_result": "denied",
        "real_enforced_effective_policy_id": "/a",
        "real_enforced_engine_result": "allowed",
    }
    assert [(each.enforced, each.allowed) for each in decisions_of(stream)] == [(False, False), (True, True)]


def test_what_is_to_be_logged_is_told_to_access_logs() -> None:
    for path, hint in (("/a", True), ("/b", False)):
        reply, stream = ran(Rbac(rules("LOG", "/a")), path)
        assert reply is None
        assert stream.dynamic["envoy.common"] == {"access_log_hint": hint}
    assert "envoy.common" not in ran(Rbac(None, rules("LOG", "/a")))[1].dynamic


def test_a_route_has_its_own_rules() -> None:
    chain = Rbac(rules("ALLOW", "/b"), prefix="chain_")
    reply, stream = ran(chain, own=RbacPerRoute(Rbac(rules("ALLOW", "/a"))))
    assert (reply, list(told(stream))) == (None, ["chain_enforced_effective_policy_id", "chain_enforced_engine_result"])
    assert list(told(ran(None, own=RbacPerRoute(Rbac(rules("ALLOW"), prefix="own_")))[1])) == [
        "own_enforced_engine_result"
    ]
    assert ran(chain, own=RbacPerRoute())[0] is None, "a route without rules lets everybody in"


def test_what_a_route_says_is_compiled_once_and_not_kept_forever() -> None:
    made = RbacFilter("rbac", None)
    own = RbacPerRoute(Rbac(rules("DENY", "/a")))
    stream = FakeStream(request("/a"), target=target(rbac=own))
    assert [made.on_request(stream), made.on_request(stream)][1] is not None
    for _ in range(1100):
        made.on_request(FakeStream(request("/a"), target=target(rbac=RbacPerRoute(Rbac(rules("DENY"))))))
    assert made.on_request(stream) is not None


def test_details_are_one_word() -> None:
    assert denied_details("ab df  xy") == "rbac_access_denied_matched_policy[ab_df__xy]"


def document(shop: Shop) -> dict[str, Any]:
    """What `explain --inbound` says of a request for `/a`."""
    return inbound_document(Scene(shop.messages(), shop.addresses).receive("/a"), {})


def test_explain_says_who_decided() -> None:
    own = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    shadow = {"action": "DENY", "policies": {"tried": own}}
    said = document(filtered(rules={}, shadow_rules=shadow))
    decisions = [
        {"filter": "rbac", "enforced": False, "allowed": False, "policy": "tried"},
        {"filter": "rbac", "enforced": True, "allowed": False, "policy": None},
    ]
    reason = "rbac_access_denied_matched_policy[none]"
    assert said["authorization"] == {"allowed": False, "reason": reason, "decisions": decisions}
    assert said["why"][2:] == ["rbac would say denied (tried)", "rbac says denied (no policy)", "answered 403"]
    good = document(filtered(rules={"policies": {"one": own}}))["authorization"]
    assert good == {
        "allowed": True,
        "reason": None,
        "decisions": [{"filter": "rbac", "enforced": True, "allowed": True, "policy": "one"}],
    }
    assert document(filtered())["authorization"] is None


def test_what_is_not_understood_closes_the_chain() -> None:
    matcher = {
        "name": "m",
        "typed_config": typed(
            "envoy.extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher",
            upstream_ip={"address_prefix": "::"},
        ),
    }
    said = document(ruled({"matcher": matcher}))["authorization"]
    assert said["allowed"] is False
    assert "matcher m is not supported" in said["reason"]
