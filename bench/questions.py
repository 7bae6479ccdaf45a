"""A question to an authorization service over gRPC, in the clear and by mTLS, on connections that are open.

Beside it the same question by grpcio to the same service, which is a process of its own; a check costs it a constant
answer. `us of CPU` is this process' own.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from proxyless._securing import MeshTls
from proxyless.governance.runtime import Runtime
from proxyless.governance.services.authorization import authorizer
from proxyless.governance.services.grpc import Services
from proxyless.governance.services.http import Connections
from proxyless.xds.identity.secrets import KeyPair
from proxyless.xds.model.authorization_service import CheckAnswer, CheckQuery, Party
from proxyless.xds.model.cluster import HttpProtocol, TransportSocket
from proxyless.xds.model.filters import GrpcTarget
from proxyless.xds.model.tls import CommonTls, SanMatcher, SecretName, UpstreamTls, Validation
from proxyless.xds.wire.authorization_service import encode_query
from tests.support.authorizers import METHOD, GrpcAuthorizer
from tests.support.certificates import Authority, HeldSecrets, authority, spiffe, write
from tests.support.model import cluster, snapshot

from .backend import Backend
from .report import Table
from .stats import median, percentile, ratio
from .turns import taking_turns

HEADERS = ((b"host", b"shop"), (b"accept", b"*/*"), (b"user-agent", b"python-httpx/0.28.1"), (b"x-request-id", b"1"))
QUERY = CheckQuery(
    Party("10.0.0.1", principal=spiffe("caller")),
    Party("10.0.0.2", principal=spiffe("app")),
    1.5,
    "7",
    b"GET",
    b"/items",
    b"shop",
    b"http",
    "HTTP/1.1",
    0,
    HEADERS,
)
LONG_S = 30.0
Asks = Callable[[], object]


def run(*, smoke: bool) -> list[Table]:
    """A row for each way to ask; the ratios are to grpcio in the clear."""
    rounds, calls = (2, 5) if smoke else (9, 200)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ca = authority()
        (folder / "root.pem").write_bytes(ca.pem)
        write(ca.leaf(spiffe("authz"), dns=("authz.internal",)), folder, "authz")  # grpcio wants a name
        caller = ca.workload("caller")
        ways: dict[str, Asks] = {}
        for kind in ("plain", "mtls"):
            port = stack.enter_context(Backend("bench.questions", kind, str(folder))).port
            for name, ask in {**_grpcio(kind, port, ca, caller, stack), **_ours(kind, port, ca, caller, stack)}.items():
                ways[f"{name}, {'by mTLS' if kind == 'mtls' else 'in the clear'}"] = ask
        return [_table(ways, rounds, calls)]


def _table(ways: dict[str, Asks], rounds: int, calls: int) -> Table:
    found = taking_turns({name: partial(_asked, ask, calls) for name, ask in ways.items()}, rounds)
    base = [took for took, _ in found[next(iter(ways))]]
    table = Table("a question to an authorization service", ("way", "median us", "p99 us", "us of CPU", "over grpcio"))
    for name, taken in found.items():
        times = [took for took, _ in taken]
        flat = [value for each in times for value in each]
        spent = 1e6 * sum(cpu for _, cpu in taken) / (rounds * calls)
        table.rows.append((name, 1e6 * median(flat), 1e6 * percentile(flat, 99), spent, ratio(times, base)))
    return table


def _asked(ask: Asks, calls: int) -> tuple[list[float], float]:
    """Seconds of each call, and of CPU of all."""
    took = []
    began = time.process_time()
    for _ in range(calls):
        started = time.perf_counter()
        ask()
        took.append(time.perf_counter() - started)
    return took, time.process_time() - began


def _grpcio(kind: str, port: int, ca: Authority, caller: KeyPair, stack: ExitStack) -> dict[str, Asks]:
    where = f"127.0.0.1:{port}"
    if kind == "plain":
        channel = grpc.insecure_channel(where)
    else:
        credentials = grpc.ssl_channel_credentials(ca.pem, caller.key, caller.chain)
        channel = grpc.secure_channel(where, credentials, (("grpc.ssl_target_name_override", "authz.internal"),))
    stack.callback(channel.close)
    call: Any = channel.unary_unary(METHOD, None, None)
    data = encode_query(QUERY)
    return {"grpcio": lambda: call(data, timeout=LONG_S)}


def _ours(kind: str, port: int, ca: Authority, caller: KeyPair, stack: ExitStack) -> dict[str, Asks]:
    """By a thread, and by a task on an event loop that waits for nothing else."""
    runtime = Runtime()
    common = CommonTls(
        SecretName("default"),
        Validation(secret=SecretName("ROOTCA"), sans=(SanMatcher("exact", spiffe("authz")),)),
        ("istio", "h2"),
        maximum="TLSv1_3",
    )
    socket = TransportSocket("tls", UpstreamTls(common, sni="authz")) if kind == "mtls" else TransportSocket()
    runtime.tls = MeshTls(lambda: HeldSecrets(caller, ca.roots))
    made = cluster("authz", f"127.0.0.1:{port}", transport_socket=socket, http=HttpProtocol(protocol="http2"))
    runtime.publish(snapshot(clusters=[made]))
    services = Services(runtime)
    stack.callback(services.close)
    service = authorizer(services, Connections(services.links), GrpcTarget("authz"))
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)

    def checked(found: object) -> None:
        if found != CheckAnswer("ok"):
            raise RuntimeError(str(found))

    return {
        "proxyless, a thread": lambda: checked(service.ask(QUERY, LONG_S)),
        "proxyless, a task": lambda: checked(loop.run_until_complete(service.ask_async(QUERY, LONG_S))),
    }


def _serve(kind: str, folder: Path) -> None:
    """The service as a process: `python -m bench.questions plain|mtls FOLDER`."""
    pair, roots = None, b""
    if kind == "mtls":
        chain, key = (folder / f"authz-{each}.pem" for each in ("cert", "key"))
        pair, roots = KeyPair(chain.read_bytes(), key.read_bytes()), (folder / "root.pem").read_bytes()
    with GrpcAuthorizer(pair, roots, "127.0.0.1") as service:
        print(service.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
