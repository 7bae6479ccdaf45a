"""Tokens that Kubernetes knows: its API server is asked for each of them (TokenReview, authentication.k8s.io/v1).

The token must be a service account's and for the audience `istio-ca`, as istiod wants it: a token for the API server
itself, which any pod may hold, is refused. The control plane's own account needs `create` on `tokenreviews`.
"""

from __future__ import annotations

import logging
from typing import Any

from ..apiserver import ConfigurationMissing, configured
from .callers import AuthorityError, Caller

log = logging.getLogger(__name__)

AUDIENCE = "istio-ca"
ACCOUNTS = "system:serviceaccounts"
ANSWER_S = 10.0


class TokenReview:
    """`Authenticator` by a Kubernetes API server.

    `api` is a `kubernetes.client.ApiClient`; without one the configuration is that of a pod, or of `kubeconfig` (by
    default that of kubectl). `cluster` is the one that workloads may say they run in; empty: any.

    Raises:
        ReviewError: the package `kubernetes` is missing, or there is no configuration.
    """

    def __init__(self, api: Any = None, *, kubeconfig: str | None = None, cluster: str = "") -> None:
        try:
            made = api if api is not None else configured(kubeconfig)
        except ConfigurationMissing as error:
            raise ReviewError(str(error)) from error
        from kubernetes import client

        self._client = client
        self._api = client.AuthenticationV1Api(made)
        self._cluster = cluster

    def caller(self, token: str, cluster: str) -> Caller:
        if self._cluster and cluster not in ("", self._cluster):
            raise AuthorityError(f"the cluster {cluster[:80]!r} is not known here", "UNAUTHENTICATED")
        client = self._client
        spec = client.V1TokenReviewSpec(token=token, audiences=[AUDIENCE])
        try:
            answer = self._api.create_token_review(client.V1TokenReview(spec=spec), _request_timeout=ANSWER_S)
        except Exception as error:  # of urllib3's and of the client's own; their texts may quote the request
            why = getattr(error, "status", None) or type(error).__name__
            log.warning("the Kubernetes API server does not review tokens: %s", why)
            raise AuthorityError("the Kubernetes API server cannot be asked about the token", "UNAVAILABLE") from None
        return _caller(answer.status)


class ReviewError(Exception):
    """Kubernetes cannot be asked; the text is for people."""


def _caller(status: Any) -> Caller:
    if status is None or not status.authenticated or status.error:
        raise _refused("Kubernetes does not know the token")
    if AUDIENCE not in (status.audiences or ()):
        # A server that does not understand audiences leaves them out, and has not compared them.
        raise _refused(f"the token is not for the audience {AUDIENCE}")
    user = status.user
    if user is None or ACCOUNTS not in (user.groups or ()):
        raise _refused("the token is not a service account's")
    parts = (user.username or "").split(":")
    if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"]:
        raise _refused("the token's user is no service account")
    try:
        return Caller(parts[2], parts[3])
    except ValueError:
        raise _refused("the token's user is no service account") from None


def _refused(why: str) -> AuthorityError:
    return AuthorityError(why, "UNAUTHENTICATED")
