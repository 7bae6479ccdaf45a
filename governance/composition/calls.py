"""Where an outgoing call looks at what its user has switched."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ..passing import DIRECT
from ..replies import LocalReply
from .compose import Policies
from .noting import note
from .own import leave_call

if TYPE_CHECKING:
    from ..call import OutgoingCall


def routed(call: OutgoingCall, policies: Policies) -> Generator[Any, Any, LocalReply | None]:
    """The mesh has decided: its reply, or that of a policy behind it."""
    if policies.routing == "shadow":
        if call.reply is not None:
            note(call, "routing", str(call.reply.status))
            call.reply = None
        elif call.bypass is None:
            note(call, "routing", "route")
        call.bypass = DIRECT
        call.upstream = call.retry = call.deadline = call.limits = None
    if call.reply is not None:
        return call.reply
    return (yield from leave_call(call, policies))


def unlimit(call: OutgoingCall, policies: Policies, timeout_s: float | None) -> None:
    """Nothing of the mesh's limits the time of a call."""
    call.timed = False
    if policies.timeout == "shadow":
        call.would_s = timeout_s


def gone_past(call: OutgoingCall) -> None:
    """The call is over."""
    if call.would_s is not None and call.runtime.clock() - call.started > call.would_s:
        note(call, "timeout", "504")


def shadowed_retry(call: OutgoingCall) -> bool:
    """Whether a retry that the mesh wants is not made; that is told."""
    policies = call.policies
    if policies is None or policies.retry == "on":
        return False
    note(call, "retry", "retry")
    return True


def unlimited(call: OutgoingCall) -> bool:
    """Whether the thresholds of a cluster do not hold for a call; one that is reached is told."""
    policies = call.policies
    if policies is None or policies.breaker == "on":
        return False
    if policies.breaker == "shadow":
        note(call, "breaker", "503")
    return True
