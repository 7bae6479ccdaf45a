"""What becomes of incoming requests otherwise: mutual TLS by port, authorization, tokens, limits, routes.

Filters that nothing here enforces are compared as they are sent: their policies count all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..xds.model.resource import ResourceType
from ..xds.wire.readable import as_json
from ..xds.wire.schema import types as pb
from ..xds.wire.schema import unpack
from .changes import Change, policy
from .effects import Effect, effect_of
from .rules import rule_text

UNSAID = frozenset(
    {
        "@type",
        "access_log",
        "custom_tags",
        "decorator",
        "emit_filter_state",
        "metadata",
        "shadow_rules_stat_prefix",
        "stat_prefix",
        "tracing",
        "track_per_rule_stats",
    }
)
"""Fields that decide nothing."""

RBAC = ("envoy.filters.http.rbac", "envoy.filters.network.rbac")
JWT = "envoy.filters.http.jwt_authn"
MANAGER = "envoy.filters.network.http_connection_manager"
NOTHING_IN_PROCESS = frozenset({"istio.metadata_exchange", "envoy.filters.http.grpc_stats", "istio.stats"})

ANY_PORT = 0
"""Ports that no Service declares."""

Json = dict[str, Any]
Rule = tuple[str, str, str]
"""Action, policy, and what the rule says; its place in the policy is the value beside it."""


def compare_inbound(old: bytes, new: bytes, host: str) -> Iterator[Change]:
    """Every change of what a workload's own ports do with requests, by its listener; `host` names the workload."""
    if old == new:
        return
    before, after = _ports(old), _ports(new)
    keys = [_keys(each) for each in (old, new)]
    found: dict[str, tuple[Change, list[int]]] = {}
    for port in sorted(before.keys() | after.keys()):
        changes = list(_compare(before.get(port), after.get(port), host))
        if port in before and port in after:
            for issuer in sorted(keys[0].keys() & keys[1].keys()):
                one, other = keys[0][issuer], keys[1][issuer]
                if one != other:
                    changes.append(_policy(host, "jwt.keys", one, other, "changes", issuer=issuer))
        for change in changes:
            kept = found.setdefault(change.key, (change, []))
            kept[1].append(port)
    every = len(before.keys() | after.keys())
    for change, ports in found.values():
        named = ["others" if port == ANY_PORT else port for port in ports]
        where = {"ports": named, "every_port": len(ports) == every}
        yield Change(change.section, host, {**change.document, **where})


def _ports(raw: bytes) -> dict[int, list[Json]]:
    """The chains of each port as they are sent."""
    if not raw:
        return {}
    document = as_json(ResourceType.LISTENER, raw)
    listener_port = document.get("address", {}).get("socket_address", {}).get("port_value")
    found: dict[int, list[Json]] = {}
    for chain in (*document.get("filter_chains", ()), document.get("default_filter_chain")):
        if chain is not None:
            port = chain.get("filter_chain_match", {}).get("destination_port", ANY_PORT)
            if port != listener_port:  # that one only keeps connections from going round
                found.setdefault(port, []).append(chain)
    return found


def _compare(old: list[Json] | None, new: list[Json] | None, host: str) -> Iterator[Change]:
    if old is None or new is None:
        yield _policy(host, "port", None if old is None else "served", None if new is None else "served", "changes")
        return
    one, other = mtls(old), mtls(new)
    if one != other:
        yield _policy(host, "mtls", one, other, effect_of("mtls", one, other))
    yield from _rules(old, new, host)
    yield from _tokens(old, new, host)
    for path, before, after in _json_differences(_rest(old), _rest(new)):
        yield _policy(host, path, before, after, _effect(path, before, after))


def _policy(host: str, field: str, old: Any, new: Any, effect: Effect, **where: Any) -> Change:
    return policy("inbound", host, where, field, old, new, effect)


def mtls(chains: list[Json]) -> str:
    """Istio's mode of mutual TLS: whether there are chains with it, and without."""
    secured = [("transport_socket" in each) for each in chains]
    if all(secured):
        return "STRICT"
    return "PERMISSIVE" if any(secured) else "DISABLE"


def _filters(chains: list[Json]) -> Iterator[Json]:
    for chain in chains:
        for network in chain.get("filters", ()):
            yield network
            if network["name"] == MANAGER:
                yield from network.get("typed_config", {}).get("http_filters", ())


