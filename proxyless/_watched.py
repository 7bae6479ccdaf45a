"""What a mesh lets others see of its requests: spans and access logs, as the environment says."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping

from . import __version__
from ._variables import switched
from .beginnings import weakly
from .errors import ConfigurationError
from .governance.forwarding import Workload
from .governance.runtime import Runtime
from .governance.telemetry.access_log import AccessLogWriter
from .governance.telemetry.opentelemetry import open_telemetry
from .xds.identity.bootstrap import Node
from .xds.model.tracing import TRACERS

TRACER = "PROXYLESS_TRACER"
TRIES = "PROXYLESS_TRACE_ATTEMPTS"
TELLS = "PROXYLESS_TRACE_ENVIRONMENT"
LOGS = "PROXYLESS_ACCESS_LOG"

OF_A_SIDECAR = frozenset(
    {
        *("POD_NAME", "POD_NAMESPACE", "INSTANCE_IP", "HOST_IP", "SERVICE_ACCOUNT", "HOSTNAME", "TRUST_DOMAIN"),
        *("CA_ADDR", "PILOT_CERT_PROVIDER", "ISTIO_CPU_LIMIT", "ISTIO_META_CLUSTER_ID", "ISTIO_META_NODE_NAME"),
        *("ISTIO_META_WORKLOAD_NAME", "ISTIO_META_OWNER", "ISTIO_META_MESH_ID", "ISTIO_META_NETWORK"),
        *("ISTIO_META_INTERCEPTION_MODE", "ISTIO_META_APP_CONTAINERS"),
    }
)
"""Variables that tags of spans may tell: those of a sidecar's own container. Others are the program's, and may be
secrets: they are told where `PROXYLESS_TRACE_ENVIRONMENT` names them."""


def workload_of(node: Node, environment: Mapping[str, str] = os.environ) -> Workload:
    """How this process appears in headers and spans."""
    told = OF_A_SIDECAR.union(filter(None, environment.get(TELLS, "").split(",")))
    zone = node.locality[1] if node.locality else ""
    return Workload(*node.names, zone, {name: environment[name] for name in told & environment.keys()})


def tracer_of(environment: Mapping[str, str] = os.environ) -> str:
    """The bootstrap's tracer: for connection managers that name none.

    Raises:
        ConfigurationError: there is no such tracer.
    """
    name = environment.get(TRACER, "")
    if name and name not in TRACERS:
        raise ConfigurationError(f"{TRACER}={name!r}: it is one of {', '.join(TRACERS)}, or empty")
    return name


def traces_attempts(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether each try has a span although the mesh does not ask for it."""
    return switched(TRIES, environment)


def give_telemetry(runtime: Runtime, environment: Mapping[str, str] = os.environ) -> Callable[[], None]:
    """Let the requests of a mesh have spans, where OpenTelemetry's API is installed, and lines in its access logs.

    Returns what writes the last of them.

    Raises:
        ConfigurationError: the environment asks for access logs that there are not.
    """
    runtime.spans = open_telemetry(__version__)
    where = environment.get(LOGS, "")
    if where not in ("", "off", "logger"):
        raise ConfigurationError(f"{LOGS}={where!r}: it is off, logger, or empty")
    if where == "off":
        return lambda: None
    writer = AccessLogWriter(to_logger=where == "logger")
    runtime.access_log = writer.write
    runtime.logged = lambda: writer.counts
    os.register_at_fork(after_in_child=weakly(writer, AccessLogWriter.forked))
    at_exit = weakly(writer, AccessLogWriter.close)
    atexit.register(at_exit)

    def close() -> None:
        atexit.unregister(at_exit)
        writer.close()

    return close
