"""What was decided, for metrics, `explain` and access logs."""

from __future__ import annotations

import re

from ...xds.model.records import dataclass

BODY = b"RBAC: access denied"
DECISIONS = "authorization"
"""Where a stream keeps what was decided about it."""

_SPACE = re.compile(r"[ \t\f\v\n\r]")


@dataclass(frozen=True, slots=True)
class Decision:
    """What one filter said. `prefix`: of its metadata; `per_rule`: whether policies are counted singly.

    `reason`: why a token was refused, where tokens were what was looked at (`tokens`).
    """

    filter: str
    enforced: bool
    allowed: bool
    policy: str = ""
    prefix: str = ""
    per_rule: bool = False
    tokens: bool = False
    reason: str = ""


def denied_details(policy: str) -> str:
    """What access logs say of it."""
    return f"rbac_access_denied_matched_policy[{_SPACE.sub('_', policy or 'none')}]"
