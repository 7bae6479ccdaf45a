"""Running a machine: twenty lines for sync code, twenty for async.

`perform` is the suite's table: one function per kind of action, indexed by `Action.kind`, which gets the suite's own
object and the action. A machine that is not run to its end (the library raised, the task was cancelled) is closed, and
so gives back what it holds.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .actions import Action, BodyEnd, Deliver
from .call import Machine
from .replies import LocalReply


def drive(machine: Machine, perform: Sequence[Callable[[Any, Any], Any]], suite: Any) -> Deliver | LocalReply:
    """Until there is a response to hand over, or a reply of the mesh's own."""
    try:
        action = next(machine)
        while not isinstance(action, Deliver):
            action = machine.send(perform[action.kind](suite, action))
    except StopIteration as stop:
        reply: LocalReply = stop.value
        return reply
    except BaseException:
        machine.close()
        raise
    return action


async def drive_async(
    machine: Machine, perform: Sequence[Callable[[Any, Any], Awaitable[Any]]], suite: Any
) -> Deliver | LocalReply:
    """The same, awaiting each action."""
    try:
        action = next(machine)
        while not isinstance(action, Deliver):
            action = machine.send(await perform[action.kind](suite, action))
    except StopIteration as stop:
        reply: LocalReply = stop.value
        return reply
    except BaseException:
        machine.close()
        raise
    return action


def step(machine: Machine, answer: Any = None) -> Action | LocalReply:
    """What a machine wants next, or its reply: for who leaves it in between, and closes it himself."""
    try:
        return machine.send(answer)
    except StopIteration as stop:
        reply: LocalReply = stop.value
        return reply


def finish(machine: Machine, end: BodyEnd) -> None:
    """The body is over, and with it the call."""
    try:
        machine.send(end)
    except StopIteration:
        return
    machine.close()