def _rules(old: list[Json], new: list[Json], host: str) -> Iterator[Change]:
    before, after = _rbac(old), _rbac(new)
    allowed = [any(action == "ALLOW" for action, _, _ in each) for each in (before, after)]
    gone = {(rule[0], rule[1], before[rule]): rule for rule in before.keys() - after.keys()}
    come = {(rule[0], rule[1], after[rule]): rule for rule in after.keys() - before.keys()}
    for key in sorted(gone.keys() | come.keys()):
        action, of, number = key
        one, other = gone.get(key), come.get(key)
        before_it = None if one is None else {"rule": number, "says": one[2]}
        after_it = None if other is None else {"rule": number, "says": other[2]}
        effect: Effect = "changes"
        if one is None or other is None:
            # The first policy that allows anything refuses everything else.
            more = (other is not None) is (action == "ALLOW" and all(allowed))
            effect = "changes" if action not in ("ALLOW", "DENY") else "loosens" if more else "tightens"
        yield _policy(host, "authorization", before_it, after_it, effect, action=action, policy_name=of)


def _rbac(chains: list[Json]) -> dict[Rule, str]:
    """Rules by what they say, with the name of each. A filter without any refuses, or allows, everything."""
    found: dict[Rule, str] = {}
    for each in _filters(chains):
        if each["name"] not in RBAC:
            continue
        config = each.get("typed_config", {})
        for key in ("rules", "shadow_rules"):
            if key not in config:
                continue
            action = config[key].get("action", "ALLOW")
            action = action if key == "rules" else f"{action} (dry run)"
            policies = config[key].get("policies", {})
            if not policies:
                found[action, "", "nothing"] = ""
            for name, content in policies.items():
                of, _, rule = name.rpartition("-rule")
                found.setdefault((action, _policy_name(of or name), rule_text(content)), rule.strip("[]"))
    return found


def _policy_name(said: str) -> str:
    """`ns[shop]-policy[payment-deny]` as `shop/payment-deny`."""
    namespace, mark, name = said.removeprefix("ns[").partition("]-policy[")
    return f"{namespace}/{name.removesuffix(']')}" if mark else said


def _tokens(old: list[Json], new: list[Json], host: str) -> Iterator[Change]:
    before, after = _providers(old), _providers(new)
    for issuer in sorted(before.keys() | after.keys()):
        one, other = before.get(issuer), after.get(issuer)
        if one != other:
            effect: Effect = "tightens" if one is None else "loosens" if other is None else "changes"
            yield _policy(host, "jwt", one, other, effect, issuer=issuer)


def _providers(chains: list[Json]) -> dict[str, Json]:
    return {
        provider.get("issuer", ""): provider
        for each in _filters(chains)
        if each["name"] == JWT
        for provider in each.get("typed_config", {}).get("providers", {}).values()
    }


def _keys(raw: bytes) -> dict[str, str]:
    """Digests of the keys that tokens are checked with, by issuer: the keys themselves are not shown."""
    found: dict[str, str] = {}
    for chain in pb.listener_v3.Listener.FromString(raw).filter_chains:
        for network in chain.filters:
            manager: Any = unpack(network.typed_config) if network.name == MANAGER else None
            for each in manager.http_filters if manager is not None else ():
                tokens: Any = unpack(each.typed_config) if each.name == JWT else None
                for provider in tokens.providers.values() if tokens is not None else ():
                    text = provider.local_jwks.inline_string.encode()
                    found[provider.issuer] = f"sha256:{hashlib.sha256(text).hexdigest()[:12]}"
    return found


def _rest(chains: list[Json]) -> Json:
    """Everything else that a port does: its filters by name, its routes, and the settings around them."""
    found: Json = {}
    for chain in chains:
        for network in chain.get("filters", ()):
            name, config = network["name"], network.get("typed_config", {})
            if name in NOTHING_IN_PROCESS or name in RBAC:
                continue
            if name != MANAGER:
                found.setdefault(name, config)
                continue
            http = found.setdefault("http", {})
            http |= {key: value for key, value in config.items() if key not in ("http_filters", "route_config")}
            for each in config.get("http_filters", ()):
                if each["name"] not in NOTHING_IN_PROCESS | {JWT, *RBAC}:
                    http.setdefault("http_filters", {})[each["name"]] = each.get("typed_config", each)
            for vhost in config.get("route_config", {}).get("virtual_hosts", ()):
                for index, route in enumerate(vhost.get("routes", ())):
                    http.setdefault("routes", {})[route.get("name") or str(index)] = route
    return found


def _json_differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            if key not in UNSAID:
                yield from _json_differences(old.get(key), new.get(key), _joined(path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and old:
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _json_differences(one, other, f"{path}[{index}]")
    else:
        before, after = _said(old), _said(new)
        if before != after:
            yield path, before, after


def _joined(path: str, key: str) -> str:
    return f"{path}[{key}]" if "." in key else f"{path}.{key}" if path else key


def _said(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _said(each) for key, each in value.items() if key not in UNSAID}
    return [_said(each) for each in value] if isinstance(value, list) else value


def _effect(path: str, old: Any, new: Any) -> Effect:
    if path.endswith("local_ratelimit]") and (old is None) != (new is None):
        return "tightens" if old is None else "loosens"
    return effect_of(path, old, new)
