"""Runs the streams of load reports: one thread that knows when, one for each stream, over channels of grpcio's.

They start with the first cluster that asks for reports out of band and end with the mesh.
"""

from __future__ import annotations

from math import inf
from threading import Thread
from typing import Any
from weakref import ref

import grpc

from ...xds.model.own_channels import OWN_CHANNEL
from ...xds.model.values import Address
from ..attending import Attendant
from ..balancing.out_of_band import METHOD, LoadReports, LoadStream, request
from ..runtime import Runtime

LONGEST_REPORT = 64 * 1024


class LoadDriver(Attendant):
    """The streams of one runtime."""

    name = "proxyless-load"

    def __init__(self, runtime: ref[Runtime]) -> None:
        super().__init__(runtime)
        self._running: dict[LoadStream, Any] = {}

    def forked(self) -> None:
        super().forked()
        self._running = {}

    def end(self) -> None:
        for call in list(self._running.values()):
            call.cancel()

    def look(self, runtime: Runtime) -> float:
        """Begin what is due, give up what is silent or gone."""
        now, due = runtime.clock(), inf
        for name, state in list(runtime.states.items()):
            reports = state.reports
            if reports is None:
                continue
            if name not in runtime.plan.snapshot.clusters:
                reports.configure(None, ())
            for stream in reports.take_due(now):
                Thread(target=self._follow, args=(reports, stream), name="proxyless-load-report", daemon=True).start()
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
                OWN_CHANNEL,
                ("grpc.default_authority", authority),
                ("grpc.enable_http_proxy", 0),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_receive_message_length", LONGEST_REPORT),
            ]
            with grpc.insecure_channel(target_of(address), options=options) as channel:
                call: Any = channel.unary_stream(METHOD, None, None)(request(reports.period_s))
                self._running[stream] = call
                if self.over():  # `end` may have come before
                    call.cancel()
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
