"""Hosts that the mesh does not know: let through (ALLOW_ANY) or kept in (REGISTRY_ONLY), by routes and by connections.

The library dials such a host itself, so its name is a loopback address and the port is where a backend really listens.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import httpx
import pytest

import proxyless.httpx
from tests.differential.governed import Governed, call_of, governed
from tests.differential.ours import explained, mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Names, Request
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.backends import Backends
from tests.support.behaviour import Address

pytestmark = pytest.mark.envoy

ROUTED: Address = ("127.0.9.51", 80)
PLAIN: Address = ("127.0.9.52", 80)
BLOCKED: Resource = {"match": {"prefix": "/"}, "direct_response": {"status": 502}}


@pytest.fixture
def outside() -> Iterator[Backends]:
    """Two servers that no configuration names: behind a port with routes, and behind one without."""
    with Backends([ROUTED, PLAIN]) as backends:
        yield backends


def configured(base: Recording, port: int, *, registry_only: bool) -> Recording:
    """The recorded listeners and routes, with the HTTP listener on a port of our own.

    `registry_only`: what istiod sends instead where the mesh lets nothing out.
    """
    made = copy.deepcopy(base)
    listener = made.listeners.pop("0.0.0.0_80")
    listener["name"] = f"0.0.0.0_{port}"
    listener["address"]["socket_address"]["port_value"] = port
    made.listeners[listener["name"]] = listener
    if registry_only:
        allowed = next(each for each in made.routes["80"]["virtual_hosts"] if each["name"] == "allow_any")
        allowed.update(name="block_all", routes=[BLOCKED])
        for chain in [*made.listeners["virtualOutbound"]["filter_chains"], _default(made)]:
            for each in chain["filters"]:
                if each["name"] == "envoy.filters.network.tcp_proxy":
                    each["typed_config"]["cluster"] = "BlackHoleCluster"
    return made


def _default(recording: Recording) -> Resource:
    found: Resource = recording.listeners["virtualOutbound"].get("default_filter_chain", {"filters": []})
    return found


def test_allow_any_lets_a_request_out_unchanged(frontend: Recording, outside: Backends) -> None:
    envoy.require()
    recording = configured(frontend, outside.ports[ROUTED], registry_only=False)
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh, governed(mesh, outside) as client:
        for address, place in ((ROUTED, "80/allow_any/0"), (PLAIN, "")):
            request = Request("GET", f"http://{address[0]}:{outside.ports[address]}/a/../b?c", (("x-a", "1"),))
            seen = rig.run([Names(frontend).sent(request)])[0]
            assert seen.log is not None
            assert (seen.log["route_id"] or "", seen.log["cluster"]) == (place, "PassthroughCluster")
            assert seen.response.status == 200
            assert _let_out(client, request) == ("GET", "/a/../b?c", "1")
            assert explained(mesh, request)[0].cluster == "PassthroughCluster"


def _let_out(client: Governed, request: Request) -> tuple[str, str, str]:
    response, arrivals = client.send(request)
    assert (response.status_code, call_of(response).flags) == (200, ())
    return arrivals[0].method, arrivals[0].target, arrivals[0].header("x-a")


def test_registry_only_keeps_a_request_in(frontend: Recording, outside: Backends) -> None:
    envoy.require()
    with Rig(configured(frontend, outside.ports[ROUTED], registry_only=True)) as rig, mesh_on(rig.recording) as mesh:
        with governed(mesh, outside) as client:
            request = Request("GET", f"http://{ROUTED[0]}:{outside.ports[ROUTED]}/", ())
            seen = rig.run([Names(frontend).sent(request)])[0]
            response, arrivals = client.send(request)
            assert (seen.response.status, seen.flags, seen.arrivals) == (502, "-", ())
            assert (response.status_code, call_of(response).flags, arrivals) == (502, (), ())
            opaque = Request("GET", f"http://{PLAIN[0]}:{outside.ports[PLAIN]}/", ())
            cut = rig.run([Names(frontend).sent(opaque)])[0]
            assert (cut.response.status, cut.arrivals) == (0, ())
            response, arrivals = client.send(opaque)
            # Where Envoy only ends the connection there is more to say in process.
            assert (response.status_code, call_of(response).flags, arrivals) == (503, ("UF",), ())
        with (
            httpx.Client(transport=proxyless.httpx.Transport(mesh, errors="raise")) as raising,
            pytest.raises(httpx.ConnectError, match="BlackHoleCluster"),
        ):
            raising.get(opaque.url)
