"""The token by which a workload proves itself: read from its file for each use, for it is replaced there."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

from .refusals import RefusedError


def token(path: str) -> str:
    """The token of a file as it is now. Raises RefusedError, with nothing of it in the text."""
    text = read(path, "token").decode("latin-1").strip()
    if not text:
        raise RefusedError("unauthenticated", f"the token file {path} is empty")
    if not (text.isascii() and text.isprintable()):
        raise RefusedError("unauthenticated", f"the token file {path} holds something that is no token")
    return text


def account_of_token(path: str) -> tuple[str, str] | None:
    """(namespace, service account) that a Kubernetes token is for, if it can be read; whether it is true is the
    authority's business."""
    try:
        claims: Any = json.loads(urlsafe_b64decode(token(path).split(".")[1] + "=="))
        kind, account, namespace, name = str(claims["sub"]).split(":")
    except (RefusedError, ValueError, KeyError, TypeError, IndexError):
        return None
    return (namespace, name) if (kind, account) == ("system", "serviceaccount") else None


def read(path: str, what: str) -> bytes:
    """A file that is needed to ask. Raises RefusedError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise RefusedError("unavailable", f"cannot read the {what} {path}: {error.strerror}") from error
