"""Real backends on loopback: one thread, many addresses, HTTP/1.1 and prior-knowledge HTTP/2; a record of what
arrived.

A backend answers 200 with a JSON description of the request, unless a `Behaviour` says otherwise: the request's own
`x-backend` header (`status=503`, `delay=0.2`, `fault=reset`, joined by `;`; a comma starts the next attempt of the
same `x-request-id`, the last one repeats), else what `Backends.behave` set for the address. `Backends.refuse` makes
an address refuse connections. Nothing here is governed: it is the world that Envoy and proxyless are both measured
against.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self

from tests.support import _http1, _http2
from tests.support.behaviour import Address, Arrival, Behaviour, Headers, Reply, describe, parse
from tests.support.in_thread import Loop


class Backends:
    """`with Backends([("127.0.11.1", 8080)]):` serves every address on a port that the kernel chose.

    `ports` maps the address asked for to the real port.
    """

    def __init__(self, addresses: Iterable[Address]) -> None:
        self.ports: dict[Address, int] = {}
        self._sockets: dict[Address, socket.socket] = {}
        self._servers: dict[Address, asyncio.Server] = {}
        self._behaviours: dict[Address, Behaviour] = {}
        self._follow: Callable[[Address], Behaviour] | None = None
        self._attempts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._arrivals: list[Arrival] = []
        self._connections: dict[Address, set[asyncio.StreamWriter]] = {}
        self._fillers: list[socket.socket] = []
        self._serial = 0
        self._loop: Loop
        for address in dict.fromkeys(addresses):
            self._bind(address, 0)

    def _bind(self, address: Address, port: int) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio: no Nagle if TCP
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address[0], port))
        self.ports[address] = sock.getsockname()[1]
        self._sockets[address] = sock

    def __enter__(self) -> Self:
        self._loop = Loop()
        for address in self.ports:
            self._run(self._serve(address))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._shutdown())
        self._loop.close()
        for sock in [*self._sockets.values(), *self._fillers]:
            sock.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop.wait(work)

    async def _shutdown(self) -> None:
        for address in list(self._servers):
            await self._unserve(address)
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, address: Address) -> None:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._serial += 1
            self._connections.setdefault(address, set()).add(writer)
            try:
                await self._connection(address, self._serial, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # cancelled by the shutdown only: streams' own callback would log it as an error
            finally:
                self._connections[address].discard(writer)
                writer.close()

        self._servers[address] = await asyncio.start_server(
            connected, sock=self._sockets[address], limit=1 << 20, backlog=512
        )

    async def _unserve(self, address: Address) -> None:
        self._servers.pop(address).close()
        for writer in list(self._connections.get(address, ())):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _connection(
        self, address: Address, serial: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        start = await reader.read(1 << 16)
        if not start:
            return
        serve = _http2.serve if start.startswith(b"PRI * HTTP/2") else _http1.serve

        def arrived(method: str, target: str, headers: Headers, body: bytes, trailers: Headers, protocol: str) -> Reply:
            arrival = Arrival(address, time.monotonic(), serial, protocol, method, target, headers, body, trailers)
            return self._reply(arrival)

        await serve(start, reader, writer, arrived)

    def _reply(self, arrival: Arrival) -> Reply:
        with self._lock:
            self._arrivals.append(arrival)
            behaviour = self._behaviours.get(arrival.backend, Behaviour())
            if self._follow is not None:
                behaviour = self._follow(arrival.backend)
            if asked := arrival.header("x-backend"):
                plan = parse(asked)
                key = arrival.header("x-request-id") or str(len(self._arrivals))
                behaviour = plan[min(self._attempts[key], len(plan) - 1)]
                self._attempts[key] += 1
        body = behaviour.body if behaviour.body is not None else describe(arrival)
        own = any(name == "content-type" for name, _ in behaviour.headers)
        kind: Headers = () if own else (("content-type", "application/json"),)
        return Reply(behaviour, (*kind, *behaviour.headers), body)

    def take(self) -> list[Arrival]:
        """The arrivals since the last call, oldest first."""
        with self._lock:
            taken, self._arrivals = self._arrivals, []
        return taken

    def connections(self, address: Address) -> int:
        """How many are open now."""
        return len(self._connections.get(address, ()))

    def behave(self, address: Address, behaviour: Behaviour) -> None:
        """From now on this address does so for requests that do not say themselves."""
        with self._lock:
            self._behaviours[address] = behaviour

    def follow(self, script: Callable[[Address], Behaviour] | None) -> None:
        """From now on `script` is asked what an address does with a request that does not say itself; None: no more."""
        with self._lock:
            self._follow = script

    def refuse(self, address: Address) -> None:
        """Close the address: connections end, new ones are refused. Its port stays reserved."""
        self._run(self._unserve(address))
        self._bind(address, self.ports[address])

    def stall(self, address: Address) -> None:
        """Close the address and leave new connections hanging: its queue of one is filled and never read."""
        self.refuse(address)
        listening = self._sockets[address]
        listening.listen(0)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
            self._fillers.append(filler)

    def accept(self, address: Address) -> None:
        """Serve a refused address again."""
        self._run(self._serve(address))
