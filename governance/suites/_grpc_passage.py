"""Channels of grpcio's own to hosts that the mesh takes for TCP, or for TLS of the program's.

grpcio dials a Unix socket within the process. Each connection that it makes there goes on to where connections to that
host go (`tcp`): to an endpoint of the cluster, under its thresholds, by mTLS where it asks for that. What is said over
it is between the program and the server.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..passing import TcpRoute
from ..runtime import Runtime
from ..services.wire import CHUNK, started
from ._grpc_pump import Listening, process_of
from ._grpc_rpc import Place


class Passage:
    """Takes connections of grpcio's at `target`, in a thread of its own. `route`: where those go that come from now on.
    `wrong`: why the last one has reached nobody."""

    def __init__(self, runtime: Runtime, place: Place, route: TcpRoute) -> None:
        self.route = route
        self.wrong = ""
        self._runtime = runtime
        self._place = place
        self._listening = Listening()
        self.target = self._listening.target
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None] | None] = set()
        try:
            started(self._run, "proxyless-grpc-tcp")
        except BaseException:
            self._listening.close()
            self._loop.close()
            raise

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._listening.close()
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_unix_server(self._taken, sock=self._listening.socket)
        await self._stopped.wait()
        server.close()
        tasks = [each for each in self._tasks if each is not None]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            if process_of(writer.get_extra_info("socket")) == self._process:
                await self._pass_on(reader, writer)
        except OSError as error:  # grpcio is told by the end of its connection
            self.wrong = str(error)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from .tcp import dial_async  # few programs need it

        host = self._place.host.decode("latin-1")
        other_reader, other_writer = await dial_async(self._runtime, self.route, host, self._place.port, None)
        self.wrong = ""
        ways = [
            self._loop.create_task(_carry(reader, other_writer)),
            self._loop.create_task(_carry(other_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ways:
                each.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            other_writer.close()

    def close(self) -> None:
        """End it with its connections, from any thread."""
        if self._process == os.getpid():
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stopped.set)


async def _carry(reader: asyncio.StreamReader, writer: Any) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


class Passages:
    """The channels over passages that a channel has needed, by cluster. `make`: one of grpcio's own to a target."""

    def __init__(self, runtime: Runtime, place: Place, make: Callable[[str], Any]) -> None:
        self._runtime = runtime
        self._place = place
        self._make = make
        self._held: dict[str, tuple[Passage, Any]] = {}

    def to(self, route: TcpRoute) -> Any:
        """The channel to the endpoints of that cluster."""
        found = self._held.get(route.cluster)
        if found is None:
            passage = Passage(self._runtime, self._place, route)
            found = self._held[route.cluster] = (passage, self._make(passage.target))
        found[0].route = route
        return found[1]

    def wrong(self, route: TcpRoute) -> str:
        """Why nobody there was reached."""
        held = self._held.get(route.cluster)
        return held[0].wrong if held is not None else ""

    def take(self) -> list[Any]:
        """The channels, which are to be closed by who takes them; the passages end."""
        held, self._held = self._held, {}
        for passage, _ in held.values():
            passage.close()
        return [native for _, native in held.values()]
