"""The mesh's mTLS beside plain TLS with certificates on both sides: new connections, and calls on one that is open.

httpx does both, with an `ssl.SSLContext` of its own or governed (no metrics); servers are processes of their own:
plain asyncio, and asyncio with `proxyless.tls.server_context` on the recorded STRICT chain. TLS 1.3 in all of them.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
import time
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx

import proxyless
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.tls import CommonTls, SanMatcher, SecretName, UpstreamTls, Validation
from tests.support.certificates import authority, spiffe, write
from tests.support.model import cluster, route, snapshot, table, vhost

from .backend import ANSWER, Answering, Backend
from .configuration import RECORDED
from .report import Table
from .stats import median, percentile, ratio
from .turns import taking_turns_async

RESUMED = b"x-resumed"
HTTPX = "httpx with an ordinary context"
NEW, OPEN = "new connections", "one open connection"
ALPN = ("istio-http/1.1", "istio", "http/1.1")


def run(*, smoke: bool) -> list[Table]:
    """A table each of new connections and of calls on open ones, for sync and async."""
    rounds, calls = (2, 3) if smoke else (9, 20)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _identities(folder)
        plain = stack.enter_context(Backend("bench.mtls", "plain", str(folder))).port
        ours = stack.enter_context(Backend("bench.mtls", "mesh", str(folder))).port
        mesh = stack.enter_context(_mesh(folder, {"plain": plain, "mesh": ours}))
        urls = {
            HTTPX: f"https://127.0.0.1:{plain}/",
            "A/A": f"https://127.0.0.1:{plain}/",
            "governed, each handshake in full": "http://plain-full/",
            "governed, sessions resumed": "http://plain-resumed/",
            "httpx to a proxyless server": f"https://127.0.0.1:{ours}/",
            "governed to a proxyless server, in full": "http://mesh-full/",
            "governed to a proxyless server, resumed": "http://mesh-resumed/",
        }
        context = _context(folder, ssl.PROTOCOL_TLS_CLIENT, "caller")
        tables = []
        for what, each in ((NEW, calls), (OPEN, 5 * calls)):
            tables += [
                asyncio.run(_measured(kind, what, urls, mesh, context, rounds, each)) for kind in (_Sync, _Async)
            ]
    return tables


def _identities(folder: Path) -> None:
    ca = authority()
    (folder / "root.pem").write_bytes(ca.pem)
    write(ca.workload("caller"), folder, "caller")
    write(ca.workload("ledger", "bank"), folder, "ledger")


def _context(folder: Path, side: int, name: str) -> ssl.SSLContext:
    """An ordinary context that shows a certificate and wants one."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "root.pem")
    context.load_cert_chain(*_files(folder, name))
    return context


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}-cert.pem", folder / f"{name}-key.pem"


def _identity(folder: Path, name: str) -> proxyless.Identity:
    return proxyless.Identity.from_files(*_files(folder, name), folder / "root.pem")


def _mesh(folder: Path, ports: dict[str, int]) -> proxyless.Mesh:
    """Services `SERVER-full` and `SERVER-resumed`: istiod's TLS context, with and without kept sessions."""
    clusters, hosts = [], []
    common = CommonTls(
        SecretName("default"),
        Validation(secret=SecretName("ROOTCA"), sans=(SanMatcher("exact", spiffe("ledger", "bank")),)),
        ALPN,
        minimum="TLSv1_2",
        maximum="TLSv1_3",
    )
    for server, port in ports.items():
        for kind, most in (("full", 0), ("resumed", 1)):
            name = f"{server}-{kind}"
            socket = TransportSocket("tls", UpstreamTls(common, sni="ledger", max_session_keys=most))
            clusters.append(cluster(name, f"127.0.0.1:{port}", transport_socket=socket))
            hosts.append(vhost(route("/", name), domains=(name,), name=name))
    made = snapshot(tables=[table(*hosts)], clusters=clusters)
    return proxyless.Mesh._from_snapshot(made, identity=_identity(folder, "caller"))


Found = dict[str, list[tuple[list[float], int]]]
"""By variant and round: seconds of each call, and how many of them were on a resumed session."""


class _Caller(Protocol):
    """A client, whether it is called by threads or by tasks."""

    async def get(self, url: str) -> httpx.Response: ...

    async def close_idle(self) -> None:
        """So that the next call needs a connection."""


