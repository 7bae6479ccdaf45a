"""TLS of the mesh's connections: contexts by whatever identity the process has (governance.securing.Tls)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .governance.securing import InsecureError, Securing

if TYPE_CHECKING:
    from .governance.runtime import Runtime
    from .xds.identity.client import ClientContexts
    from .xds.identity.secrets import Secrets


class MeshTls:
    """Contexts of one mesh; what they need is imported with the first of them."""

    def __init__(self, secrets: Callable[[], Secrets]) -> None:
        self._secrets = secrets
        self._contexts: ClientContexts | None = None
        self._process = 0

    def client(self, wanted: Securing, address: str) -> Any:
        """As `governance.securing.Tls` says it."""
        from .xds.identity.client import ClientContexts
        from .xds.identity.secrets import IdentityError

        if self._contexts is None or self._process != os.getpid():
            # Of a forked child's own: the lock and the sessions of the parent's are not.
            self._process = os.getpid()
            self._contexts = ClientContexts(self._secrets())
        try:
            return self._contexts.context(wanted.tls, wanted.alpn, wanted.names, wanted.sni, address)
        except (IdentityError, ValueError) as error:
            raise InsecureError(str(error)) from error


def give_tls(runtime: Runtime, secrets: Callable[[], Secrets]) -> None:
    """From now on connections are secured by this identity, which is asked for with the first of them."""
    runtime.tls = MeshTls(secrets)
