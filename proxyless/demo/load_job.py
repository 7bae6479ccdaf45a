"""Load on a cluster, a Job's program: `python -m proxyless.demo.load_job http://storefront --path / --seconds 300`.

A member of the mesh like the shop itself. What the calls came to is one line of JSON at the end. Exit status: 0 some
were answered, 1 none was.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import logging
import signal
import sys
from collections import Counter
from contextlib import suppress

import httpx

from ..httpx import AsyncTransport
from ..mesh import Mesh

PATIENCE_S = 30.0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="proxyless.demo.load_job", description="calls the storefront for a while")
    parser.add_argument("base", metavar="URL")
    parser.add_argument("--path", action="append", dest="paths", required=True, help="called in turn; once for each")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--together", type=int, default=2, help="how many callers")
    parser.add_argument("--pause", type=float, default=0.2, metavar="SECONDS", help="of each, between its calls")
    return parser.parse_args(arguments)


async def load(client: httpx.AsyncClient, options: argparse.Namespace, ended: asyncio.Event) -> Counter[str]:
    """Calls until the time is up or `ended` is set; the statuses, and the names of what failed."""
    tally: Counter[str] = Counter()

    async def caller(number: int) -> None:
        for path in itertools.islice(itertools.cycle(options.paths), number, None):
            try:
                tally[str((await client.get(path)).status_code)] += 1
            except httpx.HTTPError as error:
                tally[type(error).__name__] += 1
            await asyncio.sleep(options.pause)

    callers = [asyncio.create_task(caller(number)) for number in range(options.together)]
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), options.seconds)
    for each in callers:
        each.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    return tally


async def main(options: argparse.Namespace) -> int:
    """The exit status."""
    ended = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    with Mesh.from_env() as mesh:
        transport = AsyncTransport(mesh)
        async with httpx.AsyncClient(transport=transport, base_url=options.base, timeout=PATIENCE_S) as client:
            tally = await load(client, options, ended)
    sys.stdout.write(json.dumps({"statuses": dict(sorted(tally.items()))}) + "\n")
    return 0 if any(each.isdecimal() for each in tally) else 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.exit(asyncio.run(main(parse())))
