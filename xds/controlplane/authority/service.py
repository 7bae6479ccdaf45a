"""istio.v1.auth.IstioCertificateService over bytes: who asks, what for, and what is answered."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError

from ...wire.schema.types import istio_auth_v1
from .authority import Authority
from .callers import Authenticator, AuthorityError, Caller, bearer

log = logging.getLogger(__name__)

SERVICE = "istio.v1.auth.IstioCertificateService"
METHOD = "CreateCertificate"
_IMPERSONATED = "ImpersonatedIdentity"


class CertificateService:
    """Answers one call at a time, in whatever thread; may wait for whoever knows the token."""

    def __init__(self, authority: Authority, authenticators: Sequence[Authenticator]) -> None:
        self.authority = authority
        self._authenticators = tuple(authenticators)

    def caller(self, metadata: Iterable[tuple[str, str | bytes]]) -> Caller:
        """Who calls. The first that knows the token counts.

        Raises:
            AuthorityError: nobody who is known; where somebody could not be asked, that.
        """
        token, cluster = bearer(metadata)
        failed: AuthorityError | None = None
        for each in self._authenticators:
            try:
                return each.caller(token, cluster)
            except AuthorityError as error:
                failed = error if failed is None or error.status == "UNAVAILABLE" else failed
        raise failed or AuthorityError("nobody here knows tokens", "UNAUTHENTICATED")

    def create(self, raw: bytes, caller: Caller) -> bytes:
        """An encoded IstioCertificateResponse for an IstioCertificateRequest.

        Raises:
            AuthorityError: there is no certificate.
        """
        try:
            request = istio_auth_v1.IstioCertificateRequest.FromString(raw)
        except DecodeError:
            raise AuthorityError("the request is no IstioCertificateRequest", "INVALID_ARGUMENT") from None
        if _IMPERSONATED in request.metadata.fields:
            # istiod lets its node agents ask for the identities of their pods; here nobody asks for another's.
            raise AuthorityError("nobody may ask for the identity of another workload", "UNAUTHENTICATED")
        chain = self.authority.create(caller, request.csr.encode(), request.validity_duration)
        log.info("certificate for %s", self.authority.identity(caller))
        return istio_auth_v1.IstioCertificateResponse(cert_chain=chain).SerializeToString()
