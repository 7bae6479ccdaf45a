"""What makes a mesh's settings invalid beyond the types of their fields: istiod keeps the settings it had before."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .mesh_config import MeshConfig, Network, NetworkGateway, ServiceSettings
from .problems import Problem
from .proxy_config import PrivateKeyProvider, ProxyConfig

_DOMAIN = re.compile(r"[a-zA-Z0-9_]([a-zA-Z0-9_.-]{0,253}[a-zA-Z0-9_])?")
_HOST = re.compile(r"(\*|[a-zA-Z0-9_-]+)(\.[a-zA-Z0-9_-]+)*\.?")


def mesh_config(made: MeshConfig) -> Iterator[Problem]:
    if made.proxy_listen_port < 1:
        yield ("proxyListenPort",), f"must be a port from 1 to 65535, not {made.proxy_listen_port}"
    if round(made.protocol_detection_timeout * 1e6) % 1000:
        yield ("protocolDetectionTimeout",), "must be in whole milliseconds"
    if not _DOMAIN.fullmatch(made.trust_domain):
        yield ("trustDomain",), f'"{made.trust_domain}" is no trust domain'
    for index, alias in enumerate(made.trust_domain_aliases):
        if not _DOMAIN.fullmatch(alias):
            yield ("trustDomainAliases", index), f'"{alias}" is no trust domain'
    if made.mesh_mtls.ecdh_curves:
        yield ("meshMTLS", "ecdhCurves"), "cannot be set for the mesh's own TLS"
    retries = made.default_inbound_http_retry_policy
    if retries is not None and retries.attempts == 0 and retries.backoff is not None:
        yield (
            ("defaultInboundHttpRetryPolicy", "backoff"),
            "cannot be set together with attempts 0, which is no retries",
        )


def service_settings(made: ServiceSettings) -> Iterator[Problem]:
    for index, host in enumerate(made.hosts):
        if not _HOST.fullmatch(host):
            yield ("hosts", index), f'"{host}" is no host'


def proxy_config(made: ProxyConfig) -> Iterator[Problem]:
    for key, address in (
        ("discoveryAddress", made.discovery_address),
        ("statsdUdpAddress", made.statsd_udp_address),
        ("envoyMetricsServiceAddress", made.envoy_metrics_service_address),
    ):
        yield from _address((key,), address)
    for key, service in (
        ("envoyAccessLogService", made.envoy_access_log_service),
        ("envoyMetricsService", made.envoy_metrics_service),
    ):
        if service is not None:
            yield from _address((key, "address"), service.address)
    tracing = made.tracing
    for key, tracer in (("zipkin", tracing.zipkin), ("datadog", tracing.datadog)) if tracing is not None else ():
        if tracer is not None:
            yield from _address(("tracing", key, "address"), tracer.address.replace("$(HOST_IP)", "127.0.0.1"))
    if made.control_plane_auth_policy == "INHERIT":
        yield ("controlPlaneAuthPolicy",), "cannot be INHERIT: there is nothing to inherit from"


def _address(keys: tuple[str, ...], text: str) -> Iterator[Problem]:
    host, colon, port = text.rpartition(":")
    if text and not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        yield keys, f'"{text}" is no address: it must be HOST:PORT'


def key_provider(made: PrivateKeyProvider) -> Iterator[Problem]:
    found = made.cryptomb or made.qat
    if found is None:
        yield ("cryptomb",), "or qat is required"
    elif not found.poll_delay:
        yield ("cryptomb" if made.cryptomb else "qat", "pollDelay"), "is required, and must not be 0"


def network(made: Network) -> Iterator[Problem]:
    for index, endpoint in enumerate(made.endpoints):
        if endpoint.from_cidr is None and endpoint.from_registry is None:
            yield ("endpoints", index), "needs fromCidr or fromRegistry"


def network_gateway(made: NetworkGateway) -> Iterator[Problem]:
    if made.registry_service_name is None and made.address is None:
        yield ("address",), "or registryServiceName is required"
    if not 0 < made.port < 65536:
        yield ("port",), f"must be a port from 1 to 65535, not {made.port}"
