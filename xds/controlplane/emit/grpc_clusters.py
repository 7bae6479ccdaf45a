"""Clusters for gRPC's own xDS (`GENERATOR=grpc`): only what is asked for, and only what every gRPC understands.

Endpoints by EDS, a balancing policy, a limit of requests, and mTLS where a DestinationRule says ISTIO_MUTUAL; the rest
of a traffic policy is left out. Automatic mTLS is too: nobody knows whether the other side took the offer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ...wire.schema.types import cluster_v3, core_v3, tls_v3
from ..api.destination_rule import TrafficPolicy
from ..hosts import SubsetKey, outbound, parse_subset_key
from . import policy
from .cluster_policy import hash_policy
from .messages import exactly, pack, u32
from .tls import TLS_SOCKET
from .view import View

Cluster = cluster_v3.Cluster
_PROVIDER = "default"


def grpc_clusters(view: View, names: Collection[str]) -> Iterator[Cluster]:
    """The clusters of those names. A service that nobody knows has one too, a subset that nobody knows has none."""
    wanted: dict[SubsetKey, set[str]] = {}
    for name in names:
        key = parse_subset_key(name)
        if key is not None and key.host and key.port:
            wanted.setdefault(key._replace(subset=""), set()).add(name)
    for key, asked in wanted.items():
        yield from _of_port(key, asked, view)


def _of_port(key: SubsetKey, asked: Collection[str], view: View) -> Iterator[Cluster]:
    service = view.scope.by_host.get(key.host)
    known = service is not None and service.port(key.port) is not None
    rule = view.scope.rule(view.proxy, key.host) if known else None
    base, _ = policy.port_level(rule.spec.traffic_policy if rule else None, key.port)
    accounts = view.world.accounts(service) if service is not None else ()
    if str(key) in asked:
        yield _cluster(str(key), base if known else None, accounts)
    for subset in rule.spec.subsets if rule else ():
        name = outbound(key.host, key.port, subset.name)
        if name in asked:
            yield _cluster(name, policy.of_subset(base, subset.traffic_policy, key.port), accounts)


def _cluster(name: str, traffic: TrafficPolicy | None, accounts: Sequence[str]) -> Cluster:
    made = Cluster(name=name, type=Cluster.EDS, alt_stat_name=f"{name};")
    made.eds_cluster_config.service_name = name
    made.eds_cluster_config.eds_config.ads.SetInParent()
    if traffic is None:
        return made
    http = traffic.connection_pool.http if traffic.connection_pool else None
    if http is not None and http.http2_max_requests > 0:
        made.circuit_breakers.thresholds.add(max_requests=u32(http.http2_max_requests))
    if traffic.load_balancer is not None:
        if traffic.load_balancer.simple == "LEAST_REQUEST":
            made.lb_policy = Cluster.LEAST_REQUEST
        hash_policy(made, traffic.load_balancer)
    if traffic.tls is not None and traffic.tls.mode == "ISTIO_MUTUAL":
        context = tls_v3.UpstreamTlsContext(common_tls_context=common_tls(accounts))
        made.transport_socket.CopyFrom(core_v3.TransportSocket(name=TLS_SOCKET, typed_config=pack(context)))
    return made


def common_tls(accounts: Sequence[str] = ()) -> tls_v3.CommonTlsContext:
    """Certificates of the provider `default` in the client's bootstrap, in the fields of now and in those of before."""
    common = tls_v3.CommonTlsContext
    old, new = common.CertificateProviderInstance, tls_v3.CertificateProviderPluginInstance
    return common(
        tls_certificate_provider_instance=new(instance_name=_PROVIDER, certificate_name="default"),
        tls_certificate_certificate_provider_instance=old(instance_name=_PROVIDER, certificate_name="default"),
        combined_validation_context=common.CombinedCertificateValidationContext(
            validation_context_certificate_provider_instance=old(instance_name=_PROVIDER, certificate_name="ROOTCA"),
            default_validation_context=tls_v3.CertificateValidationContext(
                match_subject_alt_names=exactly(accounts),
                ca_certificate_provider_instance=new(instance_name=_PROVIDER, certificate_name="ROOTCA"),
            ),
        ),
    )
