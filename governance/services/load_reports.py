"""Runs the streams of load reports: one thread that knows when, one for each stream, over channels of grpcio's.

They start with the first cluster that asks for reports out of band and end with the mesh.
"""

from __future__ import annotations

import threading
from math import inf
from typing import Any
from weakref import ref

import grpc

from ...xds.model.values import Address
from ..balancing.out_of_band import METHOD, LoadReports, LoadStream, request
from ..runtime import Runtime

LONGEST_REPORT = 64 * 1024


class LoadDriver:
    """The streams of one runtime. `wake` is called when there is something new to ask."""

    def __init__(self, runtime: ref[Runtime]) -> None:
        self._runtime = runtime
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._running: dict[LoadStream, Any] = {}
        self._closed = False

    def wake(self) -> None:
        """The clusters, or their endpoints, have changed."""
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="proxyless-load", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Listen to nobody any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def forked(self) -> None:
        """In a child: the threads and channels are the parent's."""
        self._changed = threading.Condition()
        self._thread = None
        self._running = {}

    def _run(self) -> None:
        while True:
            runtime = self._runtime()
            wait_s = 1.0
            if runtime is not None and not self._closed:
                wait_s = min(wait_s, self._look(runtime))
            over = runtime is None or self._closed
            del runtime  # a mesh that nobody has any more ends, and this thread with it
            if over:
                for call in list(self._running.values()):
                    call.cancel()
                return
            with self._changed:
                if not self._closed:
                    self._changed.wait(wait_s)

    def _look(self, runtime: Runtime) -> float:
        """Begin what is due, give up what is silent or gone; seconds until there is more to do."""
        now, due = runtime.clock(), inf
        for name, state in list(runtime.states.items()):
            reports = state.reports
            if reports is None:
                continue
            if name not in runtime.plan.snapshot.clusters:
                reports.configure(None, ())
            for stream in reports.take_due(now):
                threading.Thread(
                    target=self._follow, args=(reports, stream), name="proxyless-load-report", daemon=True
                ).start()
            due = min(due, reports.next_due())
        for stream, call in list(self._running.items()):
            if stream.gone or now >= stream.silent_at:
                call.cancel()
        return max(0.0, due - runtime.clock())

    def _follow(self, reports: LoadReports, stream: LoadStream) -> None:
        """One stream, to its end."""
        unknown = False
        config, host = reports.config, stream.host
        try:
            if config is None or host.must_be_secure:
                return
            address = host.endpoint.address
            if config.out_of_band_port and not address.unix:
                address = Address(address.host, config.out_of_band_port)
            authority = config.out_of_band_authority or host.endpoint.hostname or str(address)
            options = [
                ("grpc.default_authority", authority),
                ("grpc.enable_http_proxy", 0),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_receive_message_length", LONGEST_REPORT),
            ]
            with grpc.insecure_channel(target_of(address), options=options) as channel:
                call = channel.unary_stream(METHOD, None, None)(request(reports.period_s))
                self._running[stream] = call
                for message in call:
                    if not reports.heard(stream, message):
                        break
        except grpc.RpcError as error:
            unknown = error.code() is grpc.StatusCode.UNIMPLEMENTED
        finally:
            self._running.pop(stream, None)
            reports.ended(stream, unknown=unknown)
            with self._changed:
                self._changed.notify_all()


def target_of(address: Address) -> str:
    """What grpcio calls an address."""
    if address.unix:
        return f"unix-abstract:{address.host[1:]}" if address.host[0] == "@" else f"unix:{address.host}"
    return f"ipv6:{address}" if ":" in address.host else f"ipv4:{address}"
