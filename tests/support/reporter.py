"""A gRPC server that reports its load (xds.service.orca.v3.OpenRcaService)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from proxyless.governance.balancing.out_of_band import METHOD
from proxyless.xds.wire.schema import types as pb


class Reporter(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # it takes none at run time
    """Answers each stream with reports of this load, until it is told to stop; `streams` are the requests for one."""

    def __init__(self, load: float = 0.5) -> None:
        self.load = load
        self.streams: list[bytes] = []
        self.knows = True
        self.go_on = threading.Event()
        self.stop = threading.Event()
        self.server = grpc.server(ThreadPoolExecutor(8), handlers=[self])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def service(self, details: Any) -> Any:
        """What there is to call."""
        if details.method != METHOD or not self.knows:
            self.streams.append(b"")
            return None
        return grpc.unary_stream_rpc_method_handler(self._stream)

    def _stream(self, message: bytes, context: Any) -> Iterator[bytes]:
        self.streams.append(message)
        while not self.stop.is_set() and context.is_active():
            report = pb.xds_data_orca_v3.OrcaLoadReport(rps_fractional=10.0, cpu_utilization=self.load)
            yield report.SerializeToString()
            self.go_on.wait(0.02)

    def close(self) -> None:
        """End the streams and the server."""
        self.stop.set()
        self.server.stop(None).wait()
