"""Authorization services in a test's hand, over gRPC and over HTTP: they answer what they are told to, and remember
what they were asked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import json_format

from proxyless.xds.identity.secrets import KeyPair
from proxyless.xds.wire.schema import pool
from proxyless.xds.wire.schema import types as pb
from tests.support.in_thread import in_thread

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

    def __init__(self, pair: KeyPair | None = None, roots: bytes = b"", host: str = "127.0.0.1") -> None:
        """`pair`: its certificate; clients must show one of `roots`. None for plaintext."""
        self.answer: Any = OK
        self.asked: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self.callers: list[str] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        if pair is None:
            self.port = self._server.add_insecure_port(f"{host}:0")
        else:
            own = grpc.ssl_server_credentials([(pair.key, pair.chain)], roots, require_client_auth=True)
            self.port = self._server.add_secure_port(f"{host}:0", own)

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
            self.callers += [each.decode() for each in context.peer_identities() or ()]
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


class _Server(ThreadingHTTPServer):
    def __init__(self, context: ssl.SSLContext | None, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._context = context

    def get_request(self) -> Any:
        sock, address = super().get_request()
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return sock, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address


class HttpAuthorizer:
    """`with HttpAuthorizer() as service: service.answer = (200, (), b"")`, or a function of what was heard."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
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

        self._server = _Server(context, ("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._running = in_thread(self._server)

    def take(self) -> list[Heard]:
        """What it was asked since the last time."""
        with self._lock:
            taken, self.asked = self.asked, []
        return taken

    def __enter__(self) -> Self:
        self._running.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.__exit__(kind, error, trace)
