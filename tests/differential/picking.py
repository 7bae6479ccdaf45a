"""Whom clusters pick: many clusters in one Envoy whose endpoints refuse, and the same clusters here.

Nothing listens anywhere: the access log says which endpoint each request was given to before its connection failed.
"""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import json_format

from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.setting import Setting
from proxyless.governance.cluster import ClusterRuntime, ClusterState
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.values import Locality
from proxyless.xds.wire.decode.cluster import cluster as decoded
from proxyless.xds.wire.schema import find, pool
from tests.differential.recording import Resource
from tests.support.envoy import Envoy

TYPE = "type.googleapis.com/envoy.extensions."
HOME = Locality("r", "a")
LINE = "%UPSTREAM_HOST% %RESPONSE_CODE% %RESPONSE_FLAGS%\n"
WAIT_S = 20.0


def endpoint(number: int, **fields: Any) -> Resource:
    """An endpoint that refuses."""
    address = {"socket_address": {"address": f"127.0.9.{number}", "port_value": 1}}
    return {"endpoint": {"address": address}, **fields}


def endpoints(letters: str, first: int = 1, **fields: Any) -> list[Resource]:
    """One for each letter: `h` healthy, `u` unhealthy, `g` degraded, `d` draining."""
    words = {"h": "HEALTHY", "u": "UNHEALTHY", "g": "DEGRADED", "d": "DRAINING"}
    return [endpoint(number, health_status=words[each], **fields) for number, each in enumerate(letters, first)]


def group(found: list[Resource], zone: str = "", weight: int = 0, priority: int = 0) -> Resource:
    """LocalityLbEndpoints."""
    where: Resource = {"locality": {"region": "r", "zone": zone}} if zone else {}
    weighed: Resource = {"load_balancing_weight": weight} if weight else {}
    return {"lb_endpoints": found, "priority": priority, **where, **weighed}


def cluster(name: str, *groups: Resource, policy: Resource | None = None, **fields: Any) -> Resource:
    """A STATIC cluster."""
    load = {"cluster_name": name, "endpoints": list(groups), **({"policy": policy} if policy else {})}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": load, **fields}


def bootstrap(clusters: Iterable[Resource], local: str = "") -> Resource:
    """An Envoy in zone `a` that routes by the header `x-cluster`."""
    log = {
        "name": "picks",
        "typed_config": {
            "@type": TYPE + "access_loggers.file.v3.FileAccessLog",
            "path": "{FOLDER}/picks.log",
            "log_format": {"text_format_source": {"inline_string": LINE}},
        },
    }
    routes = [{"match": {"prefix": "/"}, "route": {"cluster_header": "x-cluster"}}]
    manager = {
        "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "s",
        "access_log": [log],
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "r", "typed_config": {"@type": TYPE + "filters.http.router.v3.Router"}}],
    }
    listener = {
        "name": "in",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "m", "typed_config": manager}]}],
    }
    return {
        "node": {"id": "n", "cluster": "c", "locality": {"region": HOME.region, "zone": HOME.zone}},
        "static_resources": {"listeners": [listener], "clusters": list(clusters)},
        **({"cluster_manager": {"local_cluster_name": local}} if local else {}),
    }


def by_envoy(envoy: Envoy, name: str, count: int) -> list[str]:
    """The last numbers of the endpoints that so many requests were given to; the flag where there was none."""
    path = envoy.folder / "picks.log"
    before = path.stat().st_size if path.exists() else 0
    connection = http.client.HTTPConnection("127.0.0.1", envoy.port("in"))
    for _ in range(count):
        connection.request("GET", "/", headers={"x-cluster": name})
        connection.getresponse().read()
    connection.close()
    deadline = time.monotonic() + WAIT_S
    lines: list[str] = []
    while len(lines) < count and time.monotonic() < deadline:
        time.sleep(0.02)
        with path.open("rb") as file:
            file.seek(before)
            data = file.read()
        lines = data[: data.rfind(b"\n") + 1].decode().splitlines()
    return [_number(*line.split()) for line in lines]


def _number(host: str, code: str, flags: str) -> str:
    del code
    return host.split(":")[0].rpartition(".")[2] if host != "-" else flags


def ours(resource: Resource, local: Resource | None = None, seed: int = 1) -> ClusterRuntime:
    """The same cluster here, as the wire decodes it."""
    draws = random.Random(seed)

    def draw(n: int) -> int:
        return int(draws.random() * n)

    here = _runtime(local, Setting(draw, locality=HOME)) if local is not None else None

    def local_hosts() -> HostSet | None:
        return here.look_again()[0] if here is not None else None

    return _runtime(resource, Setting(draw, locality=HOME, local=local_hosts if here is not None else None))


def _runtime(resource: Resource, setting: Setting) -> ClusterRuntime:
    kind = find(ResourceType.CLUSTER.value)
    assert kind is not None
    message = json_format.ParseDict(resource, kind(), descriptor_pool=pool())
    config = decoded(message.SerializeToString())
    return ClusterRuntime(config, config.load_assignment, ClusterState(config.name, config), setting)


def by_us(found: ClusterRuntime, count: int, flag: str = "UH") -> Iterator[str]:
    """The same as `by_envoy`."""
    for _ in range(count):
        host = found.choose()
        yield host.address.split(":")[0].rpartition(".")[2] if host is not None else flag
