"""A process with grpcio's own xDS, which is started by its bootstrap once a process.

`peer.py server NAME ADDRESS` serves `/echo.Echo/*` with its name; `peer.py client TARGET` makes a call for each line of
its input (a method, then `key=value` metadata) and prints the answer or the status.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

_Handler: Any = grpc.GenericRpcHandler  # the stubs' generics are no classes at run time


class Echo(_Handler):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        self._name = name.encode()

    def service(self, call: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._name)


def serve(name: str, address: str) -> None:
    server = grpc.server(ThreadPoolExecutor(2), [Echo(name)], xds=True)
    server.add_insecure_port(address)
    server.start()
    print("serving", flush=True)
    sys.stdin.read()
    server.stop(0)


def call(target: str) -> None:
    channel: Any
    with grpc.insecure_channel(target) as channel:
        for line in sys.stdin:
            method, *metadata = line.split()
            pairs = [tuple(each.split("=", 1)) for each in metadata]
            try:
                answer = channel.unary_unary(f"/echo.Echo/{method}")(b"", timeout=10, metadata=pairs)
                print(answer.decode(), flush=True)
            except grpc.RpcError as error:
                print(error.code().name, flush=True)
                print(error.details(), file=sys.stderr)


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    if role == "server":
        serve(*arguments)
    else:
        call(*arguments)
