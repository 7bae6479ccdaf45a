"""An HTTP filter: lets requests through that bring a key, by the SHA-256 of the keys that are good."""

from __future__ import annotations

import hashlib
import hmac

from proxyless.extensions import Config
from proxyless.policies import Request, Response


class ApiKey:
    """`header`: which one brings the key (x-api-key). `sha256`: digests of the keys, in hexadecimal."""

    def __init__(self, config: Config) -> None:
        self.header = config.fields.get("header", "x-api-key")
        self.digests = config.fields.get("sha256", [])
        if not self.digests:
            raise ValueError("sha256: no key would be good")

    def on_request(self, request: Request) -> Response | None:
        """Who knows no key gets 401."""
        digest = hashlib.sha256(request.headers.get(self.header, "").encode()).hexdigest()
        if not any(hmac.compare_digest(digest, each) for each in self.digests):
            return Response(401, f"{self.header}: no such key\n")
        del request.headers[self.header]  # the app need not know it
        return None
