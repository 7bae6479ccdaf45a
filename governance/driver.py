"""Running a machine: twenty lines for sync code, twenty for async.

`perform` is the suite's table: one function per kind of action, indexed by `Action.kind`, which gets the suite's own
object and the action. A machine that is not run to its end (the library raised, the task was cancelled) is closed, and
so gives back what it holds.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, overload

from .actions import Action, BodyEnd, Deliver
from .call import Machine
from .replies import LocalReply

A = TypeVar("A", bound=Action)


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


@overload
async def drive_async(
    machine: Machine, perform: Sequence[Callable[[Any, Any], Awaitable[Any]]], suite: Any, answer: Any = None
) -> Deliver | LocalReply: ...


@overload
async def drive_async(
    machine: Machine,
    perform: Sequence[Callable[[Any, Any], Awaitable[Any]]],
    suite: Any,
    answer: Any = None,
    *,
    until: tuple[type[A], ...],
) -> A | LocalReply: ...


async def drive_async(
    machine: Machine,
    perform: Sequence[Callable[[Any, Any], Awaitable[Any]]],
    suite: Any,
    answer: Any = None,
    *,
    until: tuple[type[Any], ...] = (Deliver,),
) -> Any:
    """The same, awaiting each action.

    `answer`: to the action that it was left with. `until`: it is left with one of these, too.
    """
    try:
        action = machine.send(answer)
        while not isinstance(action, until):
            action = machine.send(await perform[action.kind](suite, action))
    except StopIteration as stop:
        reply: LocalReply = stop.value
        return reply
    except BaseException:
        machine.close()
        raise
    return action


def finish(machine: Machine, end: BodyEnd) -> None:
    """The body is over, and with it the call."""
    try:
        machine.send(end)
    except StopIteration:
        return
    machine.close()
