"""What shadow mode tells."""

from __future__ import annotations

from typing import Any

from ..events import NotEnforced


def note(stream: Any, policy: str, outcome: str) -> None:
    """A policy in shadow mode would have done something: `outcome` is the status of its reply, or a word."""
    stream.shadowed = (*stream.shadowed, (policy, outcome))
    where = ""
    if not stream.incoming:
        where = stream.target.cluster if stream.target is not None else stream.url_host.decode("latin-1")
    stream.runtime.emit(NotEnforced(policy, outcome, where))
