"""What the command line says of the development authority, made into what the control plane's server takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..xds.controlplane.authority.authority import Authority
    from ..xds.controlplane.secure import Security


@dataclass(frozen=True, slots=True)
class Said:
    """The options of `serve` that are about TLS."""

    tls_listen: str | None
    mtls_listen: str | None
    ca_dir: str | None
    tokens: str | None
    token_review: bool
    kubeconfig: str | None
    lifetime_s: float
    server_names: tuple[str, ...] = ()

    def authority(self, trust_domain: Callable[[], str]) -> Authority | None:
        """None where there is no --ca-dir.

        Raises:
            ConfigurationError: the folder cannot be used.
        """
        if self.ca_dir is None:
            return None
        from ..xds.controlplane.authority.authority import Authority
        from ..xds.controlplane.authority.directory import Directory, DirectoryError

        try:
            kept = Directory(self.ca_dir, time.time())
        except DirectoryError as error:
            raise ConfigurationError(str(error)) from error
        return Authority(kept, time.time, trust_domain, lifetime_s=self.lifetime_s)

    @property
    def names(self) -> tuple[str, ...]:
        """What the control plane is called, for its own certificate."""
        hosts = [each.rpartition(":")[0].strip("[]") for each in (self.tls_listen, self.mtls_listen) if each]
        return (*(each for each in hosts if each not in ("", "0.0.0.0", "::")), *self.server_names)

    def security(self, authority: Authority | None) -> Security | None:
        """None where TLS is not served.

        Raises:
            ConfigurationError: options that do not go together, or a file that cannot be used.
        """
        if self.tls_listen is None:
            if any((self.mtls_listen, self.tokens, self.token_review)):
                raise ConfigurationError("the authority answers over TLS only: --tls-listen HOST:PORT is missing")
            return None
        if authority is None:
            raise ConfigurationError("--tls-listen needs --ca-dir DIR: clients verify this server by its root-cert.pem")
        if not (self.tokens or self.token_review):
            raise ConfigurationError("--tls-listen needs --tokens FILE or --token-review: nobody else is let in")
        from ..xds.controlplane.authority.callers import Authenticator
        from ..xds.controlplane.authority.kubernetes import ReviewError, TokenReview
        from ..xds.controlplane.authority.service import CertificateService
        from ..xds.controlplane.authority.tokens import TokenFile, TokensError
        from ..xds.controlplane.secure import Security

        known: list[Authenticator] = []
        try:
            if self.tokens:
                known.append(TokenFile(self.tokens, time.time))
            if self.token_review:
                known.append(TokenReview(kubeconfig=self.kubeconfig))
        except (TokensError, ReviewError) as error:
            raise ConfigurationError(str(error)) from error
        return Security(CertificateService(authority, known), self.tls_listen, self.mtls_listen or "", self.names)
