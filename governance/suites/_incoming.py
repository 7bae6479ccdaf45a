"""What the suites of servers share: the machine of an incoming request is driven until it is decided.

A suite says how the body of a request is read, where a filter wants it before it decides; everything else that a
machine asks for is the same for all servers, but for who waits: a thread, or a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..actions import Ask, Collect
from ..inbound import Decision, InboundRequest
from ..replies import LocalReply
from ._blocking import pause

PROTOCOLS = {"1.0": "HTTP/1.0", "2": "HTTP/2", "3": "HTTP/3"}
"""Of versions as servers say them; HTTP/1.1 otherwise."""

SAFE = "/:@!$&'()*+,;=~"
"""What a path may hold besides letters, digits and `-._` (RFC 3986, section 3.3)."""


def decided(inbound: InboundRequest, collect: Callable[[Collect], int | None]) -> LocalReply | None:
    """What the machine answers, or None; this thread waits. `collect` reads a body and says its length."""
    machine = inbound.start()
    return machine if machine is None or isinstance(machine, LocalReply) else driven_sync(machine, collect)


def driven_sync(machine: Decision, collect: Callable[[Collect], int | None]) -> LocalReply | None:
    """What a machine that has to wait answers; this thread waits."""
    try:
        action = next(machine)
        while True:
            answer: Any = None
            if isinstance(action, Ask):
                answer = action.service.ask(action.request, action.timeout_s)
            elif isinstance(action, Collect):
                answer = collect(action)
            else:
                pause(action.seconds)
            action = machine.send(answer)
    except StopIteration as stop:
        reply: LocalReply | None = stop.value
        return reply


async def decided_async(
    inbound: InboundRequest, collect: Callable[[Collect], Awaitable[int | None]]
) -> LocalReply | None:
    """The same for a task."""
    machine = inbound.start()
    return machine if machine is None or isinstance(machine, LocalReply) else await driven(machine, collect)


async def driven(machine: Decision, collect: Callable[[Collect], Awaitable[int | None]]) -> LocalReply | None:
    """What a machine that has to wait answers; this task waits."""
    try:
        action = next(machine)
        while True:
            answer: Any = None
            if isinstance(action, Ask):
                answer = await action.service.ask_async(action.request, action.timeout_s)
            elif isinstance(action, Collect):
                answer = await collect(action)
            else:
                await asyncio.sleep(action.seconds)
            action = machine.send(answer)
    except StopIteration as stop:
        reply: LocalReply | None = stop.value
        return reply
