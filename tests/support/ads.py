"""A scripted ADS server over real grpc: says what a test tells it to say, and keeps what it was asked.

State of the world and delta; wildcard types are answered in full, names one by one. Tests change `resources` and call
`push`, break streams, refuse tokens or send bytes that are no response at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeAlias

import grpc

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.schema import types as pb
from tests.support.waiting import wait_for

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
WILDCARDS = (ResourceType.CLUSTER.value, ResourceType.LISTENER.value, ResourceType.NAMES.value)

Resources = Mapping[str, Mapping[str, Any]]
"""Type URL -> name -> message (or raw bytes)."""


Names: TypeAlias = set[str]
"""Of resources (`set` is a method of the server)."""


class Stream:
    """One stream: what came on it, and a queue of what goes out."""

    def __init__(self, delta: bool, metadata: Mapping[str, str]) -> None:
        self.delta = delta
        self.metadata = metadata
        self.requests: list[Any] = []
        self.out: SimpleQueue[bytes | Exception | None] = SimpleQueue()
        self.names: dict[str, set[str]] = {}
        self.nonce = 0
        self.open = True

    def acked(self, type_url: str) -> str:
        """The version that the client accepted last."""
        for request in reversed(self.requests):
            if request.type_url == type_url and not request.HasField("error_detail"):
                return str(getattr(request, "version_info", "") or request.response_nonce)
        return ""

    def errors(self, type_url: str) -> list[str]:
        """What the client refused, in its words."""
        return [
            each.error_detail.message
            for each in self.requests
            if each.type_url == type_url and each.HasField("error_detail")
        ]


class AdsServer:
    """Serves on a free loopback port, with TLS where a key and certificate are given."""

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        tls: tuple[bytes, bytes] | None = None,
        token: str | None = None,
        port: int = 0,
        automatic: bool = True,
    ) -> None:
        self.resources: dict[str, dict[str, Any]] = {k: dict(v) for k, v in (resources or {}).items()}
        self.streams: list[Stream] = []
        self.token = token
        self.version = 1
        self.automatic = automatic
        self._lock = Lock()
        self._server = grpc.server(ThreadPoolExecutor(32), options=(("grpc.so_reuseport", 0),))
        handlers = {
            "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(self._sotw),
            "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(self._delta),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        if tls is None:
            self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            credentials = grpc.ssl_server_credentials([tls])
            self.port = self._server.add_secure_port(f"127.0.0.1:{port}", credentials)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all streams and give the port back."""
        for stream in self.streams:
            stream.out.put(None)
        self._server.stop(0.2).wait()

    def stream(self, index: int = -1, timeout_s: float = 10.0) -> Stream:
        """A stream that a client has opened."""
        wait_for(lambda: len(self.streams) > (index if index >= 0 else 0), timeout_s)
        return self.streams[index]

    def set(self, type_: ResourceType, name: str, message: Any) -> None:
        """Change a resource; `push` tells the clients."""
        self.resources.setdefault(type_.value, {})[name] = message

    def remove(self, type_: ResourceType, name: str) -> None:
        """Take a resource away; `push` tells the clients."""
        del self.resources[type_.value][name]

    def push(self, type_: ResourceType, *names: str) -> None:
        """Send a type again to every open stream; with names, only those (a partial response)."""
        with self._lock:
            self.version += 1
        for stream in [each for each in self.streams if each.open]:
            self._answer(stream, type_.value, set(names) or None)

    def send(self, raw: bytes) -> None:
        """Any bytes, to every open stream."""
        for stream in [each for each in self.streams if each.open]:
            stream.out.put(raw)

    def end(self, error: Exception | None = None) -> None:
        """End every open stream: in good order, or with an error (grpc.StatusCode in its arguments)."""
        for stream in [each for each in self.streams if each.open]:
            stream.out.put(error)

    # -- streams -------------------------------------------------------------------------------------------------

    def _sotw(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from self._serve(requests, context, delta=False)

    def _delta(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from self._serve(requests, context, delta=True)

    def _serve(self, requests: Iterator[bytes], context: grpc.ServicerContext, *, delta: bool) -> Iterator[bytes]:
        metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        if self.token is not None and metadata.get("authorization") != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "request authentication failure")
        stream = Stream(delta, metadata)
        self.streams.append(stream)
        self._server_thread(requests, stream)
        try:
            while context.is_active():
                try:
                    raw = stream.out.get(timeout=0.1)
                except Empty:
                    continue
                if raw is None:
                    return
                if isinstance(raw, Exception):
                    context.abort(*raw.args)
                else:
                    yield raw
        finally:
            stream.open = False

    def _server_thread(self, requests: Iterator[bytes], stream: Stream) -> None:
        from threading import Thread

        def read() -> None:
            kind = pb.discovery_v3.DeltaDiscoveryRequest if stream.delta else pb.discovery_v3.DiscoveryRequest
            try:
                for raw in requests:
                    request = kind.FromString(raw)
                    stream.requests.append(request)
                    if self.automatic:
                        self._asked(stream, request)
            except grpc.RpcError:
                pass
            except Exception:  # a cancelled stream ends like this
                pass
            stream.open = False

        Thread(target=read, daemon=True).start()

    def _asked(self, stream: Stream, request: Any) -> None:
        known = stream.names.get(request.type_url)
        if stream.delta:
            new = set(request.resource_names_subscribe) - (known or set())
            stream.names[request.type_url] = (known or set()) | new
            stream.names[request.type_url] -= set(request.resource_names_unsubscribe)
            if known is None or new:
                self._answer(stream, request.type_url, new if request.type_url not in WILDCARDS else None)
            return
        names = set(request.resource_names)
        if known and not names and request.type_url not in WILDCARDS:
            del stream.names[request.type_url]
            return
        new = names - (known or set())
        if not request.HasField("error_detail"):
            stream.names[request.type_url] = names
        if known is None or (new and not request.HasField("error_detail")):
            self._answer(stream, request.type_url, None)

    def _answer(self, stream: Stream, type_url: str, only: Names | None) -> None:
        if type_url not in stream.names:
            return
        held = self.resources.get(type_url, {})
        wanted = set(held) if type_url in WILDCARDS else stream.names[type_url] & set(held)
        if only is not None:
            wanted = (only & set(held)) if type_url in WILDCARDS else only & wanted
        stream.nonce += 1
        version, nonce = str(self.version), f"n{len(self.streams)}.{stream.nonce}"
        packed = {name: packed_any(type_url, held[name]) for name in sorted(wanted)}
        if stream.delta:
            gone = (only or (set() if type_url in WILDCARDS else stream.names[type_url])) - set(held)
            stream.out.put(
                pb.discovery_v3.DeltaDiscoveryResponse(
                    type_url=type_url,
                    system_version_info=version,
                    nonce=nonce,
                    resources=[
                        pb.discovery_v3.Resource(name=name, version=version, resource=each)
                        for name, each in packed.items()
                    ],
                    removed_resources=sorted(gone),
                ).SerializeToString()
            )
            return
        stream.out.put(
            pb.discovery_v3.DiscoveryResponse(
                type_url=type_url, version_info=version, nonce=nonce, resources=list(packed.values())
            ).SerializeToString()
        )


def packed_any(type_url: str, message: Any) -> Any:
    """A message, or bytes that claim to be one, as an Any."""
    raw = message if isinstance(message, bytes) else message.SerializeToString()
    return pb.google_protobuf.Any(type_url=type_url, value=raw)


def recorded_resources(folder: Any) -> dict[str, dict[str, Any]]:
    """The resources of a recorded state-of-the-world stream, last version of each."""
    from pathlib import Path

    from proxyless.xds.wire import envelope

    found: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(folder).glob("*.pb")):
        response = envelope.read_response(path.read_bytes())
        if response.type is None:
            continue
        held = {} if response.type.is_wildcard else found.get(response.type_url, {})
        held.update({each.name: each.raw for each in response.resources})
        found[response.type_url] = held
    return found
