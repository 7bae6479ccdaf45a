"""The span of a request as the program's current one while the app's code runs: its calls are children of it then.

On a loop that is around what is awaited. Code of threads runs in a context of its request's own: parts of it (the body
of a response) run later, when the thread may have served others, and what they have entered is theirs until then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context, copy_context
from typing import ParamSpec, TypeVar

from ..inbound import InboundRequest
from ..tracing import Span

P = ParamSpec("P")
T = TypeVar("T")

_NOTHING: AbstractContextManager[object] = nullcontext()


def _span(inbound: InboundRequest) -> Span | None:
    return inbound.trace.span if inbound.trace is not None else None


def current(inbound: InboundRequest) -> AbstractContextManager[object]:
    """Around what a task awaits of the app."""
    span = _span(inbound)
    return _NOTHING if span is None else span.entered()


def attach(inbound: InboundRequest) -> None:
    """From now on, in a task that is the request's alone."""
    span = _span(inbound)
    if span is not None:
        span.attach()


def context_of(inbound: InboundRequest) -> Context | None:
    """Where a thread runs what belongs to the app, piece by piece; None where that makes no difference."""
    span = _span(inbound)
    if span is None:
        return None
    made = copy_context()
    made.run(span.attach)
    return made


def run_in(context: Context | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The function's result, there."""
    return function(*args, **kwargs) if context is None else context.run(function, *args, **kwargs)


def made_in(context: Context, parts: Iterable[T]) -> Iterator[T]:
    """The same parts, each of which is made there."""
    iterator = context.run(iter, parts)
    while True:
        try:
            part = context.run(next, iterator)
        except StopIteration:
            return
        yield part
