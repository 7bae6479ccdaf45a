"""Configurations, good and bad, with what the real Envoy says about each: one table for its judgement and for ours.

A case is a resource as protobuf's JSON spells it. `says` is what Envoy prints when it refuses it (without what goes
before: the resource's name, or the way to the field of a validation rule), None where it accepts. `differs` is set
where proxyless decides otherwise on purpose, and says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A cluster or a listener; routes are inside a listener."""

    name: str
    resource: Json
    says: str | None = None
    differs: str = ""

    @property
    def kind(self) -> Literal["clusters", "listeners"]:
        """Which of Envoy's static resources it is."""
        listens = "filter_chains" in self.resource or "api_listener" in self.resource
        return "listeners" if listens or "address" in self.resource else "clusters"


def plain(text: str) -> str:
    """What Envoy printed, without line breaks, without the random mark of protobuf's debug strings and its traces."""
    text = re.sub(r"goo\.gle/\S+\s*", " ", text)
    text = re.sub(r"=== Source Location Trace.*", "", text, flags=re.DOTALL)
    # Nor its random spaces.
    return re.sub(r"\s+", " ", text).strip()
