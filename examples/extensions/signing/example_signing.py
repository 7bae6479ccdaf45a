"""An HTTP filter that looks at bodies: it signs what goes out, by HMAC-SHA256 in `x-signature`."""

from __future__ import annotations

import hmac

from proxyless.extensions import Config
from proxyless.policies import Request


class Signing:
    """`key`: that of the signature. `max_request_bytes`: of a body, 64 KiB unless it is said."""

    def __init__(self, config: Config) -> None:
        self._key = str(config.fields["key"]).encode()
        self.max_request_bytes = int(config.fields.get("max_request_bytes", 65536))

    def on_request(self, request: Request) -> None:
        """What has no body is not signed."""
        if request.body:
            request.headers["x-signature"] = hmac.new(self._key, request.body, "sha256").hexdigest()
