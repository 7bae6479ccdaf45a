"""Authorization services in a test's hand, over gRPC and over HTTP: they answer what they are told to, and remember
what they were asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import json_format

from proxyless.xds.wire.schema import pool
from proxyless.xds.wire.schema import types as pb

METHOD = "/envoy.service.auth.v3.Authorization/Check"
Query = pb.auth_v3.CheckRequest
Answer = pb.auth_v3.CheckResponse


def answer(**fields: Any) -> Any:
    """A CheckResponse from its JSON."""
    return json_format.ParseDict(fields, Answer(), descriptor_pool=pool())


OK = answer(status={"code": 0})
DENIED = answer(status={"code": 7})


class GrpcAuthorizer(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """`with GrpcAuthorizer() as service: service.answer = ...`: a function of the request, or an answer."""

    def __init__(self) -> None:
        self.answer: Any = OK
        self.asked: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method != METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._check, Query.FromString, lambda answer: answer.SerializeToString()
        )

    def _check(self, query: Any, context: Any) -> Any:
        with self._lock:
            self.asked.append(query)
            self.metadata.append(dict(context.invocation_metadata()))
        said = self.answer(query) if callable(self.answer) else self.answer
        if isinstance(said, grpc.StatusCode):
            context.abort(said, "asked for")
        return said

    def take(self) -> list[Any]:
        """What it was asked since the last time."""
        with self._lock:
            taken, self.asked = self.asked, []
        return taken

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(None)


Said = tuple[int, tuple[tuple[str, str], ...], bytes]
"""Status, headers, body."""
Heard = tuple[str, str, tuple[tuple[str, str], ...], bytes]
"""Method, path, headers in lower case and order of their names, body."""


class HttpAuthorizer:
    """`with HttpAuthorizer() as service: service.answer = (200, (), b"")`, or a function of what was heard."""

    def __init__(self) -> None:
        self.answer: Said | Callable[[Heard], Said] = (200, (), b"")
        self.asked: list[Heard] = []
        self._lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = tuple(sorted((name.lower(), value) for name, value in self.headers.items()))
                heard = (self.command, self.path, headers, body)
                with service._lock:
                    service.asked.append(heard)
                said = service.answer(heard) if callable(service.answer) else service.answer
                status, sent, content = said
                self.send_response_only(status)
                for name, value in sent:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = _serve  # noqa: N815

            def log_message(self, *args: Any) -> None:
                del args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def take(self) -> list[Heard]:
        """What it was asked since the last time."""
        with self._lock:
            taken, self.asked = self.asked, []
        return taken

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
