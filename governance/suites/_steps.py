"""Work with a network in steps that sync code and tasks share: what is decided between them is written once.

A step is called with the library's network backend (or stream), and for tasks what it returns is awaited. What it
raises is raised where it was yielded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ...xds.model.values import Address
from ..runtime import Runtime
from ..securing import InsecureError, Securing

T = TypeVar("T")

Step = Callable[[Any], Any]
Steps = Generator[Step, Any, T]


def run(steps: Steps[T], inner: Any) -> T:
    """Until they have a result."""
    try:
        step = next(steps)
        while True:
            try:
                found = step(inner)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(found)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def run_async(steps: Steps[T], inner: Any) -> T:
    """The same, awaiting each."""
    try:
        step = next(steps)
        while True:
            try:
                found = await step(inner)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(found)
    except StopIteration as stop:
        result: T = stop.value
        return result


def open_connection(address: Address, port: int, timeout_s: float | None, options: dict[str, Any]) -> Step:
    """To an endpoint, which may be a Unix socket."""
    if address.unix and not port:
        return lambda backend: backend.connect_unix_socket(address.unix, timeout_s)
    return lambda backend: backend.connect_tcp(address.host, port, timeout=timeout_s, **options)


def secured(stream: Any, runtime: Runtime, secure: Securing, endpoint: str, timeout_s: float | None) -> Step:
    """TLS on a connection. The context brings the name to ask for; raises InsecureError where there is none."""
    if runtime.tls is None:
        raise InsecureError("this process has no identity to offer")
    context = runtime.tls.client(secure, endpoint)
    return lambda _: stream.start_tls(context, None, timeout_s)


def closing(stream: Any) -> Step:
    """The end of a connection that nothing goes over."""
    return lambda _: stream.aclose() if hasattr(stream, "aclose") else stream.close()


def speaks_http2(stream: Any) -> bool:
    """What was agreed on (ALPN) by whoever offered both."""
    tls = stream.get_extra_info("ssl_object")
    return tls is not None and tls.selected_alpn_protocol() == "h2"
