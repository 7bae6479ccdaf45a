"""Who asks: a service account, known by a bearer token."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ACCOUNT = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LONGEST_TOKEN = 16 * 1024


class AuthorityError(Exception):
    """A certificate is not given; the text is for whoever asked, and holds no secret. `status` is grpc's name."""

    def __init__(self, text: str, status: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Caller:
    """A service account whose token has been verified."""

    namespace: str
    service_account: str

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ValueError(f"{self.namespace!r} is no name of a namespace")
        if not _ACCOUNT.fullmatch(self.service_account):
            raise ValueError(f"{self.service_account!r} is no name of a service account")

    def identity(self, trust_domain: str) -> str:
        """Its SPIFFE identity, as Istio writes it."""
        return f"spiffe://{trust_domain}/ns/{self.namespace}/sa/{self.service_account}"


class Authenticator(Protocol):
    """Knows tokens. May wait for a network; every call is made in a thread that may."""

    def caller(self, token: str, cluster: str) -> Caller:
        """Whose token this is. `cluster` is where the workload says it runs; empty where it does not.

        Raises:
            AuthorityError: nobody's (UNAUTHENTICATED), or it cannot be told (UNAVAILABLE).
        """


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[str, str]:
    """(token, cluster) of a call's metadata.

    Raises:
        AuthorityError: there is no token, or more than one.
    """
    said, clusters = [], []
    for name, value in metadata:
        if name == "authorization" and isinstance(value, str):
            said.append(value)
        elif name == "clusterid" and isinstance(value, str):
            clusters.append(value)
    # As istiod: of several schemes the bearer's counts.
    tokens = [each[7:].strip() for each in said if each[:7].lower() == "bearer "]
    if len(tokens) != 1 or not tokens[0] or len(tokens[0]) > _LONGEST_TOKEN:
        raise AuthorityError("one token is needed (authorization: Bearer ...)", "UNAUTHENTICATED")
    return tokens[0], clusters[0] if len(clusters) == 1 else ""
