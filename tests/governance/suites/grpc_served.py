"""Real gRPC servers, and a mesh of the embedded control plane's that leads to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from proxyless import Mesh, Node

SERVICE = "/shop.Recommend/"
WAIT_S = 30.0


class Served:
    """A server of bytes whose methods do what their names say, and which remembers what it was asked."""

    def __init__(self, name: str, port: int = 0, host: str = "127.0.0.1", credentials: Any = None) -> None:
        self.name = name
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.left: list[float] = []
        """What was left of the deadline of each that was asked."""
        self.failures = 0
        self.given_up = 0
        """Calls that were stuck until their end."""
        self.released = threading.Event()
        self.cancelled = threading.Event()
        self._lock = threading.Lock()
        self.server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        self.server.add_generic_rpc_handlers((_Handler(self),))
        where = f"{host}:{port}"
        self.port = (
            self.server.add_insecure_port(where)
            if credentials is None
            else self.server.add_secure_port(where, credentials)
        )

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.server.stop(0).wait(WAIT_S)

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """What was asked since the last time."""
        with self._lock:
            taken, self.asked = self.asked, []
            return taken

    def note(self, method: str, context: Any) -> None:
        """One call more."""
        with self._lock:
            self.asked.append((method, dict(context.invocation_metadata())))
            self.left.append(context.time_remaining())

    def stick(self, context: Any) -> None:
        """Say nothing, until nobody waits for it any more."""
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait(WAIT_S)
        with self._lock:
            self.given_up += 1
        context.abort(grpc.StatusCode.CANCELLED, "stuck")

    def fails(self) -> bool:
        """Whether this one fails, of those that were to."""
        with self._lock:
            if self.failures > 0:
                self.failures -= 1
                return True
            return False


_GenericRpcHandler: Any = grpc.GenericRpcHandler


class _Handler(_GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, served: Served) -> None:
        self._served = served

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method.rpartition("/")[2]
        found = getattr(self, method.lower(), None)
        if found is None:
            return None
        kind, work = found()

        def noted(request: Any, context: Any) -> Any:
            self._served.note(method, context)
            if method.endswith("Stuck") and self._served.fails():
                self._served.stick(context)
            if method.endswith("Flaky") and self._served.fails():
                if method == "LateFlaky":
                    self._served.released.wait(1.5)
                if "Tell" in method:
                    context.set_code(grpc.StatusCode.UNAVAILABLE)
                    context.set_details("told")
                    context.set_trailing_metadata((("why", "because"),))
                    return work(request, context)
                context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            return work(request, context)

        return kind(noted)

    def get(self) -> Any:
        return grpc.unary_unary_rpc_method_handler, lambda request, context: self._served.name.encode() + b":" + request

    flaky = refused = slow = lateflaky = getflaky = getstuck = tellflaky = get

    def large(self) -> Any:
        return grpc.unary_unary_rpc_method_handler, lambda request, context: request[:1] * 100_000

    def abort(self) -> Any:
        def work(request: bytes, context: Any) -> bytes:
            context.set_trailing_metadata((("why", "because"), ("raw-bin", b"\x00\xff")))
            context.abort(grpc.StatusCode.NOT_FOUND, f"no {request.decode()}: ü%")
            raise AssertionError

        return grpc.unary_unary_rpc_method_handler, work

    def metadata(self) -> Any:
        def work(request: bytes, context: Any) -> bytes:
            context.send_initial_metadata((("early", "yes"),))
            context.set_trailing_metadata((("late", "too"),))
            return request

        return grpc.unary_unary_rpc_method_handler, work

    def hang(self) -> Any:
        def work(request: bytes, context: Any) -> bytes:
            context.add_callback(self._served.cancelled.set)
            self._served.released.wait(WAIT_S)
            return request

        return grpc.unary_unary_rpc_method_handler, work

    def numbers(self) -> Any:
        def work(request: bytes, context: Any) -> Iterator[bytes]:
            del context
            for number in range(int(request)):
                yield b"%d" % number

        return grpc.unary_stream_rpc_method_handler, work

    numbersflaky = numbersstuck = numbers

    def half(self) -> Any:
        def work(request: bytes, context: Any) -> Iterator[bytes]:
            yield request
            context.abort(grpc.StatusCode.UNAVAILABLE, "only half")

        return grpc.unary_stream_rpc_method_handler, work

    def numbershang(self) -> Any:
        def work(request: bytes, context: Any) -> Iterator[bytes]:
            context.add_callback(self._served.cancelled.set)
            yield request
            self._served.released.wait(WAIT_S)

        return grpc.unary_stream_rpc_method_handler, work

    wait, numberswait = hang, numbershang

    def join(self) -> Any:
        return grpc.stream_unary_rpc_method_handler, lambda requests, context: b",".join(requests)

    joinflaky = joinstuck = jointellflaky = join

    def echo(self) -> Any:
        def work(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            del context
            yield from requests

        return grpc.stream_stream_rpc_method_handler, work

    echoflaky = echostuck = echo

    def echohang(self) -> Any:
        def work(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            yield from requests
            self._served.stick(context)

        return grpc.stream_stream_rpc_method_handler, work


ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}.example.com]
  ports: [{{number: 50051, name: {protocol}, protocol: {upper}}}]
  resolution: STATIC
  endpoints: [{endpoints}]
---
"""


def entry(name: str, ports: list[int], protocol: str = "grpc") -> str:
    """A host of the mesh with these ports of the loopback's for endpoints."""
    endpoints = ", ".join(f"{{address: 127.0.0.1, ports: {{{protocol}: {each}}}}}" for each in ports)
    return ENTRY.format(name=name, protocol=protocol, upper=protocol.upper(), endpoints=endpoints)


@contextmanager
def meshed(folder: Path, text: str, **node: Any) -> Iterator[Mesh]:
    """A mesh of that configuration."""
    (folder / "mesh.yaml").write_text(text)
    with Mesh.from_config(
        folder, node=Node(app="me", namespace="shop", ip="127.0.0.9", **node), registry=False
    ) as made:
        made.wait_ready(20)
        yield made


def code_of(call: Callable[[], Any]) -> tuple[str, str]:
    """The status and the text that a call fails with."""
    try:
        call()
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code().name, failed.details()
    raise AssertionError("it did not fail")
