"""A call to a gRPC server as the app's handler sees it: grpcio's own context, with what the mesh knows better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ._grpc_codes import number_of
from ._grpc_inbound import IDENTITY_KEY, Incoming, Metadata, auth_context, identities, peer_text


class Told:
    """What contexts in threads and on event loops have in common; mixed into grpcio's own class of either."""

    def __init__(self, inner: Any, incoming: Incoming, metadata: Metadata) -> None:
        self._inner = inner
        self._incoming = incoming
        self._metadata = metadata

    def __getattr__(self, name: str) -> Any:
        """What this version of grpcio has besides."""
        return getattr(self._inner, name)

    # -- as the mesh tells it -------------------------------------------------------------------------------------

    def invocation_metadata(self) -> Any:
        return self._metadata

    def peer(self) -> str:
        came = self._incoming.came
        text: str = self._inner.peer() if came is None else peer_text(came.source)
        return text

    def peer_identities(self) -> Iterable[bytes] | None:
        came = self._incoming.came
        return self._inner.peer_identities() if came is None else identities(came) or None

    def peer_identity_key(self) -> str | None:
        came = self._incoming.came
        if came is None:
            key: str | None = self._inner.peer_identity_key()
            return key
        return IDENTITY_KEY if identities(came) else None

    def auth_context(self) -> Any:
        came = self._incoming.came
        return self._inner.auth_context() if came is None else auth_context(came)

    def set_code(self, code: Any) -> None:
        self._inner.set_code(code)
        self._incoming.code = number_of(code)

    # -- as it is -------------------------------------------------------------------------------------------------

    def time_remaining(self) -> Any:
        return self._inner.time_remaining()

    def set_compression(self, compression: Any) -> None:
        self._inner.set_compression(compression)

    def disable_next_message_compression(self) -> None:
        self._inner.disable_next_message_compression()

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._inner.set_trailing_metadata(trailing_metadata)

    def trailing_metadata(self) -> Any:
        return self._inner.trailing_metadata()

    def set_details(self, details: str) -> None:
        self._inner.set_details(details)

    def details(self) -> Any:
        return self._inner.details()

    def code(self) -> Any:
        return self._inner.code()
