"""Objects that a test's words stand for: endpoints that it serves, faults that it injects.

They are YAML beside the test's own, so the control plane and the filters treat them as any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigurationError
from ..xds.controlplane import Ref
from ..xds.controlplane.api.kubernetes import Service
from ..xds.controlplane.registry.world import World

ROOT_NAMESPACE = "istio-system"


@dataclass(frozen=True, slots=True)
class Served:
    """An endpoint of a service. `name`: of the WorkloadEntry that stands for it."""

    service: str
    namespace: str
    address: str
    port: int
    name: str
    labels: Mapping[str, str]
    protocol: str = "http"

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Forced:
    """A fault for all calls to one host."""

    host: str
    names: tuple[str, ...]
    abort: int | None
    delay_s: float | None
    percent: float


def service_named(host: str, namespace: str) -> tuple[str, str]:
    """(name, namespace) of a service of the cluster.

    Raises:
        ConfigurationError: it is another host.
    """
    name, *rest = host.split(".")
    if not name or (rest[1:] and rest[1:] not in (["svc"], ["svc", "cluster", "local"])):
        raise ConfigurationError(
            f"serve({host!r}): only services of the cluster (NAME, NAME.NAMESPACE) can be served; for another host "
            "write a ServiceEntry with resolution: STATIC, and the server's address and port in its endpoints"
        )
    return name, rest[0] if rest else namespace


def names_of(host: str, namespace: str) -> tuple[str, ...]:
    """All names that a host goes by."""
    try:
        name, where = service_named(host, namespace)
    except ConfigurationError:
        return (host,)
    longer = (f"{name}.{where}", f"{name}.{where}.svc", f"{name}.{where}.svc.cluster.local")
    return (name, *longer) if where == namespace else longer


def objects_of_served(served: list[Served], world: World) -> list[dict[str, Any]]:
    """A WorkloadEntry for each; a Service on port 80 where the configuration has none.

    Raises:
        ConfigurationError: the Service of the configuration selects nothing, or names no port, so that nothing can be
            one of its endpoints.
    """
    found: list[dict[str, Any]] = []
    made: set[Ref] = set()
    for each in served:
        ref = Ref("Service", each.namespace, each.service)
        known = world.by_ref.get(ref)
        selector, ports = {"app": each.service}, {each.protocol: each.port}
        if known is not None and isinstance(known.spec, Service):
            selector = known.spec.selector
            if not selector:
                raise ConfigurationError(
                    f"serve({each.service!r}): {ref} has no selector; write its endpoints down in an EndpointSlice"
                )
            ports = {}
            for port in known.spec.ports:
                own_name = port.target_port if isinstance(port.target_port, str) else port.name
                if not own_name:
                    raise ConfigurationError(
                        f"serve({each.service!r}): {ref}: port {port.port} has no name; give it one"
                    )
                ports[own_name] = each.port
        elif ref not in made:
            made.add(ref)
            own = {
                "clusterIP": f"10.255.255.{len(made)}",
                "selector": selector,
                "ports": [{"name": each.protocol, "port": 80}],
            }
            found.append(_object("v1", "Service", each, each.service, own))
        entry = {"address": each.address, "ports": ports, "labels": {**each.labels, **selector}}
        found.append(_object("networking.istio.io/v1", "WorkloadEntry", each, each.name, entry))
    return found


def _object(version: str, kind: str, of: Served, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": of.namespace}, "spec": spec}


def object_of_faults(faults: list[Forced]) -> dict[str, Any]:
    """Envoy's fault filter, once for each, in front of all others."""
    patches = []
    for number, each in enumerate(faults):
        share = {"numerator": round(each.percent * 10_000), "denominator": "MILLION"}
        pattern = f"({'|'.join(map(re.escape, each.names))})(:[0-9]+)?"
        config: dict[str, Any] = {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "headers": [{"name": ":authority", "string_match": {"safe_regex": {"regex": pattern}}}],
        }
        if each.abort is not None:
            config["abort"] = {"http_status": each.abort, "percentage": share}
        if each.delay_s is not None:
            config["delay"] = {"fixed_delay": f"{each.delay_s:.9f}s", "percentage": share}
        value = {"name": f"proxyless.test.fault.{number}", "typed_config": config}
        patches.append(
            {
                "applyTo": "HTTP_FILTER",
                "match": {
                    "context": "SIDECAR_OUTBOUND",
                    "listener": {
                        "filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}},
                    },
                },
                "patch": {"operation": "INSERT_FIRST", "value": value},
            }
        )
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "proxyless-test-faults", "namespace": ROOT_NAMESPACE},
        "spec": {"configPatches": patches},
    }


def written(objects: list[dict[str, Any]]) -> str:
    """As documents of a file: JSON is YAML."""
    return "---\n".join(json.dumps(each) + "\n" for each in objects)
