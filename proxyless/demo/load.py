"""The load generator, a process of its own: a plain httpx client that knows nothing of a mesh.

It is told what to do in JSON lines on standard input, and answers in JSON lines on standard output:
`{"id": 1, "do": "burst", "method": "GET", "path": "/items", "count": 100, "together": 8, "headers": {}}` is answered
when it is over. `steady` calls until `stop`, which tells what it came to; calls under way then are not counted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import httpx

PATIENCE_S = 30.0


@dataclass(slots=True)
class Tally:
    """What calls came to. `limited`: answers with the header that a rate limit adds."""

    statuses: Counter[str] = field(default_factory=Counter)
    servers: Counter[str] = field(default_factory=Counter)
    limited: int = 0
    began: float = field(default_factory=time.monotonic)

    def document(self) -> dict[str, Any]:
        """The answer's part."""
        return {
            "statuses": dict(self.statuses),
            "servers": dict(self.servers),
            "limited": self.limited,
            "seconds": time.monotonic() - self.began,
        }


class Generator:
    """Calls one base URL."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._steady: asyncio.Task[None] | None = None
        self._tally = Tally()

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Does what a line says; the answer."""
        what = order["do"]
        if what == "burst":
            return await self._burst(order)
        if what == "steady":
            await self._end()
            self._tally = Tally()
            self._steady = asyncio.create_task(self._keep_calling(order))
            return {}
        await self._end()
        return self._tally.document()

    async def _burst(self, order: dict[str, Any]) -> dict[str, Any]:
        tally = Tally()
        left = iter(range(order["count"]))

        async def worker() -> None:
            for _ in left:
                await self._call(order, tally)

        await asyncio.gather(*(worker() for _ in range(order["together"])))
        return tally.document()

    async def _keep_calling(self, order: dict[str, Any]) -> None:
        """`together` callers, each pausing between its calls."""

        async def worker() -> None:
            while True:
                await self._call(order, self._tally)
                await asyncio.sleep(order["pause"])

        await asyncio.gather(*(worker() for _ in range(order["together"])))

    async def _end(self) -> None:
        steady, self._steady = self._steady, None
        if steady is not None:
            steady.cancel()
            with suppress(asyncio.CancelledError):
                await steady

    async def _call(self, order: dict[str, Any], tally: Tally) -> None:
        try:
            answer = await self._client.request(order["method"], order["path"], headers=order.get("headers"))
        except httpx.HTTPError as error:
            tally.statuses[type(error).__name__] += 1
            return
        tally.statuses[str(answer.status_code)] += 1
        if "x-served-by" in answer.headers:
            tally.servers[answer.headers["x-served-by"]] += 1
        if "x-local-rate-limit" in answer.headers:
            tally.limited += 1


async def main(base: str) -> None:
    """Obey until standard input ends."""
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, line)
        loop.call_soon_threadsafe(orders.put_nowait, None)

    Thread(target=read, name="orders", daemon=True).start()
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=base, timeout=PATIENCE_S, limits=limits, trust_env=False) as client:
        generator = Generator(client)
        under_way: set[asyncio.Task[None]] = set()

        async def answer(order: dict[str, Any]) -> None:
            sys.stdout.write(json.dumps({"id": order["id"], **await generator.obey(order)}) + "\n")
            sys.stdout.flush()

        while (line := await orders.get()) is not None:
            task = asyncio.create_task(answer(json.loads(line)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
