"""Whether the control plane is reached: its name, a connection, TLS by the root certificate."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from .finding import ERROR, GOOD, Finding


@dataclass(frozen=True, slots=True)
class Target:
    """Where it is, and by what it is verified; `root`: a file, empty for the system's authorities."""

    address: str
    tls: bool
    root: str

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


def reach(target: Target, timeout_s: float) -> Iterator[Finding]:
    """An error ends it: what comes after cannot go well."""
    host, port = target.host, target.port
    if target.address.startswith("unix:"):
        return
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        do = "look at the name, the namespace in it, and the resolver of this machine (/etc/resolv.conf)"
        yield Finding("control plane", ERROR, f"{host} does not resolve: {error.strerror}", do)
        return
    addresses = ", ".join(sorted({str(each[4][0]) for each in found}))
    try:
        connection = socket.create_connection((host, port), timeout=timeout_s)
    except OSError as error:
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
        do = (
            "a NetworkPolicy or a firewall drops it: allow this port"
            if isinstance(error, TimeoutError)
            else "is it running, is the port right (15012 TLS, 15010 plaintext), has its Service endpoints?"
        )
        yield Finding("control plane", ERROR, f"{target.address} ({addresses}): {why}", do)
        return
    with connection:
        yield Finding("control plane", GOOD, f"{target.address} ({addresses}) takes connections")
        if target.tls:
            yield _shaken(connection, target)


def _shaken(connection: socket.socket, target: Target) -> Finding:
    try:
        context = ssl.create_default_context(cafile=target.root or None)
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(connection, server_hostname=target.host) as shaken:
            if shaken.selected_alpn_protocol() != "h2":
                do = "look at the port: 15012 serves xDS; 443 and 15017 are others' ports"
                return Finding("tls", ERROR, f"{target.address} speaks TLS, but no HTTP/2: it is no control plane", do)
            return Finding("tls", GOOD, f"{shaken.version()}, and its certificate is for {target.host}")
    except ssl.SSLCertVerificationError as error:
        return _unverified(error, target)
    except ssl.SSLError as error:
        do = "port 15010 has no TLS: say xds:// or port 15010; else something in between answers"
        return Finding("tls", ERROR, f"{target.address} does not speak TLS ({error.reason or 'it hung up'})", do)
    except OSError as error:
        do = "look at the port, and at what stands in between"
        return Finding("tls", ERROR, f"{target.address} hung up in the handshake: {error.strerror}", do)


def _unverified(error: ssl.SSLCertVerificationError, target: Target) -> Finding:
    root = target.root or "the system's authorities"
    said = error.verify_message.rstrip(".")
    if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
        do = "use a name that the certificate has, such as istiod.istio-system.svc"
        return Finding("tls", ERROR, f"its certificate is not for {target.host}: {_names(target)}", do)
    if error.verify_code in (9, 10):  # not yet valid, expired
        do = "mend the clock of this machine or of the control plane; or renew the certificate"
        return Finding("tls", ERROR, f"its certificate does not hold now: {said}", do)
    do = f"{root} is another authority's: take root-cert.pem of the ConfigMap istio-ca-root-cert as it is now"
    return Finding("tls", ERROR, f"its certificate does not verify by {root}: {said}", do)


def _names(target: Target) -> str:
    """What the certificate is for, which a second handshake tells that verifies nothing and sends nothing."""
    from cryptography import x509

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, ValueError, x509.ExtensionNotFound):
        with (
            socket.create_connection((target.host, target.port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname=target.host) as shaken,
        ):
            der = shaken.getpeercert(binary_form=True) or b""
        names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        found = [str(each.value) for each in names.value]
        return f"it is for {', '.join(found[:6])}"
    return "it names nobody"
