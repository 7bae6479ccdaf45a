"""Istio's standard labels: what each side knows of a request's source and destination.

Nothing that a request says becomes a label, except for its status and protocol: names come from the configuration and
from this workload's own node, so their number is bounded. What is not known is `unknown`, as with a sidecar.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from ...xds.model.records import dataclass
from ...xds.model.values import FilterMetadata
from ..call import OutgoingCall
from ..grpc_statuses import SNAKE, number_in, of_http
from ..inbound import InboundRequest
from ..passing import BLACKHOLE, PASSTHROUGH
from ..peer import Principals
from ..replies import LocalReply

UNKNOWN = "unknown"
LATEST = "latest"

NAMED_CLUSTERS = frozenset(
    {
        PASSTHROUGH,
        BLACKHOLE,
        "InboundPassthroughCluster",
        "InboundPassthroughClusterIpv4",
        "InboundPassthroughClusterIpv6",
    }
)
"""Clusters that stand for no service: their own name is the service's."""

NAMED_HOSTS = {"allow_any": PASSTHROUGH, "block_all": BLACKHOLE}
"""Virtual hosts that istiod makes for hosts it does not know."""

NOBODY = Principals()

NUMBERS = {b"%d" % number: str(number) for number in range(len(SNAKE))}
"""The statuses of gRPC, as a server says them and as the label does."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One side of a request."""

    name: str = UNKNOWN
    namespace: str = UNKNOWN
    canonical_service: str = UNKNOWN
    canonical_revision: str = LATEST
    app: str = UNKNOWN
    version: str = UNKNOWN
    cluster: str = UNKNOWN

    @classmethod
    def of_node(cls, metadata: Mapping[str, Any]) -> Self:
        """This process, from its node's metadata.

        The canonical name and revision are found by the rule that Istio's injector labels pods by
        (istio source: pkg/kube/labels).
        """
        labels: Mapping[str, str] = metadata.get("LABELS") or {}
        name = str(metadata.get("WORKLOAD_NAME") or UNKNOWN)
        service = _first(labels, "service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
        revision = _first(labels, "service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
        return cls(
            name,
            str(metadata.get("NAMESPACE") or UNKNOWN),
            service or name,
            revision or LATEST,
            labels.get("app") or UNKNOWN,
            labels.get("version") or UNKNOWN,
            str(metadata.get("CLUSTER_ID") or UNKNOWN),
        )

    @classmethod
    def of_endpoint(cls, text: object) -> Self:
        """An endpoint, from its metadata `istio.workload`: name;namespace;canonical service;revision;cluster."""
        parts = text.split(";") if isinstance(text, str) else []
        if len(parts) < 5:
            return cls()
        name, namespace, service, revision, cluster = parts[:5]
        return cls(
            name or UNKNOWN,
            namespace or UNKNOWN,
            service or UNKNOWN,
            revision or LATEST,
            cluster=cluster or UNKNOWN,
        )


@dataclass(frozen=True, slots=True)
class Service:
    """The service that a request was meant for; an empty namespace is that of the destination workload."""

    host: str = UNKNOWN
    name: str = UNKNOWN
    namespace: str = ""

    @classmethod
    def of_cluster(cls, name: str, metadata: FilterMetadata) -> Self | None:
        """From a cluster's metadata `istio.services`, or from the names that stand for no service; None if neither."""
        if name in NAMED_CLUSTERS:
            return cls(name=name)
        services = metadata.get("istio", {}).get("services")
        first = services[0] if isinstance(services, tuple) and services else None
        if not isinstance(first, Mapping):
            return None
        host = str(first.get("host") or UNKNOWN)
        own = first.get("name")
        return cls(host, str(own) if own else host.partition(".")[0], str(first.get("namespace") or ""))

    @classmethod
    def of_call(cls, call: OutgoingCall) -> Self:
        """The service of a call: its cluster's, else the one that its virtual host is named after."""
        cluster, target, vhost = call.cluster, call.target, call.vhost
        if cluster is not None and (found := cls.of_cluster(cluster.name, cluster.config.metadata)) is not None:
            return found
        if target is not None and target.cluster in NAMED_CLUSTERS:
            return cls(name=target.cluster)
        if vhost is None:
            return cls()
        name = vhost.config.name
        if name in NAMED_HOSTS:
            return cls(name=NAMED_HOSTS[name])
        host, _, port = name.rpartition(":")
        host = host if port.isdecimal() else name
        return cls(host, host) if host else cls()


def outgoing(own: Workload, call: OutgoingCall, grpc: str | None) -> tuple[str, ...]:
    """The labels of a call, in the order of the catalogue. `grpc`: None for HTTP, else the status as a number."""
    host = call.host
    workload = host.endpoint.metadata.get("istio", {}).get("workload") if host is not None else None
    who = call.principals or NOBODY
    peer = _within(Workload.of_endpoint(workload), who.peer)
    service = Service.of_call(call)
    return (
        "source",
        *_source(own, who.local),
        *_destination(peer, who.peer, service, service.namespace or peer.namespace),
        *_outcome(call.status, grpc, call.flags),
        # A client cannot say: the certificate it saw is no policy (istio.io: "Istio Standard Metrics").
        UNKNOWN,
    )


def incoming(own: Workload, request: InboundRequest, service: Service | None, grpc: str | None) -> tuple[str, ...]:
    """The labels of a request to this workload. `mutual_tls` needs the principals of both sides."""
    who = request.peer.principals if request.peer is not None else NOBODY
    meant = service or Service(own.canonical_service, own.canonical_service)
    return (
        "destination",
        *_source(_within(Workload(), who.peer), who.peer),
        *_destination(own, who.local, meant, own.namespace),
        *_outcome(request.status, grpc, request.flags),
        "mutual_tls" if all(who) else "none",
    )


def grpc_status(status: int, said: bytes | None, reply: LocalReply | None) -> str:
    """The gRPC status of a response as a number, empty where nobody said it (envoy source: getGrpcStatus).

    Where Envoy looks into the trailers, this may have to do without; so HTTP 200 alone says nothing here.
    """
    if said is None and reply is not None:
        said = next((value for name, value in reply.headers if name == b"grpc-status"), None)
    if said is not None:
        found = NUMBERS.get(said)
        if found is None:  # whatever a server sends: the label takes the numbers that gRPC has, and no others
            number = number_in(said)
            found = str(number) if number is not None and number < len(SNAKE) else ""
        return found
    return "" if status in (0, 200) else str(of_http(status))


def flags_text(flags: tuple[str, ...]) -> str:
    """As the access log prints them."""
    return ",".join(flags) or "-"


def _first(labels: Mapping[str, str], *names: str) -> str:
    return next((value for name in names if (value := labels.get(name))), "")


def _within(workload: Workload, principal: str) -> Workload:
    """The namespace of a SPIFFE identity counts before what anybody else says of it (istio source: istio_stats)."""
    namespace = principal.partition("/ns/")[2].partition("/")[0]
    return replace(workload, namespace=namespace) if namespace else workload


def _source(workload: Workload, principal: str) -> tuple[str, ...]:
    return (
        workload.name,
        workload.canonical_service,
        workload.canonical_revision,
        workload.namespace,
        principal or UNKNOWN,
        workload.app,
        workload.version,
        workload.cluster,
    )


def _destination(workload: Workload, principal: str, service: Service, namespace: str) -> tuple[str, ...]:
    return (
        workload.name,
        workload.namespace,
        principal or UNKNOWN,
        workload.app,
        workload.version,
        service.host,
        workload.canonical_service,
        workload.canonical_revision,
        service.name,
        namespace,
        workload.cluster,
    )


def _outcome(status: int, grpc: str | None, flags: tuple[str, ...]) -> tuple[str, ...]:
    return ("http" if grpc is None else "grpc", str(status), grpc or "", flags_text(flags))
