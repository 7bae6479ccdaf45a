"""The backend of the gRPC figures: a server in threads, in a process of its own, that gives a constant answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

METHOD = "/bench.Constant/Get"
ANSWER = b"x" * 256

CONFIGURATION = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: constant, namespace: bench}}
spec:
  hosts: [constant.example.com]
  ports: [{{number: 50051, name: grpc, protocol: GRPC}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{grpc: {port}}}}}]
"""
TARGET = "constant.example.com:50051"


def configure(folder: Path, port: int) -> Path:
    """What leads to the backend at that port by `TARGET`."""
    folder.mkdir()
    (folder / "bench.yaml").write_text(CONFIGURATION.format(port=port))
    return folder


def _serve() -> None:
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: ANSWER)
    server.add_registered_method_handlers("bench.Constant", {"Get": handler})
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    _serve()
