"""Rules of authorization (envoy.config.rbac.v3.Policy) as one line of text; two rules that differ have two texts."""

from __future__ import annotations

import json
from typing import Any

JOINED = {"and_rules": "rules", "or_rules": "rules", "and_ids": "ids", "or_ids": "ids"}
MATCHES = {"exact": "=", "prefix": "starts with", "suffix": "ends with", "contains": "contains"}


def rule_text(policy: dict[str, Any]) -> str:
    """Who may, or may not, do what."""
    who = _any_of([_node(each) for each in policy.get("principals", ())])
    what = _any_of([_node(each) for each in policy.get("permissions", ())])
    rest = {key: each for key, each in policy.items() if key not in ("principals", "permissions")}
    said = [f"from {who}", f"to {what}", *([f"if {_json(rest)}"] if rest else [])]
    return ", ".join(said)


def _node(node: dict[str, Any]) -> str:
    if len(node) != 1:
        return _json(node)
    ((kind, value),) = node.items()
    if kind == "any":
        return "any"
    if kind in JOINED:
        parts = [_node(each) for each in value.get(JOINED[kind], ())]
        if kind.startswith("or"):
            return _any_of(parts)
        return " and ".join(dict.fromkeys(each for each in parts if each != "any")) or "any"
    if kind in ("not_rule", "not_id"):
        return f"not ({_node(value)})"
    if kind == "header":
        return _header(value)
    if kind == "url_path" and set(value) == {"path"}:
        return f"path {_string(value['path'])}"
    if kind == "authenticated" and set(value) <= {"principal_name"}:
        return f"principal {_string(value['principal_name'])}" if value else "any principal"
    if kind in ("direct_remote_ip", "remote_ip", "destination_ip", "source_ip") and "address_prefix" in value:
        return f"{kind} {value['address_prefix']}/{value.get('prefix_len', 0)}"
    return f"{kind} {_json(value)}"


def _any_of(parts: list[str]) -> str:
    parts = list(dict.fromkeys(parts))
    return parts[0] if len(parts) == 1 else f"({' or '.join(parts)})"


def _header(value: dict[str, Any]) -> str:
    rest = {key: each for key, each in value.items() if key != "name"}
    if set(rest) == {"string_match"}:
        return f"header {value['name']} {_string(rest['string_match'])}"
    if rest == {"present_match": True}:
        return f"header {value['name']} is there"
    return f"header {_json(value)}"


def _string(value: dict[str, Any]) -> str:
    for kind, said in MATCHES.items():
        if set(value) == {kind}:
            return f"{said} {value[kind]}"
    if set(value) == {"safe_regex"} and set(value["safe_regex"]) == {"regex"}:
        return f"matches {value['safe_regex']['regex']}"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
