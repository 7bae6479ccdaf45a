"""TLS contexts: what a cluster offers, what an inbound chain asks for, and where the certificates come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from ...wire.schema.types import cluster_v3, core_v3, google_protobuf, tls_v3
from ..api.mesh_config import TLSConfig
from ..mesh import MeshConfig
from ..registry.node import Node
from . import filters
from .messages import exactly, flag, pack, texts

TLS_SOCKET = "envoy.transport_sockets.tls"
ALPN_MESH = ("istio-peer-exchange", "istio")
ALPN_MESH_H2 = (*ALPN_MESH, "h2")
ALPN_HTTP = ("h2", "http/1.1")
ALPN_TCP = ("istio-peer-exchange", *ALPN_HTTP)
CA_SUFFIX = "-cacert"
EXTERNAL_SECRETS = "sds-external"
_AGENT = "sds-grpc"
_FILES = "sds-files-grpc"
_OWN = ("default", "ROOTCA")
_BUILT_IN = "builtin://"
_EXTERNAL = "sds://"
_TYPED = ("kubernetes://", "configmap://", "kubernetes-gateway://")

CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
)


def secret(name: str, *, files_apart: bool = False) -> tls_v3.SdsSecretConfig:
    """A secret of the workload's own agent, which Envoy reaches as the cluster `sds-grpc`.

    For the mesh's own certificates it waits without end. `files_apart`: files are read by a server of their own.
    """
    if name in _OWN:
        return tls_v3.SdsSecretConfig(name=name, sds_config=_from(_AGENT, endless=True))
    return tls_v3.SdsSecretConfig(name=name, sds_config=_from(_FILES if files_apart else _AGENT))


def named_secret(name: str, *, named_apart: bool) -> tls_v3.SdsSecretConfig:
    """A secret by the name that a DestinationRule gives it: istiod sends it, or a server beside the proxy."""
    if name.startswith(_BUILT_IN):
        return secret("ROOTCA" if name == _BUILT_IN + CA_SUFFIX else "default")
    if name.startswith(_EXTERNAL):
        if named_apart:
            return tls_v3.SdsSecretConfig(name=name, sds_config=_from(EXTERNAL_SECRETS))
        name = name.removeprefix(_EXTERNAL)
    if not name.startswith(_TYPED):
        name = f"kubernetes://{name}"
    asked = core_v3.ConfigSource(
        ads=core_v3.AggregatedConfigSource(), resource_api_version=core_v3.ApiVersion.Value("V3")
    )
    return tls_v3.SdsSecretConfig(name=name, sds_config=asked)


@cache
def _from(cluster: str, *, endless: bool = False) -> core_v3.ConfigSource:
    source = core_v3.ApiConfigSource(
        api_type=core_v3.ApiConfigSource.GRPC,
        grpc_services=[core_v3.GrpcService(envoy_grpc=core_v3.GrpcService.EnvoyGrpc(cluster_name=cluster))],
        set_node_on_first_message_only=True,
        transport_api_version=core_v3.ApiVersion.Value("V3"),
    )
    return core_v3.ConfigSource(
        api_config_source=source,
        initial_fetch_timeout=google_protobuf.Duration() if endless else None,
        resource_api_version=core_v3.ApiVersion.Value("V3"),
    )


def _versions() -> tls_v3.TlsParameters:
    return tls_v3.TlsParameters(
        tls_minimum_protocol_version=tls_v3.TlsParameters.TLSv1_2,
        tls_maximum_protocol_version=tls_v3.TlsParameters.TLSv1_3,
    )


@cache
def _mutual(alpn: tuple[str, ...]) -> tls_v3.UpstreamTlsContext:
    return tls_v3.UpstreamTlsContext(
        common_tls_context=tls_v3.CommonTlsContext(
            tls_params=_versions(),
            alpn_protocols=alpn,
            tls_certificate_sds_secret_configs=[secret("default")],
            combined_validation_context=validation((), secret("ROOTCA")),
        )
    )


def mesh_mutual(accounts: Iterable[str], sni: str, *, http2: bool) -> tls_v3.UpstreamTlsContext:
    """ISTIO_MUTUAL: the mesh's certificates, and only these identities may answer."""
    made = tls_v3.UpstreamTlsContext()
    made.CopyFrom(_mutual(ALPN_MESH_H2 if http2 else ALPN_MESH))
    made.sni = sni
    context = made.common_tls_context.combined_validation_context.default_validation_context
    context.match_subject_alt_names.extend(exactly(accounts))
    return made


