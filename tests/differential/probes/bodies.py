"""How much of a body Envoy keeps for a retry, and what its buffer filter does with one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.differential.custom import cluster, custom, host, route
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

ENDPOINTS = (("127.0.20.1", 80), ("127.0.20.2", 80))
RETRY: Resource = {"retry_on": "5xx", "num_retries": 1, "retry_back_off": {"base_interval": "0.001s"}}
LEVELS: dict[str, Resource] = {
    "-": {},
    "request 3000": {"request_body_buffer_limit": "3000"},
    "per 2000": {"per_request_buffer_limit_bytes": 2000},
    "both": {"request_body_buffer_limit": "3000", "per_request_buffer_limit_bytes": 2000},
    "request 0": {"request_body_buffer_limit": "0"},
    "per 0": {"per_request_buffer_limit_bytes": 0},
    "request 9000": {"request_body_buffer_limit": "9000"},
    "per 9000": {"per_request_buffer_limit_bytes": 9000},
}
SIZES = (1, 1999, 2000, 2001, 3000, 3001, 5000, 5001, 9000, 9001, 70_000)


def limits(base: Recording, connection: int) -> Iterator[str]:
    """The most that is tried twice, by what virtual host and route say."""
    pairs = list(product(LEVELS, LEVELS))
    hosts = [
        host(
            route({"prefix": "/"}, {"cluster": "a", "retry_policy": RETRY}, **LEVELS[own]),
            domains=(f"h{number}",),
            **LEVELS[general],
        )
        for number, (general, own) in enumerate(pairs)
    ]
    recording = custom(base, hosts, [cluster("a", *ENDPOINTS)])
    if connection:
        for listener in recording.listeners.values():
            listener["per_connection_buffer_limit_bytes"] = connection
    with Rig(recording) as rig:
        for number, (general, own) in enumerate(pairs):
            kept = [
                size
                for size in SIZES
                if len(rig.send("POST", "/", ("x-backend", "status=503"), host=f"h{number}", body=b"x" * size).arrivals)
                > 1
            ]
            yield f"connection {connection or '-'}, host {general}, route {own}: {kept}"


def run(base: Recording) -> Iterator[str]:
    """What Envoy does."""
    for connection in (0, 5000):
        yield from limits(base, connection)
