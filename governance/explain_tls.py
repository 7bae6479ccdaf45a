"""How an endpoint would be spoken to, for `explain`: by which transport socket, who is shown and who is expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..xds.model.tls import DataSource, SecretName, Validation
from .balancing.host import Host
from .securing import Securing, plain_securing, securing_of

if TYPE_CHECKING:
    from .call import OutgoingCall


def _secure(call: OutgoingCall, host: Host) -> Securing | None:
    if call.cluster is None or call.upstream is None:
        return plain_securing(host)
    return securing_of(call, call.cluster.of(host), host, call.upstream)


def tls_document(call: OutgoingCall, host: Host) -> dict[str, Any] | None:
    """The document's `tls`."""
    secure = _secure(call, host)
    if secure is None:
        return None
    common = secure.tls.common
    sans = [each.value for each in common.validation.sans] if common.validation is not None else []
    return {
        "mode": "mtls" if common.certificate is not None else "simple",
        "sni": secure.sni,
        "alpn": list(secure.alpn),
        "sans": list(secure.names) or sans,
    }


def said_of_tls(call: OutgoingCall, host: Host) -> list[str]:
    """A sentence; none where neither the endpoint nor its cluster has to do with TLS."""
    own = call.cluster.of(host) if call.cluster is not None else None
    matches = own.config.transport_socket_matches if own is not None else ()
    name = next((each.name for each in matches if each.socket is host.socket), "")
    by = f" (transport socket {name})" if name else ""
    secure = _secure(call, host)
    if secure is None:
        return [f"spoken to in plaintext{by}"] if matches and not host.socket.unsupported else []
    common = secure.tls.common
    shown = "no certificate" if common.certificate is None else f"the certificate {_named(common.certificate)}"
    asked = f"asks for {secure.sni}" if secure.sni else "asks for no name"
    kind = "TLS" if common.certificate is None else "mTLS"
    return [f"spoken to by {kind}{by}: {asked}, shows {shown}, expects {_expected(common.validation, secure.names)}"]


def _named(source: object) -> str:
    return source.name if isinstance(source, SecretName) else "of the configuration"


def _expected(validation: Validation | None, names: tuple[str, ...]) -> str:
    roots = _roots(validation) if validation is not None and not validation.accept_untrusted else ""
    if validation is None or not roots:
        return "anybody: nothing is verified"
    kinds = ("" if each.kind == "exact" else f"{each.kind} " for each in validation.sans)
    wanted = names or tuple(kind + each.value for kind, each in zip(kinds, validation.sans, strict=True))
    return f"{' or '.join(wanted) or 'anybody'} by {roots}"


def _roots(validation: Validation) -> str:
    """By what it is verified; empty where by nothing."""
    if validation.secret is not None:
        return validation.secret.name
    if validation.system_roots:
        return "the system's roots"
    own = validation.spiffe_domains or validation.roots != DataSource()
    return "roots of the configuration" if own else ""
