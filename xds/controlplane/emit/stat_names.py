"""Names of statistics as MeshConfig's patterns spell them (inboundClusterStatName, outboundClusterStatName)."""

from __future__ import annotations

from ..registry.services import Port, Service


def outbound(pattern: str, service: Service, port: int, name: str = "", subset: str = "", target: int = 0) -> str:
    """The pattern with what it names; of a port without a name nothing stands for it."""
    return _filled(pattern, service, port, name, subset).replace("%TARGET_PORT%", str(target))


def of_port(pattern: str, service: Service, port: Port, subset: str = "", target: int = 0) -> str:
    return outbound(pattern, service, port.number, port.name, subset, target)


def inbound(pattern: str, service: Service | None, port: int, name: str) -> str:
    """Of a filter chain, which knows no target port; chains that serve no service have nothing in its place."""
    return _filled(pattern, service, port, name, "")


def _filled(pattern: str, service: Service | None, port: int, name: str, subset: str) -> str:
    host = short = named = service.hostname if service is not None else ""
    if service is not None and service.registry == "Kubernetes":
        short, named = f"{service.name}.{service.namespace}", service.name
    words = {
        "%SERVICE%": short,
        "%SERVICE_NAME%": named,
        "%SERVICE_FQDN%": host,
        "%SUBSET_NAME%": subset,
        "%SERVICE_PORT%": str(port),
        "%SERVICE_PORT_NAME%": name,
    }
    for word, text in words.items():
        pattern = pattern.replace(word, text)
    return pattern
