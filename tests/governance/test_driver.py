"""Twenty lines that run a machine, for sync code and for async."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from proxyless.governance.actions import Action, BodyEnd, Deliver, Discard, Head, Sleep
from proxyless.governance.call import Machine
from proxyless.governance.driver import drive, drive_async, finish, step
from proxyless.governance.replies import LocalReply

REPLY = LocalReply(503)
HEAD = Head(200, [], None)


class Script:
    """A machine that wants a few things and remembers what it was told."""

    def __init__(self, *actions: Action, more_after_body: bool = False) -> None:
        self.actions = actions
        self.more_after_body = more_after_body
        self.told: list[Any] = []
        self.closed = False

    def run(self) -> Generator[Action, Any, LocalReply | None]:
        try:
            for action in self.actions:
                self.told.append((yield action))
            if self.more_after_body:
                yield Sleep(0)
        except GeneratorExit:
            self.closed = True
            raise
        return None if any(isinstance(each, Deliver) for each in self.actions) else REPLY


def perform(suite: Any, action: Any) -> str:
    return f"{suite} did {type(action).__name__}"


async def perform_async(suite: Any, action: Any) -> str:
    await asyncio.sleep(0)
    return perform(suite, action)


def refuse(suite: Any, action: Any) -> None:
    raise KeyboardInterrupt


async def refuse_async(suite: Any, action: Any) -> None:
    raise asyncio.CancelledError


def run(machine: Machine, *, asynchronous: bool, fails: bool = False) -> Deliver | LocalReply:
    if asynchronous:
        return asyncio.run(drive_async(machine, [refuse_async if fails else perform_async] * 7, "it"))
    return drive(machine, [refuse if fails else perform] * 7, "it")


BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@BOTH
def test_a_driver_performs_each_action_and_tells_the_machine(asynchronous: bool) -> None:
    script = Script(Sleep(0), Discard(HEAD))
    assert run(script.run(), asynchronous=asynchronous) is REPLY
    assert script.told == ["it did Sleep", "it did Discard"]


@BOTH
def test_a_driver_stops_at_the_response(asynchronous: bool) -> None:
    deliver = Deliver(HEAD, None)
    script = Script(Sleep(0), deliver)
    machine = script.run()
    assert run(machine, asynchronous=asynchronous) is deliver
    assert script.told == ["it did Sleep"]
    finish(machine, BodyEnd(complete=True))
    assert script.told[1] == BodyEnd(complete=True)


@BOTH
def test_a_machine_that_answers_at_once_needs_no_action(asynchronous: bool) -> None:
    assert run(Script().run(), asynchronous=asynchronous) is REPLY


@BOTH
def test_whatever_an_action_raises_closes_the_machine_and_goes_on(asynchronous: bool) -> None:
    script = Script(Sleep(0))
    with pytest.raises(asyncio.CancelledError if asynchronous else KeyboardInterrupt):
        run(script.run(), asynchronous=asynchronous, fails=True)
    assert script.closed
    assert script.told == []


def test_a_machine_that_wants_more_after_the_body_is_closed() -> None:
    script = Script(Deliver(HEAD, None), more_after_body=True)
    machine = script.run()
    run(machine, asynchronous=False)
    finish(machine, BodyEnd(complete=True))
    assert script.closed


def test_a_machine_is_driven_step_by_step_by_who_leaves_it_in_between() -> None:
    script = Script(Sleep(0), Discard(HEAD))
    machine = script.run()
    assert isinstance(step(machine), Sleep)
    assert isinstance(step(machine, "slept"), Discard)
    assert step(machine, "discarded") is REPLY
    assert script.told == ["slept", "discarded"]
