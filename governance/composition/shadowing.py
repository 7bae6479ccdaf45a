"""Policies that decide and are not enforced: what would have happened is told, and does not happen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..actions import Sleep
from ..filters.adaptive_concurrency import AdaptiveConcurrencyFilter
from ..filters.admission_control import AdmissionControlFilter
from ..filters.chain import FilterChainRuntime, chain_of
from ..filters.cors import CorsFilter
from ..filters.ext_authz import ExtAuthzFilter
from ..filters.fault import FaultFilter
from ..filters.global_ratelimit import GlobalRateLimitFilter
from ..filters.jwt_authn import JwtAuthnFilter
from ..filters.local_ratelimit import LocalRateLimitFilter
from ..filters.rbac import RbacFilter
from ..replies import LocalReply
from .noting import note

if TYPE_CHECKING:
    from ..filters.stream import RequestFilter, Steps
    from ..inbound import InboundRequest
    from .compose import Policies

POLICY_OF: Mapping[type, str] = {
    AdaptiveConcurrencyFilter: "adaptive_concurrency",
    AdmissionControlFilter: "admission_control",
    CorsFilter: "cors",
    ExtAuthzFilter: "authorization",
    FaultFilter: "fault",
    GlobalRateLimitFilter: "ratelimit",
    JwtAuthnFilter: "jwt",
    LocalRateLimitFilter: "ratelimit",
    RbacFilter: "authorization",
}
"""By which name a filter is switched."""


class InShadow:
    """A filter whose refusals and delays are told of and do not happen. What it adds to requests stays."""

    __slots__ = ("_inner", "_policy", "applies", "name", "on_end", "on_response")

    def __init__(self, inner: RequestFilter, policy: str) -> None:
        self.name = inner.name
        self._inner = inner
        self._policy = policy
        for each in ("applies", "on_end", "on_response"):
            if hasattr(inner, each):  # else this one must not have it either
                setattr(self, each, getattr(inner, each))

    def on_request(self, stream: Any) -> LocalReply | Steps | None:
        """Always lets it pass."""
        flags = stream.flags
        found = self._inner.on_request(stream)
        if found is None:
            return None
        if isinstance(found, LocalReply):
            self._told(stream, found, flags)
            return None
        return self._awaited(stream, found, flags)

    def _awaited(self, stream: Any, steps: Steps, flags: tuple[str, ...]) -> Steps:
        answer: Any = None
        while True:
            try:
                action = steps.send(answer)
            except StopIteration as stop:
                self._told(stream, stop.value, flags)
                return None
            if isinstance(action, Sleep):
                note(stream, self._policy, "delay")
                answer = None
            else:
                answer = yield action

    def _told(self, stream: Any, reply: LocalReply | None, flags: tuple[str, ...]) -> None:
        stream.flags = flags
        if reply is not None:
            note(stream, self._policy, str(reply.status))


def under(chain: FilterChainRuntime, policies: Policies) -> FilterChainRuntime:
    """A chain without the filters that are off, and with those in shadow mode in shadow."""
    kept: list[RequestFilter] = []
    for each in chain.active:
        policy = POLICY_OF.get(type(each), "")
        mode = policies.mode(policy)
        if mode == "on":
            kept.append(each)
        elif mode == "shadow":
            kept.append(InShadow(each, policy))
    return chain_of(kept, chain.closed, chain.notes)


def lets_in(inbound: InboundRequest, status: int) -> bool:
    """Whether a connection that authorization refuses is let in all the same."""
    policies = inbound.policies
    mode = "on" if policies is None else policies.mode("authorization")
    if mode == "shadow":
        note(inbound, "authorization", str(status))
    return mode != "on"
