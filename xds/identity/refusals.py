"""Why an authority gave no certificate: the kinds of reason that are counted."""

from __future__ import annotations

from typing import Literal

Reason = Literal["unauthenticated", "permission_denied", "unavailable", "refused", "bad_answer", "unserved"]


class RefusedError(Exception):
    """An authority gave no certificate. `final`: nobody there will ever give one."""

    def __init__(self, reason: Reason, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.reason: Reason = reason
        self.final = final
