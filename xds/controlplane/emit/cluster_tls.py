"""How connections of an outbound cluster are encrypted, and what is said before: TLS modes, mTLS on its own, PROXY.

Of an endpoint's two ways (plaintext, the mesh's mTLS) the cluster offers both where nobody chose: which one counts is
in the endpoint's metadata.
"""

from __future__ import annotations

from dataclasses import replace

from ...wire.schema.types import core_v3, tls_v3, transport_sockets_proxy_protocol_v3
from ..api.destination_rule import ClientTLSSettings
from ..mesh import MeshConfig
from . import dynamic_dns, filters, tls
from .cluster_target import Certificates, Cluster, Options, Target
from .messages import pack

_ANYONES = "configmap://"
_PROXY_PROTOCOL = "envoy.transport_sockets.upstream_proxy_protocol"


def encrypt(
    cluster: Cluster, said: ClientTLSSettings | None, target: Target, options: Options | None
) -> Options | None:
    """Sets the sockets; returns the HTTP options, which hold where the server's name comes from."""
    wanted = _settings(said, target)
    if wanted is None or wanted.mode == "DISABLE":
        return options
    http2 = options is not None and options.explicit_http_config.HasField("http2_protocol_options")
    if wanted.mode == "ISTIO_MUTUAL":
        sni = wanted.sni or ("" if target.forwards else cluster.name)
        socket = tls.upstream_socket(tls.mesh_mutual(wanted.subject_alt_names, sni, http2=http2))
        if target.forwards:
            options = _named_by_request(cluster, wanted, options, forwards=True)
        if said is None and cluster.type != Cluster.ORIGINAL_DST:
            cluster.transport_socket_matches.extend(tls.by_endpoint(socket))
        else:
            cluster.transport_socket.CopyFrom(socket)
        return options
    if wanted.credential_name and not (target.selected or wanted.credential_name.startswith(_ANYONES)):
        return options  # secrets by name are for workloads that a selector picks, so that no other waits for them
    options = _named_by_request(cluster, wanted, options, forwards=target.forwards)
    accounts = wanted.subject_alt_names
    if not accounts and target.service.registry == "External":
        accounts = target.accounts
    context = _context(wanted, accounts, target.mesh, target.certificates, http2=http2)
    if context is not None:
        cluster.transport_socket.CopyFrom(tls.upstream_socket(context))
    return options


def encrypt_any(
    cluster: Cluster,
    said: ClientTLSSettings | None,
    mesh: MeshConfig,
    certificates: Certificates,
) -> Options | None:
    """TLS to hosts that nobody knows, as MeshConfig says; returns the HTTP options that it needs.

    Credentials by name would be asked for by everybody.
    """
    if said is None or said.mode == "DISABLE":
        return None
    if said.mode == "ISTIO_MUTUAL":
        context: tls_v3.UpstreamTlsContext | None = tls.mesh_mutual(said.subject_alt_names, said.sni, http2=False)
    elif said.credential_name and not said.credential_name.startswith(_ANYONES):
        return None
    else:
        context = _context(said, said.subject_alt_names, mesh, certificates, http2=False)
    options = _named_by_request(cluster, said, None, forwards=True)
    if options is not None:
        options.explicit_http_config.http_protocol_options.SetInParent()
    if context is not None:
        cluster.transport_socket.CopyFrom(tls.upstream_socket(context))
    return options


def _settings(said: ClientTLSSettings | None, target: Target) -> ClientTLSSettings | None:
    """What the rule says, filled up; without a rule the mesh's mTLS, unless it must not be tried."""
    if said is not None and said.mode in ("DISABLE", "SIMPLE"):
        return said
    own = target.certificates
    if said is not None:
        if own.chain:
            return said if target.service.external else _with_own(said.subject_alt_names, said.sni, said, target)
        if said.mode != "ISTIO_MUTUAL":
            return said
        return replace(said, sni=said.sni or target.sni, subject_alt_names=said.subject_alt_names or target.accounts)
    if not target.mesh.enable_auto_mtls or target.mutual_mode not in ("PERMISSIVE", "STRICT"):
        return None
    if own.chain:
        return _with_own(target.accounts, target.sni, None, target)
    return ClientTLSSettings(mode="ISTIO_MUTUAL", sni=target.sni, subject_alt_names=target.accounts)


