"""What is told of requests to hosts that the mesh does not know: spans, the context that goes out, lines of logs.

Where the connection went, and how many bytes, is the library's own affair here; and Envoy says more to such a host than
its trace (backends answer with what they were told).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import pytest

from tests.differential.recording import Recording
from tests.differential.telemetry import Telling, asked_of, located, managers_of, telling
from tests.differential.test_outside import configured
from tests.differential.test_telemetry import Told, differing, differing_spans, request_of, told_by_both
from tests.support import envoy
from tests.support.backends import Backends
from tests.support.behaviour import Address
from tests.support.collector import Collector

pytestmark = pytest.mark.envoy

HOSTS: dict[str, Address] = {
    "spans": ("127.0.9.53", 80),
    "tries": ("127.0.9.54", 80),
    "half": ("127.0.9.55", 80),
    "silent": ("127.0.9.56", 80),
}
"""By the manager on their port."""
ASKED = (
    *("plain", "body", "head", "sampled", "unsampled", "malformed", "forced", "asked for", "low", "high", "above"),
    *("traced before", "no id", "operation", "204", "404", "500", "grpc", "grpc failed"),
)
UNTOLD = "malformed"
"""A request with a context that is none has no span: it goes out as it came here, Envoy tells its id all the same."""
LEFT_OUT = frozenset(
    {
        *("grpc.timeout", "peer.address", "request_size", "response_size", "upstream_address"),
        *("BYTES_RECEIVED", "BYTES_SENT", "REQUEST_HEADERS_BYTES"),
        *("UPSTREAM_HOST", "UPSTREAM_HOST_NAME", "UPSTREAM_HOST_NAME_WITHOUT_PORT", "UPSTREAM_HOSTS_ATTEMPTED"),
        *("UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT", "UPSTREAM_PROTOCOL", "UPSTREAM_REMOTE_ADDRESS"),
        *("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "UPSTREAM_REMOTE_PORT"),
    }
)


@pytest.fixture(scope="module")
def both(frontend: Recording) -> Iterator[tuple[Told, Told]]:
    """Envoy's and ours."""
    envoy.require()
    with (
        Backends(HOSTS.values()) as outside,
        Collector() as collector,
        Telling(recording(frontend, outside), collector.port) as rig,
    ):
        requests = [
            asked_of(manager, name, f"{address[0]}:{outside.ports[address]}")
            for manager, address in HOSTS.items()
            for name in ASKED
        ]
        yield told_by_both(rig, collector, requests, outside)


def recording(base: Recording, outside: Backends) -> Recording:
    """A listener for the port of each host, with its manager."""
    made = copy.deepcopy(base)
    made.node = located(base.node)
    for manager, address in HOSTS.items():
        port = outside.ports[address]
        (name,) = configured(base, port, registry_only=False).listeners.keys() - base.listeners.keys()
        listener = made.listeners[name] = configured(base, port, registry_only=False).listeners[name]
        for config in managers_of(listener):
            config.update(telling(manager))
    return made


def test_spans_and_their_attributes_are_envoys(both: tuple[Told, Told]) -> None:
    assert sum(map(len, both[0].spans.values())) > 50
    found = [each for each in differing_spans(*both) if key_of(each).split()[-1] not in LEFT_OUT]
    assert not found, "\n".join(found)


def test_hosts_are_told_of_them_alike(both: tuple[Told, Told]) -> None:
    theirs, ours = (each.passed for each in both)
    assert theirs.keys() == ours.keys()
    found = differing(theirs, ours)
    assert {request_of(key_of(each)) for each in found} <= {UNTOLD}, "\n".join(found)


def test_lines_say_the_same_of_all_else(both: tuple[Told, Told]) -> None:
    theirs, ours = (each.lines["line commands"] for each in both)
    assert theirs.keys() == ours.keys()
    found = [
        f"{mark} {each}"
        for mark, line in theirs.items()
        for each in differing(json.loads(line), json.loads(ours[mark]))
        if key_of(each) not in LEFT_OUT
    ]
    assert not found, "\n".join(found)


def key_of(line: str) -> str:
    """What differs."""
    return line.partition(": Envoy")[0]
