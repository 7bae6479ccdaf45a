"""What Envoy refuses of authorization is refused in its words, what is not understood closes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.effects.cases.authorization import ANY, HTTP, MTLS, PER_ROUTE, RBAC, TEMPLATE, door, filtered, header, ruled
from tests.effects.resources import Json, Shop, extension, inbound, route, shop, typed
from tests.effects.scene import Scene

UPSTREAM = "envoy.extensions.rbac.matchers.upstream_ip_port.v3.UpstreamIpPortMatcher"
INPUTS = "envoy.extensions.matching.common_inputs.network.v3."
VIOLATION = "requirement violation while creating RBAC match tree: INVALID_ARGUMENT: "


def why(shop: Shop) -> str:
    """Why the listener is refused."""
    return Scene(shop.messages(), shop.addresses).refused.get("Listener virtualInbound", "")


def closed(shop: Shop) -> str:
    """What the chain says that is closed."""
    reply = Scene(shop.messages(), shop.addresses).receive().reply
    return "" if reply is None else reply.body.decode()


def looking(kind: str, **fields: Any) -> Json:
    """A tree that looks at something."""
    verdict = {
        "action": extension(RBAC + "Action", "a", action="DENY") | {"typed_config": typed(RBAC + "Action", name="n")}
    }
    tree = {"input": extension(kind, "i", **fields), "exact_match_map": {"map": {"a": verdict}}}
    return {"matcher_tree": tree}


@pytest.mark.parametrize(
    ("shop", "words"),
    [
        (ruled({"destination_port_range": {"start": -1, "end": 5}}), "range start -1 is out of bounds"),
        (ruled({"destination_port_range": {"start": 5, "end": 70000}}), "range end 70000 is out of bounds"),
        (
            ruled({"destination_port_range": {"start": 5, "end": 5}}),
            "range start 5 cannot be greater or equal than range end 5",
        ),
        (ruled({"uri_template": extension(TEMPLATE, "t", path_template="/{a}{b")}), "path_template /{a}{b is invalid"),
        (ruled(principal={"custom": extension(MTLS, "m")}), "did not have any configured validation"),
        (
            ruled(principal={"remote_ip": {"address_prefix": "x", "prefix_len": 3}}),
            "Failed to create CIDR range: malformed IP address: x",
        ),
        (ruled({"matcher": extension(UPSTREAM, "m")}), "Invalid UpstreamIpPortMatcher configuration"),
        (ruled({"matcher": extension(MTLS, "m")}), "Didn't find a registered implementation for 'm'"),
        (ruled(principal={"custom": extension(UPSTREAM, "m")}), "Didn't find a registered implementation for 'm'"),
        (
            ruled(principal={"filter_state": {"key": "k", "address_match": {"ranges": [{"address_prefix": "x"}]}}}),
            "malformed IP address",
        ),
        (
            filtered(matcher=looking(INPUTS + "SourceTypeInput")),
            VIOLATION + f"RBAC HTTP filter cannot match on 'type.googleapis.com/{INPUTS}SourceTypeInput'",
        ),
        (
            door(matcher=looking(INPUTS + "SourceTypeInput")),
            VIOLATION + f"RBAC network filter cannot match 'type.googleapis.com/{INPUTS}SourceTypeInput'",
        ),
        (
            door(rules={"policies": {"a": {"permissions": [{"header": header("1")}], "principals": [ANY]}}}),
            "Found header(x) rule",
        ),
        (door({"not_id": {"and_ids": {"ids": [{"header": header("1")}]}}}), "not supported by RBAC network filter"),
        (
            door(
                shadow_rules={
                    "policies": {
                        "a": {"permissions": [{"or_rules": {"rules": [{"header": header("1")}]}}], "principals": [ANY]}
                    }
                }
            ),
            "Found header(x) rule",
        ),
    ],
)
def test_what_envoy_refuses(shop: Shop, words: str) -> None:
    assert words in why(shop)


@pytest.mark.parametrize(
    ("shop", "words"),
    [
        (
            ruled({"matcher": extension(UPSTREAM, "m", upstream_ip={"address_prefix": "10.0.0.0"})}),
            "matcher m is not supported",
        ),
        (
            ruled(
                principal={"custom": extension(MTLS, "m", san_matcher={"san_type": "EMAIL", "matcher": {"exact": "a"}})}
            ),
            "names of type EMAIL are not known of a peer",
        ),
        (
            filtered(rules={"policies": {"a": {"permissions": [ANY], "principals": [ANY], "condition": {"id": "1"}}}}),
            "conditions in CEL are not supported",
        ),
        (
            filtered(matcher=looking(INPUTS + "DynamicMetadataInput", filter="f", path=[{"key": "a"}])),
            "is not supported",
        ),
        (door(matcher=looking(INPUTS + "FilterStateInput", key="k")), "is not supported"),
    ],
)
def test_what_is_not_understood_closes_the_chain(shop: Shop, words: str) -> None:
    assert why(shop) == ""
    assert words in closed(shop)


CEL: Json = {"rules": {"policies": {"a": {"permissions": [ANY], "principals": [ANY], "condition": {"id": "1"}}}}}


def test_what_is_not_understood_closes_however_optional_it_is() -> None:
    """`is_optional` is about filters that a client does not have; Envoy has this one, and enforces it."""
    optional = {**extension(HTTP, "rbac", **CEL), "is_optional": True}
    assert "conditions in CEL are not supported" in closed(shop(listeners=[inbound(optional)]))


def test_nor_does_a_route_lose_what_it_says_of_a_filter() -> None:
    own = typed("envoy.config.route.v3.FilterConfig", is_optional=True, config=typed(PER_ROUTE, rbac=CEL))
    routes = [route({}, {"cluster": "in"}, typed_per_filter_config={"rbac": own})]
    given = inbound(extension(HTTP, "rbac"), routes=routes)
    assert "conditions in CEL are not supported" in closed(shop(listeners=[given]))