def _with_own(accounts: tuple[str, ...], sni: str, said: ClientTLSSettings | None, target: Target) -> ClientTLSSettings:
    """Mutual TLS with the files that the proxy's metadata names."""
    own = target.certificates
    return ClientTLSSettings(
        mode="MUTUAL",
        client_certificate=own.chain,
        private_key=own.key,
        ca_certificates=own.root,
        subject_alt_names=accounts,
        sni=sni,
        insecure_skip_verify=said.insecure_skip_verify if said is not None else None,
    )


def _named_by_request(
    cluster: Cluster, wanted: ClientTLSSettings, options: Options | None, *, forwards: bool
) -> Options | None:
    """Without a name in the rule the Host header is asked for, and has to be answered for.

    A cluster that `forwards` checks the answer against the name that was called, whatever the rule says.
    """
    automatic = not wanted.sni
    checked = (forwards or (automatic and not wanted.subject_alt_names)) and not wanted.insecure_skip_verify
    if forwards and not (automatic and checked):
        dynamic_dns.allow_insecure(cluster)
    if automatic or checked:
        options = options or Options()
        upstream = options.upstream_http_protocol_options
        upstream.SetInParent()
        upstream.auto_sni = automatic
        upstream.auto_san_validation = checked
    return options


def _context(
    wanted: ClientTLSSettings, accounts: tuple[str, ...], mesh: MeshConfig, apart: Certificates, *, http2: bool
) -> tls_v3.UpstreamTlsContext | None:
    """SIMPLE and MUTUAL. None for one that lacks its certificate."""
    mutual = wanted.mode == "MUTUAL"
    verify = not wanted.insecure_skip_verify
    made = tls.origination(wanted.sni, mesh.tls_defaults, http2=http2)
    common = made.common_tls_context
    if wanted.credential_name:
        if mutual:
            common.tls_certificate_sds_secret_configs.append(
                tls.named_secret(wanted.credential_name, named_apart=apart.named_apart)
            )
        if verify:
            secret = tls.named_secret(wanted.credential_name + tls.CA_SUFFIX, named_apart=apart.named_apart)
            common.combined_validation_context.CopyFrom(tls.validation(accounts, secret))
        return made
    if mutual:
        if not (wanted.client_certificate and wanted.private_key):
            return None
        name = f"file-cert:{wanted.client_certificate}~{wanted.private_key}"
        common.tls_certificate_sds_secret_configs.append(tls.secret(name, files_apart=apart.files_apart))
    if verify:
        root = tls.secret(f"file-root:{wanted.ca_certificates or 'system'}", files_apart=apart.files_apart)
        common.combined_validation_context.CopyFrom(tls.validation(accounts, root, wanted.ca_crl))
    else:
        common.validation_context.SetInParent()
    return made


def announce(cluster: Cluster, version: str) -> None:
    """PROXY protocol around every socket there is."""

    def wrap(socket: core_v3.TransportSocket) -> core_v3.TransportSocket:
        config = transport_sockets_proxy_protocol_v3.ProxyProtocolUpstreamTransport(
            config=core_v3.ProxyProtocolConfig(version=core_v3.ProxyProtocolConfig.Version.Value(version)),
            transport_socket=socket,
        )
        return core_v3.TransportSocket(name=_PROXY_PROTOCOL, typed_config=pack(config))

    if cluster.HasField("transport_socket"):
        cluster.transport_socket.CopyFrom(wrap(cluster.transport_socket))
    elif not cluster.transport_socket_matches:
        cluster.transport_socket.CopyFrom(wrap(filters.raw_buffer()))
    for match in cluster.transport_socket_matches:
        match.transport_socket.CopyFrom(wrap(match.transport_socket))
