"""A rate limit service in a test's hand: it answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc

from proxyless.xds.identity.secrets import KeyPair
from proxyless.xds.wire.rate_limit_service import METHOD
from proxyless.xds.wire.schema import types as pb

Query = pb.service_ratelimit_v3.RateLimitRequest
Answer = pb.service_ratelimit_v3.RateLimitResponse
Asked = tuple[str, tuple[tuple[tuple[tuple[str, str], ...], int | None, bool], ...]]
"""The domain, and of each descriptor its entries, what it counts for, and whether that is given back."""

OK: Any = Answer.FromString(b"\x08\x01")


class RateLimits(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """`with RateLimits() as service: service.answer = ...`"""

    def __init__(self, pair: KeyPair | None = None, roots: bytes = b"") -> None:
        """`pair`: its certificate; clients must show one of `roots`. None for plaintext."""
        self.answer: Callable[[Any], Any] = lambda query: OK
        self.asked: list[Asked] = []
        self.metadata: list[dict[str, str]] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        if pair is None:
            self.port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            own = grpc.ssl_server_credentials([(pair.key, pair.chain)], roots, require_client_auth=True)
            self.port = self._server.add_secure_port("127.0.0.1:0", own)

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method != METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(
            self._limit, Query.FromString, lambda answer: answer.SerializeToString()
        )

    def _limit(self, query: Any, context: Any) -> Any:
        with self._lock:
            self.asked.append(
                (
                    query.domain,
                    tuple(
                        (
                            tuple((entry.key, entry.value) for entry in each.entries),
                            each.hits_addend.value if each.HasField("hits_addend") else None,
                            each.is_negative_hits,
                        )
                        for each in query.descriptors
                    ),
                )
            )
            self.metadata.append(dict(context.invocation_metadata()))
        answer = self.answer(query)
        if isinstance(answer, grpc.StatusCode):
            context.abort(answer, "asked for")
        return answer

    def take(self) -> list[Asked]:
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