def origination(sni: str, defaults: TLSConfig, *, http2: bool) -> tls_v3.UpstreamTlsContext:
    """SIMPLE and MUTUAL, without certificates yet."""
    params = _versions()
    params.ecdh_curves.extend(defaults.ecdh_curves)
    params.cipher_suites.extend(defaults.cipher_suites)
    common = tls_v3.CommonTlsContext(tls_params=params, alpn_protocols=["h2"] if http2 else ())
    return tls_v3.UpstreamTlsContext(common_tls_context=common, sni=sni)


def validation(
    accounts: Iterable[str], root: tls_v3.SdsSecretConfig, revoked: str = ""
) -> tls_v3.CommonTlsContext.CombinedCertificateValidationContext:
    """Who may answer: with a certificate by that root, in one of these names, and not in the list of that file."""
    context = tls_v3.CertificateValidationContext(match_subject_alt_names=exactly(accounts))
    if revoked:
        context.crl.filename = revoked
    return tls_v3.CommonTlsContext.CombinedCertificateValidationContext(
        default_validation_context=context, validation_context_sds_secret_config=root
    )


def upstream_socket(context: tls_v3.UpstreamTlsContext) -> core_v3.TransportSocket:
    return core_v3.TransportSocket(name=TLS_SOCKET, typed_config=pack(context))


def by_endpoint(mutual: core_v3.TransportSocket) -> list[cluster_v3.Cluster.TransportSocketMatch]:
    """Auto mTLS: endpoints whose metadata says so get mTLS, the others plaintext."""
    match = cluster_v3.Cluster.TransportSocketMatch
    return [
        match(name="tlsMode-istio", match=texts({"tlsMode": "istio"}), transport_socket=mutual),
        match(name="tlsMode-disabled", match=google_protobuf.Struct(), transport_socket=filters.raw_buffer()),
    ]


@dataclass(frozen=True, slots=True)
class Files:
    """Certificates in files, which a workload's node may name to be used in place of the mesh's own."""

    certificate: str = ""
    key: str = ""
    root: str = ""
    own_server: bool = False

    @classmethod
    def of(cls, node: Node) -> Files:
        return cls(
            node.text("TLS_SERVER_CERT_CHAIN"),
            node.text("TLS_SERVER_KEY"),
            node.text("TLS_SERVER_ROOT_CERT"),
            node.text("file-credential") == "true",
        )

    def own(self) -> tls_v3.SdsSecretConfig:
        both = self.certificate and self.key
        return secret(f"file-cert:{self.certificate}~{self.key}" if both else "default", files_apart=self.own_server)

    def trusted(self) -> tls_v3.SdsSecretConfig:
        return secret(f"file-root:{self.root}" if self.root else "ROOTCA", files_apart=self.own_server)


def downstream_socket(mesh: MeshConfig, *, tcp: bool, files: Files = Files()) -> core_v3.TransportSocket:
    """What an inbound chain asks of a peer: a certificate of the mesh's trust domains."""
    others = (name for each in mesh.ca_certificates for name in each.trust_domains)
    names = dict.fromkeys((mesh.trust_domain, *mesh.trust_domain_aliases, *others))
    return _downstream(tuple(name for name in names if name), mesh.mesh_mtls, tcp, files)


@cache
def _downstream(trust_domains: tuple[str, ...], wanted: TLSConfig, tcp: bool, files: Files) -> core_v3.TransportSocket:
    params = _versions()
    if wanted.min_protocol_version == "TLSV1_3":
        params.tls_minimum_protocol_version = tls_v3.TlsParameters.TLSv1_3
    params.cipher_suites.extend(wanted.cipher_suites or CIPHERS)
    peers = validation((), files.trusted())
    for name in trust_domains:
        peers.default_validation_context.match_subject_alt_names.add(prefix=f"spiffe://{name}/")
    context = tls_v3.DownstreamTlsContext(
        common_tls_context=tls_v3.CommonTlsContext(
            tls_params=params,
            alpn_protocols=ALPN_TCP if tcp else ALPN_HTTP,
            tls_certificate_sds_secret_configs=[files.own()],
            combined_validation_context=peers,
        ),
        require_client_certificate=flag(True),
    )
    return core_v3.TransportSocket(name=TLS_SOCKET, typed_config=pack(context))
