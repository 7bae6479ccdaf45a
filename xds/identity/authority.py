"""Asking a certificate authority over gRPC: one request at a time, with the token and the root as they are on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc

from ..model.own_channels import OWN_CHANNEL
from ..wire import certificate_service as service
from ..wire.refused import RefusedError as UnreadableError
from .bearer import read, token
from .bootstrap import NOT_IN_THE_CLEAR
from .refusals import Reason, RefusedError
from .settings import FromAuthority

ANSWER_S = 20.0
"""How long an answer may take, the connection included."""

OPTIONS = (
    OWN_CHANNEL,
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
)

REASONS: Mapping[str, tuple[Reason, str]] = {
    "UNAUTHENTICATED": ("unauthenticated", "it refused the token"),
    "PERMISSION_DENIED": ("permission_denied", "it gives this workload no certificate"),
    "UNAVAILABLE": ("unavailable", "it is not reached"),
    "DEADLINE_EXCEEDED": ("unavailable", f"it did not answer within {ANSWER_S:.0f} s"),
    "INVALID_ARGUMENT": ("refused", "it refused the request"),
    "UNIMPLEMENTED": ("unserved", "nobody gives certificates there"),
}

HINTS = {
    "WRONG_VERSION_NUMBER": "there is no TLS at this address",
    "Hostname Verification Check failed": "its certificate is not for this host name",
    "CERTIFICATE_VERIFY_FAILED": "its certificate does not verify against the root certificate",
}
"""What grpc says when a connection fails, and what it means."""


class AuthorityClient:
    """`ask` of a `Rotation`: sends a request, returns the chain."""

    def __init__(self, settings: FromAuthority) -> None:
        self._settings = settings
        self._channel: grpc.Channel | None = None
        self._parents: grpc.Channel | None = None
        self._files: tuple[bytes | None, ...] = ()

    def __call__(self, request: bytes) -> tuple[str, ...]:
        """Raises RefusedError."""
        settings = self._settings
        if settings.token_file and not settings.tls and not settings.token_in_the_clear:
            raise RefusedError("refused", NOT_IN_THE_CLEAR, final=True)
        raw = service.encode_request(request, settings.ttl_s, settings.signer)
        call = self._connect().unary_unary(service.METHOD, None, None)
        bearer = token(settings.token_file) if settings.token_file else ""
        try:
            answer = call(raw, timeout=ANSWER_S, metadata=tuple(self._metadata(bearer)))
        except grpc.RpcError as error:
            # What connected once may be at an address of before, or know a root of before.
            self.close()
            raise refused(error, bearer) from None
        except ValueError as error:
            # A closed channel, or metadata that gRPC does not send.
            self.close()
            raise RefusedError("unavailable", f"the request cannot be sent: {type(error).__name__}") from None
        try:
            return service.decode_answer(answer)
        except UnreadableError as error:
            raise RefusedError("bad_answer", str(error)) from error

    def close(self) -> None:
        """Give the connection up."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def forked(self) -> None:
        """In a child: the connection is the parent's, and is neither used nor closed here."""
        self._parents, self._channel = self._channel, None

    def _connect(self) -> grpc.Channel:
        settings = self._settings
        if not settings.tls:
            if self._channel is None:
                self._channel = grpc.insecure_channel(settings.address, OPTIONS)
            return self._channel
        root = read(settings.root_cert, "root certificate") if settings.root_cert else None
        if root is not None and b"-----BEGIN CERTIFICATE-----" not in root:
            raise RefusedError("unavailable", f"the root certificate {settings.root_cert} holds no certificate in PEM")
        chain = key = None
        if settings.own_chain and (Path(settings.own_chain).exists() or not settings.token_file):
            chain, key = read(settings.own_chain, "certificate"), read(settings.own_key, "private key")
        if self._channel is None or self._files != (root, chain, key):
            self.close()
            self._files = (root, chain, key)
            options = OPTIONS
            if settings.server_name:
                options = (*options, ("grpc.ssl_target_name_override", settings.server_name))  # type: ignore[assignment]
            credentials = grpc.ssl_channel_credentials(root, key, chain)
            self._channel = grpc.secure_channel(settings.address, credentials, options)
        return self._channel

    def _metadata(self, bearer: str) -> list[tuple[str, str]]:
        settings = self._settings
        metadata = [("clusterid", settings.cluster_id)] if settings.cluster_id else []
        metadata += [(name.lower(), value) for name, value in settings.headers.items()]
        if bearer:
            metadata.append(("authorization", f"Bearer {bearer}"))
        return metadata


def refused(error: grpc.RpcError, bearer: str = "") -> RefusedError:
    """Why there is no certificate, in words that help. An authority that quotes the token is not quoted there."""
    call: Any = error
    code = call.code().name if hasattr(call, "code") else "UNKNOWN"
    details = call.details() or "" if hasattr(call, "details") else ""
    if bearer:
        details = details.replace(bearer, "[redacted]")
    reason, words = REASONS.get(code, ("refused", f"it answered {code}"))
    if code == "UNAVAILABLE":
        words = next((hint for sign, hint in HINTS.items() if sign in details), words)
    return RefusedError(reason, f"{words}: {details}" if details else words, final=code == "UNIMPLEMENTED")
