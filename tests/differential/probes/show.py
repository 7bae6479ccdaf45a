"""How an observation is printed: short, in one form, without what is new with every run."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.differential.rig import Observation

VOLATILE = {"date", "x-envoy-upstream-service-time"}
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


def short(text: str, length: int = 100) -> str:
    """The text, or its beginning and its length."""
    return text if len(text) <= length else f"{text[:40]}...({len(text)})"


def headers(pairs: Iterable[tuple[str, str]], *, without: Iterable[str] = ()) -> str:
    """`name=value` in order; generated values as `*`."""
    hidden = set(without)
    shown = []
    for name, value in pairs:
        if name.lower() in hidden:
            continue
        masked = "*" if name in VOLATILE or (name == "x-request-id" and UUID.match(value)) else value
        shown.append(f"{name}={short(masked, 160)}")
    return " | ".join(shown)


def answer(seen: Observation, *, body: bool = True) -> str:
    """Status, flags, details; headers and body of the response."""
    response = seen.response
    if not response.status:
        return f"no response ({response.error or 'closed'}), flags {seen.flags or '-'}, {seen.details}"
    text = f"{response.status} {seen.flags} {seen.details}: {headers(response.headers)}"
    if body:
        text += f" || {short(repr(response.body), 200)}"
    return text


def outcome(seen: Observation) -> str:
    """Status, flags, details, attempts; for what a backend or Envoy answered."""
    response, log = seen.response, seen.log or {}
    text = f"{response.status or 'no response'} flags={seen.flags} details={seen.details}"
    if response.interim:
        text += f" interim={response.interim}"
    if response.cut:
        text += " cut"
    return f"{text} attempts={log.get('attempts')} cluster={log.get('cluster')} ms={log.get('duration')}"
