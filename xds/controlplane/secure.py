"""The plane over TLS: its own certificate, kept fresh, and who the clients are.

On a port where clients show no certificate they bring a token; on one of its own (grpcio asks for a certificate always
or never) the certificate that they were given before does instead, as istiod takes either on one port.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from .authority.callers import AuthorityError, Caller
from .authority.service import CertificateService

log = logging.getLogger(__name__)

DEFAULT_LISTEN = "127.0.0.1:15012"


@dataclass(frozen=True, slots=True)
class Security:
    """Where TLS is served (`HOST:PORT`), and by whose certificates. `mutual`: where clients show certificates."""

    service: CertificateService
    listen: str = DEFAULT_LISTEN
    mutual: str = ""
    names: tuple[str, ...] = ()
    """More names and addresses for the server's own certificate."""

    def credentials(self, *, mutual: bool) -> grpc.ServerCredentials:
        """Looks at the authority at each handshake: certificates end, and roots follow one another.

        Raises:
            AuthorityError: there is no certificate to show.
        """
        authority, names = self.service.authority, self.names

        def wanted() -> tuple[bytes, bytes, bytes | None]:
            return (*authority.server_pair(names), authority.roots if mutual else None)

        first = wanted()
        fetch: Any = _fetcher(first, wanted)  # may return None for no change, which its stub does not know
        return grpc.dynamic_ssl_server_credentials(_configuration(first), fetch, mutual)

    def caller(self, metadata: Any, certificate: bytes | None) -> Caller:
        """Who calls. May wait for a network. Raises AuthorityError."""
        if certificate is not None:
            return self.service.authority.bearer_of(certificate)
        return self.service.caller(metadata)


def shown(context: grpc.aio.ServicerContext[Any, Any]) -> bytes | None:
    """The certificate (PEM) that a client has shown and grpc has verified."""
    found = context.auth_context().get("x509_pem_cert")
    return next(iter(found), None) if found else None


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: AuthorityError) -> None:
    """Ends the call with what is wrong."""
    log.info("%s: refused (%s): %s", context.peer(), error.status, error)
    await context.abort(grpc.StatusCode[error.status], str(error))


Wanted = tuple[bytes, bytes, bytes | None]


def _configuration(of: Wanted) -> grpc.ServerCertificateConfiguration:
    key, chain, roots = of
    return grpc.ssl_server_certificate_configuration([(key, chain)], roots)


def _fetcher(first: Wanted, wanted: Callable[[], Wanted]) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    held = [first]

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        now = wanted()
        if now == held[0]:
            return None
        held[0] = now
        return _configuration(now)

    return fetch
