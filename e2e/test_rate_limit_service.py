"""The rate limit service of Envoy's own project, with Redis behind it, asked by the filter of a mesh."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless.httpx
from e2e.tools import go_tool, redis
from proxyless.mesh import Mesh
from tests.differential.custom import cluster, custom, host, route
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.support.backends import Backends
from tests.support.ports import free_port

FRONTEND = Path(__file__).parents[1] / "tests" / "recorded" / "shop" / "xds" / "frontend"
A = ("127.0.20.1", 80)
KIND = "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
LIMITS = """
domain: shop
descriptors:
  - key: user
    value: alice
    rate_limit: {name: alice, unit: hour, requests_per_unit: 2}
  - key: user
    rate_limit: {unit: hour, requests_per_unit: 4}
"""


def until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, f"it ended with {process.returncode}"
        assert time.monotonic() < deadline
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a running service."""
    folder = tmp_path_factory.mktemp("ratelimit")
    (folder / "config").mkdir()
    (folder / "config" / "shop.yaml").write_text(LIMITS)
    program, database = go_tool("ratelimit", "github.com/envoyproxy/ratelimit/src/service_cmd"), redis()
    redis_port, grpc_port = free_port(), free_port()
    environment = {
        **os.environ,
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "GRPC_HOST": "127.0.0.1",
        "GRPC_PORT": str(grpc_port),
        "DEBUG_HOST": "127.0.0.1",
        "DEBUG_PORT": str(free_port()),
        "USE_STATSD": "false",
        "REDIS_SOCKET_TYPE": "tcp",
        "REDIS_URL": f"127.0.0.1:{redis_port}",
        "RUNTIME_ROOT": str(folder),
        "RUNTIME_SUBDIRECTORY": "",
        "RUNTIME_WATCH_ROOT": "false",
        "LIMIT_RESPONSE_HEADERS_ENABLED": "true",
    }
    with ExitStack() as stack:

        def start(command: list[str | Path], port: int) -> None:
            process = subprocess.Popen(command, env=environment, cwd=folder)
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
            until_open(port, process)

        start([database, "--port", str(redis_port), "--bind", "127.0.0.1", "--save", ""], redis_port)
        start([program], grpc_port)
        yield grpc_port


@pytest.fixture
def mesh(service: int) -> Iterator[Mesh]:
    """A mesh whose calls to `catalog` are limited by user."""
    http2: Resource = {"explicit_http_config": {"http2_protocol_options": {}}}
    rls = cluster(
        "rls",
        ("127.0.0.1", service),
        typed_extension_protocol_options={OPTIONS: {"@type": f"type.googleapis.com/{OPTIONS}", **http2}},
    )
    by_user = {"actions": [{"request_headers": {"header_name": "x-user", "descriptor_key": "user"}}]}
    rules = [route({"prefix": "/"}, {"cluster": "a", "rate_limits": [by_user]})]
    recording = custom(Recording.load(FRONTEND), [host(*rules)], [cluster("a", A), rls])
    config = {
        "@type": KIND,
        "domain": "shop",
        "timeout": "2s",
        "failure_mode_deny": True,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "rate_limit_service": {
            "grpc_service": {"envoy_grpc": {"cluster_name": "rls"}},
            "transport_api_version": "V3",
        },
    }
    for chain in recording.listeners["0.0.0.0_80"]["filter_chains"]:
        for network in chain["filters"]:
            network["typed_config"]["http_filters"].insert(0, {"name": "ratelimit", "typed_config": config})
    with Backends([A]) as backends, mesh_on(recording.rewritten(backends.ports)) as made:
        yield made


def test_each_user_has_the_limit_that_the_service_is_configured_with(mesh: Mesh) -> None:
    with httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=20) as client:

        def ask(user: str) -> Any:
            return client.get("http://catalog/", headers={"x-user": user} if user else {})

        alice = [ask("alice") for _ in range(4)]
        assert [each.status_code for each in alice] == [200, 200, 429, 429]
        assert alice[2].headers["x-envoy-ratelimited"] == "true"
        assert alice[0].headers["x-ratelimit-limit"] == '2, 2;w=3600;name="alice"'
        assert [each.headers["x-ratelimit-remaining"] for each in alice] == ["1", "0", "0", "0"]
        assert alice[2].extensions["proxyless"].flags == ("RL",)
        assert [ask("bob").status_code for _ in range(5)] == [200] * 4 + [429]
        assert [ask("").status_code for _ in range(6)] == [200] * 6
