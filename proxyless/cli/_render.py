"""A document of `explain` for people."""

from typing import Any


def render(document: dict[str, Any]) -> str:
    """Why, then the figures that matter."""
    lines = [f"  {each}" for each in document["why"]]
    facts = {
        "action": document["action"],
        "cluster": document["cluster"],
        "endpoint": document["endpoint"],
        "sends": _sent(document),
        "timeout": _seconds(document["timeout_s"]),
        "retries": _retries(document["retry"]),
        "policy": document["lb_policy"],
        "status": document["status"],
        "location": document["location"],
        "flags": document["response_flags"],
    }
    lines += [f"{name + ':':<10}{value}" for name, value in facts.items() if value is not None]
    lines += [
        f"not honoured: {each['resource']} {each['field']}: {each['reason']}" for each in document["not_honoured"]
    ]
    if document["counts"]:
        lines.append("counts:")
        for kind, counts in document["counts"].items():
            named = counts.items() if isinstance(counts, dict) else [(kind, counts)]
            lines += [f"  {name:<60}{number:>8}" for name, number in named]
    return "\n".join(lines)


def _sent(document: dict[str, Any]) -> str | None:
    """The request as an endpoint would get it; None where the mesh answers, or the app is asked about."""
    if document["status"] is not None or (document["cluster"] or "").startswith("inbound|"):
        return None
    return f"{document['method']} {document['path']}  Host: {document['authority']}"


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:g} s"


def _retries(retry: dict[str, Any] | None) -> str | None:
    if retry is None:
        return None
    per_try = f", {retry['per_try_timeout_s']:g} s each" if retry["per_try_timeout_s"] else ""
    return f"{retry['retries']} on {','.join(retry['on'])}{per_try}"
