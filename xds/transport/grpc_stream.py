"""ADS over grpcio: bytes both ways, credentials read anew for every stream."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import grpc

from ..identity.bootstrap import Bootstrap
from ..model.own_channels import OWN_CHANNEL
from .link import Ended, LinkError, Stream

log = logging.getLogger("proxyless.xds")

FORK_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"
SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
OPTIONS = (
    OWN_CHANNEL,
    # A large mesh's CDS is megabytes, and keepalive notices a connection that a network has swallowed.
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # A new channel is a new connection, also where another one to the same address is backing off.
    ("grpc.use_local_subchannel_pool", 1),
)


class GrpcLink:
    """Opens streams to the control plane of a bootstrap."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        refuse_unfit_process()
        self._bootstrap = bootstrap
        self._channel: grpc.Channel | None = None
        self._root: bytes | None = None

    @property
    def address(self) -> str:
        return self._bootstrap.address

    def open(self, *, delta: bool, on_bytes: Callable[[bytes], None], on_end: Callable[[Ended], None]) -> Stream:
        """A stream with the token as it is on disk now."""

        def ended(how: Ended) -> None:
            if how.status == "UNAVAILABLE":
                # It would go on trying by itself, and refuse streams unheard meanwhile: ours is the only backoff.
                self.close()
            on_end(how)

        method = SERVICE + ("DeltaAggregatedResources" if delta else "StreamAggregatedResources")
        call = self._connect().stream_stream(method, None, None)
        requests: SimpleQueue[bytes | None] = SimpleQueue()
        rendezvous = call(_until_none(requests), metadata=self._metadata())
        return _GrpcStream(requests, rendezvous, on_bytes, ended)

    def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _connect(self) -> grpc.Channel:
        bootstrap = self._bootstrap
        if not bootstrap.tls:
            if self._channel is None:
                self._channel = grpc.insecure_channel(bootstrap.address, OPTIONS)
            return self._channel
        root = _read(bootstrap.root_cert, "root certificate") if bootstrap.root_cert else None
        if root is not None and b"-----BEGIN CERTIFICATE-----" not in root:
            raise LinkError(f"the root certificate {bootstrap.root_cert} holds no certificate in PEM")
        if self._channel is None or root != self._root:
            # A new root needs a new channel; the old one may still carry nothing but an ended stream.
            self.close()
            self._root = root
            self._channel = grpc.secure_channel(bootstrap.address, grpc.ssl_channel_credentials(root), OPTIONS)
        return self._channel

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        bootstrap = self._bootstrap
        metadata = [("clusterid", bootstrap.cluster_id)] if bootstrap.cluster_id else []
        if bootstrap.token_file:
            token = _read(bootstrap.token_file, "token").decode("latin-1").strip()
            if not token:
                raise LinkError(f"the token file {bootstrap.token_file} is empty")
            if not (token.isascii() and token.isprintable()):
                raise LinkError(f"the token file {bootstrap.token_file} holds something that is no token")
            metadata.append(("authorization", f"Bearer {token}"))
        return tuple(metadata)


def _read(path: str, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LinkError(f"cannot read the {what} {path}: {error.strerror}") from error


def _until_none(requests: SimpleQueue[bytes | None]) -> Iterator[bytes]:
    while (raw := requests.get()) is not None:
        yield raw


def refuse_unfit_process() -> None:
    """Name what makes grpc hang in this process, before it does; make it fit for gevent where that is in charge.

    Raises:
        LinkError: a fork would hang.
    """
    if supports_forks(os.environ):
        raise LinkError(
            "GRPC_ENABLE_FORK_SUPPORT=1 makes forked children hang: unset it (children start a stream of their own)"
        )
    fit_for_gevent()


def fit_for_gevent() -> None:
    """Where gevent is in charge grpc waits by its means from now on, and not for ever."""
    if "gevent" in sys.modules:
        from gevent import monkey

        if monkey.is_module_patched("threading"):
            import grpc.experimental.gevent

            grpc.experimental.gevent.init_gevent()


class _GrpcStream:
    """One stream; a thread of its own does nothing but hand on what comes."""

    def __init__(
        self,
        requests: SimpleQueue[bytes | None],
        rendezvous: Any,
        on_bytes: Callable[[bytes], None],
        on_end: Callable[[Ended], None],
    ) -> None:
        self._requests = requests
        self._rendezvous = rendezvous
        self._closed = False
        self._on_bytes = on_bytes
        self._on_end = on_end
        Thread(target=self._read, name="proxyless-ads-reader", daemon=True).start()

    def send(self, raw: bytes) -> None:
        self._requests.put(raw)

    def close(self) -> None:
        self._closed = True
        self._requests.put(None)
        self._rendezvous.cancel()

    def _read(self) -> None:
        try:
            for raw in self._rendezvous:
                self._on_bytes(raw)
            ended = Ended("the control plane closed the stream", "OK", planned=True)
        except grpc.RpcError as error:
            ended = describe(error)
        self._requests.put(None)
        if not self._closed:
            self._on_end(ended)


UNAVAILABLE = {
    "WRONG_VERSION_NUMBER": "there is no TLS at this address of the control plane (xds:// means plaintext)",
    "Hostname Verification Check failed": "the control plane's certificate is not for this host name",
    "CERTIFICATE_VERIFY_FAILED": "the control plane's certificate does not verify against the root certificate",
    "handshake": "no TLS connection to the control plane comes about",
}
"""What grpc says when a connection fails, and what it means; the first that is found counts."""


def describe(error: grpc.RpcError) -> Ended:
    """Why a stream ended, in words that help."""
    call: Any = error
    code = call.code().name if hasattr(call, "code") else "UNKNOWN"
    details = call.details() or "" if hasattr(call, "details") else str(error)
    hint = {
        "UNAUTHENTICATED": "the control plane refused the token",
        "PERMISSION_DENIED": "the control plane refused this workload",
        "UNIMPLEMENTED": "this server does not speak ADS",
    }.get(code, "")
    if code == "UNAVAILABLE":
        hint = next((hint for sign, hint in UNAVAILABLE.items() if sign in details), hint)
    planned = code == "UNAVAILABLE" and "max connection age" in details.lower()
    return Ended(f"{hint}: {details}" if hint else details or code, code, planned)


def supports_forks(environ: Mapping[str, str]) -> bool:
    """Whether grpcio has been told to look after itself in forked children."""
    return environ.get(FORK_SUPPORT, "").lower() in ("1", "true")
