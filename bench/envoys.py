"""Two Envoys in a row, as a call passes them between two sidecars: the figure to beat by an order of magnitude."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from tests.support.envoy import Envoy


def proxy(name: str, upstream_port: int) -> dict[str, Any]:
    """A bootstrap with one listener and one cluster; no Istio filters, plaintext, no access log."""
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "envoy.extensions.filters.http.router.v3.Router"
    route = {"match": {"prefix": "/"}, "route": {"cluster": "next"}}
    table = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "in",
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": {
                                        "@type": f"type.googleapis.com/{manager}",
                                        "stat_prefix": name,
                                        "route_config": table,
                                        "http_filters": [
                                            {
                                                "name": "envoy.filters.http.router",
                                                "typed_config": {"@type": f"type.googleapis.com/{router}"},
                                            }
                                        ],
                                    },
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "next",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "next",
                        "endpoints": [
                            {
                                "lb_endpoints": [
                                    {
                                        "endpoint": {
                                            "address": {
                                                "socket_address": {"address": "127.0.0.1", "port_value": upstream_port}
                                            }
                                        }
                                    }
                                ]
                            }
                        ],
                    },
                }
            ],
        }
    }


class TwoEnvoys:
    """app -> Envoy -> Envoy -> backend; `port` is the first one's."""

    def __init__(self, backend_port: int) -> None:
        self._backend_port = backend_port
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        second = self._stack.enter_context(Envoy(proxy("second", self._backend_port)))
        first = self._stack.enter_context(Envoy(proxy("first", second.port("in"))))
        self.port = first.port("in")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
