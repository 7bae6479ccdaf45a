"""Extension providers: which service a provider means, and the cluster that reaches it."""

from __future__ import annotations

from dataclasses import dataclass

from ...wire.schema.types import core_v3
from ..hosts import outbound
from ..registry.world import World


class ProviderError(Exception):
    """A provider names no service, or none that there is; the text is for people."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The service of a provider: the name that requests to it bear, and the cluster they take."""

    hostname: str
    cluster: str

    def grpc(self) -> core_v3.GrpcService:
        to = core_v3.GrpcService.EnvoyGrpc(cluster_name=self.cluster, authority=self.hostname)
        return core_v3.GrpcService(envoy_grpc=to)


def backend(service: str, port: int, world: World) -> Backend:
    """`namespace/host`, or a host that one namespace alone has; exportTo does not count here.

    Raises:
        ProviderError: there is none, or there are several.
    """
    if not service:
        raise ProviderError("service must not be empty")
    namespace, slash, host = service.partition("/")
    found = world.by_host.get(host if slash else service, {})
    if slash:
        found = {namespace: found[namespace]} if namespace in found else {}
    if len(found) > 1:
        raise ProviderError(
            f"{service} is in several namespaces ({', '.join(sorted(found))}): write NAMESPACE/{service}"
        )
    for one in found.values():
        return Backend(one.hostname, outbound(one.hostname, port))
    raise ProviderError(f"{service} is no service")
