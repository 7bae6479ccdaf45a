"""Authorization of connections (envoy source: extensions/filters/network/rbac): whom a chain's filters let in.

Nothing that they ask about changes while a connection lasts, so it is asked once, before its first byte is read. A
server that accepts connections asks `refusal_of`; a request that a framework hands over asks for its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...xds.model.rbac import Engine, NetworkRbac
from ...xds.model.records import dataclass
from ..hello import ISTIO, Hello
from ..peer import Peer
from .decisions import Decision, denied_details
from .engine import Decide, engine_of
from .question import Question

if TYPE_CHECKING:
    from ..runtime import Runtime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A connection is closed, after so many seconds. `details`: as Envoy says it in access logs."""

    details: str
    delay_s: float = 0.0


class Door:
    """The filters of one chain."""

    __slots__ = ("_filters",)

    def __init__(self, filters: Sequence[NetworkRbac]) -> None:
        self._filters = tuple((each, _engine(each.rbac.rules), _engine(each.rbac.shadow)) for each in filters)

    def ask(self, question: Question) -> tuple[Refusal | None, tuple[Decision, ...]]:
        """Whether it stays shut, and what each filter said."""
        said: list[Decision] = []
        for each, rules, shadow in self._filters:
            if shadow is not None:
                tried = shadow(question)
                said.append(Decision(each.name, False, tried.allowed, tried.policy, each.rbac.shadow_prefix))
            if rules is None:
                continue
            found = rules(question)
            said.append(Decision(each.name, True, found.allowed, found.policy))
            if not found.allowed:
                return Refusal(denied_details(found.policy), each.delay_deny_s), tuple(said)
        return None, tuple(said)


def _engine(engine: Engine | None) -> Decide | None:
    return None if engine is None else engine_of(engine)


def refusal_of(
    runtime: Runtime,
    port: int,
    source: str,
    *,
    source_port: int = 0,
    local: str = "",
    peer: Peer | None = None,
    hello: Hello = ISTIO,
    tls: bool = False,
) -> Refusal | None:
    """Why a connection that was accepted is closed; None where the filters of its chain have nothing against it.

    Whether any chain takes it is for others to say.
    """
    plan = runtime.plan
    found = plan.inbound(port, source, hello if tls or peer is not None else None)
    if not isinstance(found, tuple):
        return None
    door = plan.door(found[0])
    if door is None:
        return None
    destination = local or runtime.options.workload.address
    return door.ask(Question(source=source, destination=destination, port=port, peer=peer, source_port=source_port))[0]
