"""The real Envoy as a judge of resources that come over ADS: accepted, or refused, and in which words."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.schema import types as pb
from tests.support.ads import AdsServer
from tests.support.envoy import Envoy, Json
from tests.support.waiting import wait_for

CLUSTER, LISTENER, ENDPOINT = ResourceType.CLUSTER, ResourceType.LISTENER, ResourceType.ENDPOINT

HTTP2: dict[str, Json] = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}
KNOWN = "c"
"""A cluster that routes may lead to."""
EDS = "e"
"""A cluster whose endpoints come by EDS."""


class GoneError(Exception):
    """Envoy does not survive a resource."""


class Judge:
    """`with Judge() as judge: judge.says(CLUSTER, message)`: None where Envoy accepts, else what its NACK says.

    Some values kill Envoy, at once or a little later: a new one is asked then.
    """

    def __init__(self) -> None:
        self._server = AdsServer()
        self._stack = ExitStack()
        self._envoy: Envoy | None = None
        self._taken: dict[bytes, bool] = {}
        self._server.set(CLUSTER, KNOWN, _cluster(KNOWN))
        self._server.set(CLUSTER, EDS, _cluster(EDS))
        self._server.set(ENDPOINT, EDS, pb.endpoint_v3.ClusterLoadAssignment(cluster_name=EDS))
        self._server.resources.setdefault(LISTENER.value, {})

    def __enter__(self) -> Self:
        self._stack.enter_context(self._server)
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._envoy is not None:
            self._envoy.stop()
        self._stack.close()

    def _start(self) -> None:
        if self._envoy is not None:
            self._envoy.stop()
        before = len(self._server.streams)
        self._envoy = Envoy(self._bootstrap()).__enter__()
        wait_for(lambda: len(self._server.streams) > before)
        self._stream = self._server.streams[-1]
        for type_ in (CLUSTER, ENDPOINT, LISTENER):
            wait_for(lambda type_=type_: self._stream.acked(type_.value))  # type: ignore[misc]

    def takes(self, type_: ResourceType, message: Any) -> bool:
        """Whether Envoy accepts a resource; asked once."""
        key = message.SerializeToString()
        if key not in self._taken:
            self._taken[key] = self.says(type_, message) is None
        return self._taken[key]

    def says(self, type_: ResourceType, message: Any) -> str | None:
        """What Envoy says of a resource; it is forgotten afterwards.

        Raises:
            GoneError: Envoy ends when it gets it.
        """
        name = EDS if type_ is ENDPOINT else message.name
        before = self._server.resources[type_.value].get(name)
        for _ in range(2):
            self._server.set(type_, name, message)
            try:
                return self._pushed(type_, name)
            except GoneError:
                pass  # what came before it may have been the reason
            finally:
                if before is None:
                    self._server.remove(type_, name)
                else:
                    self._server.set(type_, name, before)
            self._start()
        raise GoneError(name)

    def _pushed(self, type_: ResourceType, name: str) -> str | None:
        stream = self._stream
        seen = len(stream.requests)
        self._server.push(type_, *([name] if type_ is ENDPOINT else []))
        nonce = f"n{len(self._server.streams)}.{stream.nonce}"

        def answer() -> Any:
            return next((each for each in stream.requests[seen:] if each.response_nonce == nonce), None)

        wait_for(lambda: answer() is not None or not stream.open)
        found = answer()
        if found is None:
            raise GoneError
        return str(found.error_detail.message) if found.HasField("error_detail") else None

    def _bootstrap(self) -> dict[str, Json]:
        address: Json = {"socket_address": {"address": "127.0.0.1", "port_value": self._server.port}}
        endpoints: Json = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
        plane: Json = {
            "name": "control",
            "connect_timeout": "5s",
            "load_assignment": {"cluster_name": "control", "endpoints": endpoints},
            "typed_extension_protocol_options": HTTP2,
        }
        ads: Json = {"ads": {}, "resource_api_version": "V3"}
        return {
            "node": {"id": "judge", "cluster": "judge"},
            "static_resources": {"clusters": [plane]},
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "control"}}],
                },
                "cds_config": ads,
                "lds_config": ads,
            },
        }


def _cluster(name: str) -> Any:
    message = pb.cluster_v3.Cluster(name=name)
    message.connect_timeout.seconds = 1
    if name == EDS:
        message.type = pb.cluster_v3.Cluster.DiscoveryType.Value("EDS")
        message.eds_cluster_config.eds_config.ads.SetInParent()
        message.eds_cluster_config.eds_config.resource_api_version = pb.core_v3.ApiVersion.Value("V3")
    return message