class _Sync:
    """By a thread: what it does takes the event loop's time, which has nothing else to do."""

    kind = "sync"

    def __init__(self, mesh: proxyless.Mesh | None, context: ssl.SSLContext, stack: AsyncExitStack) -> None:
        own = proxyless.httpx.Transport(mesh) if mesh is not None else None
        self._client = stack.enter_context(httpx.Client(transport=own, verify=context, trust_env=False))

    async def get(self, url: str) -> httpx.Response:
        return self._client.get(url)

    async def close_idle(self) -> None:
        if (pool := _pool(self._client)) is not None:
            pool.close()


class _Async:
    """By a task."""

    kind = "async"

    def __init__(self, mesh: proxyless.Mesh | None, context: ssl.SSLContext, stack: AsyncExitStack) -> None:
        own = proxyless.httpx.AsyncTransport(mesh) if mesh is not None else None
        self._client = httpx.AsyncClient(transport=own, verify=context, trust_env=False)
        stack.push_async_callback(self._client.aclose)

    async def get(self, url: str) -> httpx.Response:
        return await self._client.get(url)

    async def close_idle(self) -> None:
        if (pool := _pool(self._client)) is not None:
            await pool.aclose()
        await asyncio.sleep(0.01)


async def _measured(
    kind: type[_Sync | _Async],
    what: str,
    urls: dict[str, str],
    mesh: proxyless.Mesh,
    context: ssl.SSLContext,
    rounds: int,
    calls: int,
) -> Table:
    async with AsyncExitStack() as stack:
        clients: dict[str, _Caller] = {
            name: kind(mesh if url.startswith("http:") else None, context, stack) for name, url in urls.items()
        }

        async def called(name: str) -> tuple[list[float], int]:
            took, resumed = [], 0
            for _ in range(calls):
                started = time.perf_counter()
                response = await clients[name].get(urls[name])
                took.append(time.perf_counter() - started)
                resumed += _resumed(response)
                if what == NEW:  # closing is not part of the figure
                    mesh.runtime.close_idle()
                    await clients[name].close_idle()
            return took, resumed

        found = await taking_turns_async({name: partial(called, name) for name in urls}, rounds)
    mesh.runtime.close_idle()
    await asyncio.sleep(0.1)
    return _table(f"mTLS, {kind.kind}, {what}", found, rounds * calls)


def _pool(client: httpx.Client | httpx.AsyncClient) -> Any:
    return getattr(client._transport, "_pool", None)


def _resumed(response: httpx.Response) -> bool:
    if response.status_code != 200:
        raise RuntimeError(f"{response.url}: {response.status_code} {response.text}")
    return RESUMED.decode() in response.headers


def _table(title: str, found: Found, calls: int) -> Table:
    result = Table(title, ("variant", "median ms", "p99 ms", "over httpx", "on a resumed session, %"))
    base = [took for took, _ in found[HTTPX]]
    for name, called in found.items():
        rounds = [took for took, _ in called]
        all_of_them = [value for each in rounds for value in each]
        over = ratio(rounds, base)
        share = round(100 * sum(resumed for _, resumed in called) / calls)
        result.rows.append((name, 1000 * median(all_of_them), 1000 * percentile(all_of_them, 99), over, share))
    return result


class _Telling(Answering):
    """Says whether the session was resumed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if transport.get_extra_info("ssl_object").session_reused:
            head, _, body = ANSWER.partition(b"\r\n\r\n")
            self.answer = head + b"\r\n" + RESUMED + b": 1\r\n\r\n" + body


async def _serve(which: str, folder: Path) -> None:
    """A server process: `python -m bench.mtls plain|mesh FOLDER`."""
    if which == "mesh":
        recorded = Path(RECORDED) / "shop" / "xds" / "ledger"
        mesh = proxyless.Mesh.from_recorded(recorded, registry=False, identity=_identity(folder, "ledger"))
        context: ssl.SSLContext = proxyless.tls.server_context(mesh, port=8080)
    else:
        context = _context(folder, ssl.PROTOCOL_TLS_SERVER, "ledger")
    server = await asyncio.get_running_loop().create_server(_Telling, "127.0.0.1", 0, ssl=context, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
