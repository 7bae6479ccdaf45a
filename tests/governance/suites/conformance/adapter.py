"""What the conformance suite asks of a library: a governed client behind one face.

An adapter is made for a mesh and is called from the test's thread; one for asyncio has an event loop in a thread of its
own (`AsyncAdapter`). Whatever the library raises comes out as it is: `Adapter.raises` names its classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self

from proxyless import Mesh
from tests.support.in_thread import Loop

WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that has been read. `call`: the mesh's account of it, None where the mesh was switched off."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    call: Any = None

    def header(self, name: str) -> str:
        """All values of a header, joined by a comma; empty when absent."""
        return ",".join(value for key, value in self.headers if key.lower() == name)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `body`: iterables of bytes are streamed. `None` for a timeout is the adapter's own, a long one."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] | None = None
    connect_s: float | None = None
    read_s: float | None = None
    follow: bool = False
    """Whether the library follows redirects."""


class Opened(ABC):
    """A response whose body has not been read."""

    status: int
    call: Any

    @abstractmethod
    def part(self) -> bytes:
        """What comes next; nothing at the end."""

    @abstractmethod
    def read(self) -> bytes:
        """The rest."""

    @abstractmethod
    def close(self) -> None:
        """Nobody wants the rest."""


@dataclass(frozen=True, slots=True)
class Raises:
    """The library's exceptions: what a program that never heard of a mesh would catch."""

    connect: tuple[type[BaseException], ...]
    connect_timeout: tuple[type[BaseException], ...]
    read_timeout: tuple[type[BaseException], ...]
    broken: tuple[type[BaseException], ...]
    """The connection ended before its response, or in the middle of the body."""


class Adapter(ABC):
    """A governed client of a library, in sync code."""

    name: ClassVar[str]
    asynchronous: ClassVar[bool] = False
    raises: ClassVar[Raises]
    cookies: ClassVar[bool] = True
    """Whether the library keeps them."""
    proxies: ClassVar[bool] = True
    """Whether it looks for proxies in the environment."""

    def __init__(self, mesh: Mesh | None, *, errors: Any = "response", trust_env: bool = False) -> None:
        """`trust_env`: the library may look for proxies in the environment."""
        self._threads = ThreadPoolExecutor(32)
        self.make(mesh, errors, trust_env)

    @abstractmethod
    def make(self, mesh: Mesh | None, errors: Any, trust_env: bool) -> None:
        """The client."""

    @abstractmethod
    def perform(self, asked: Asked) -> Answer:
        """One call, from its request to the last byte of its response."""

    @abstractmethod
    def open(self, asked: Asked) -> Opened:
        """One whose body is read later."""

    @abstractmethod
    def dispose(self) -> None:
        """Close the client."""

    def start(self, method: str, url: str, backend: str = "", **more: Any) -> Future[Answer]:
        """A call under way, with the context variables of the caller."""
        return self._threads.submit(copy_context().run, self.perform, asked(method, url, backend, **more))

    def call(self, method: str, url: str, backend: str = "", **more: Any) -> Answer:
        """The same, waited for. `backend`: what the backend shall do (tests.support.behaviour)."""
        return self.start(method, url, backend, **more).result(WAIT_S)

    def opened(self, url: str, backend: str = "", **more: Any) -> Opened:
        """A GET whose body is read later."""
        return self.open(asked("GET", url, backend, **more))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dispose()
        self._threads.shutdown()


class AsyncAdapter(Adapter):
    """The same under asyncio: an adapter writes coroutines."""

    asynchronous = True

    def __init__(self, mesh: Mesh | None, *, errors: Any = "response", trust_env: bool = False) -> None:
        self.loop = Loop()
        super().__init__(mesh, errors=errors, trust_env=trust_env)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Until the event loop has done it."""
        return self.loop.wait(work)

    @abstractmethod
    async def performed(self, asked: Asked) -> Answer:
        """One call, from its request to the last byte of its response."""

    def perform(self, asked: Asked) -> Answer:
        answer: Answer = self.wait(self.performed(asked))
        return answer

    def start(self, method: str, url: str, backend: str = "", **more: Any) -> Future[Answer]:
        """As of any; `cancel()` on it cancels the task."""
        made = asked(method, url, backend, **more)
        return self.loop.begin(self.performed(made))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self.loop.close()


def asked(method: str, url: str, backend: str = "", **more: Any) -> Asked:
    """A request; `backend` goes into the header that backends listen to."""
    headers: tuple[tuple[str, str], ...] = tuple(more.pop("headers", ()))
    if backend:
        headers = (*headers, ("x-backend", backend))
    return Asked(method, url, headers, **more)


async def awaited(body: Iterable[bytes]) -> AsyncIterator[bytes]:
    """A streamed body for a library that awaits it."""
    for part in body:
        yield part


def streamed(body: bytes | Iterable[bytes] | None) -> Iterator[bytes] | None:
    """The parts of a body that is streamed; None for others."""
    return None if body is None or isinstance(body, bytes) else iter(body)
