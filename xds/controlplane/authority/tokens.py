"""A table of tokens in a file: JSON (or YAML's flow form), one object a line.

    {"sha256": "0e2f...", "namespace": "shop", "serviceAccount": "cart", "expires": 1798761600}

`token` in place of `sha256` holds the token itself. `expires` is Unix time; without it the token holds until its line
is gone. Empty lines and lines that begin with `#` say nothing. The file is read again when it has changed; only its
owner may read it (mode 0600). `proxyless token` writes lines, with digests, so that the table gives no token away.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import yaml

from .callers import AuthorityError, Caller
from .directory import DirectoryError, refuse_open

log = logging.getLogger(__name__)

_LEAST = 16  # characters of a token that stands in the table itself
_KNOWN = {"token", "sha256", "namespace", "serviceAccount", "expires"}


class TokensError(Exception):
    """The table cannot be used; the text names file and line, and no token."""


class _WrongError(ValueError):
    """What is wrong with a line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. The digest is what is kept of the token."""

    caller: Caller
    expires: float | None


class TokenFile:
    """`Authenticator` by a table.

    Raises:
        TokensError: it cannot be read, others can read it, or a line of it is wrong.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Callable[[], float]) -> None:
        self._path = Path(path)
        self._clock = clock
        self._lock = Lock()
        self._seen: tuple[int, ...] | None = None
        self._entries: dict[str, Entry] = {}
        self._look()

    def caller(self, token: str, cluster: str) -> Caller:
        del cluster  # the table's tokens are good wherever the workload says it runs
        with self._lock:
            try:
                self._look()
            except TokensError as error:
                # A line that is being written must not lock everybody out; one that was taken away is gone.
                log.warning("%s; what the table said before stays in force", error)
            entry = self._entries.get(_digest(token))
        if entry is None:
            raise AuthorityError("the token is not known", "UNAUTHENTICATED")
        if entry.expires is not None and self._clock() >= entry.expires:
            raise AuthorityError("the token has expired", "UNAUTHENTICATED")
        return entry.caller

    def _look(self) -> None:
        try:
            found = self._path.stat()
        except OSError as error:
            self._entries = {}
            self._seen = None
            raise TokensError(f"{self._path}: {error.strerror}") from error
        stamp = found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            refuse_open(self._path)
            text = self._path.read_text(encoding="utf-8")
        except DirectoryError as error:
            self._entries = {}
            raise TokensError(str(error)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise TokensError(f"{self._path} cannot be read: {type(error).__name__}") from error
        self._entries = dict(parse(text, str(self._path)))


def parse(text: str, name: str) -> Iterator[tuple[str, Entry]]:
    """(digest, entry) of each line.

    Raises:
        TokensError: one of them is wrong.
    """
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            yield _entry(yaml.safe_load(line))
        except yaml.YAMLError:
            # The parser's own words quote the line.
            raise TokensError(f"{name}:{number}: neither JSON nor YAML") from None
        except (ValueError, OverflowError) as error:
            raise TokensError(f"{name}:{number}: {error}") from None


def _entry(said: Any) -> tuple[str, Entry]:
    if not isinstance(said, dict):
        raise _WrongError("no object (one a line)")
    if more := sorted({str(each) for each in said} - _KNOWN):
        raise _WrongError(f"unknown: {', '.join(more)}")
    namespace, account = said.get("namespace"), said.get("serviceAccount")
    if not isinstance(namespace, str) or not isinstance(account, str):
        raise _WrongError("namespace and serviceAccount are needed, as strings")
    expires = said.get("expires")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, (int, float))):
        raise _WrongError("expires is not Unix time in seconds")
    token, digest = said.get("token"), said.get("sha256")
    if isinstance(token, str) and digest is None:
        if len(token) < _LEAST:
            raise _WrongError(f"a token of less than {_LEAST} characters can be guessed")
        digest = _digest(token)
    elif token is not None or not isinstance(digest, str) or not _hexadecimal(digest):
        raise _WrongError("either token (a string) or sha256 (64 hexadecimal digits) is needed")
    return digest.lower(), Entry(Caller(namespace, account), None if expires is None else float(expires))


def new_token(caller: Caller, expires: float | None) -> tuple[str, str]:
    """(token, its line for the table)."""
    token = secrets.token_urlsafe(32)
    said: dict[str, Any] = {
        "sha256": _digest(token),
        "namespace": caller.namespace,
        "serviceAccount": caller.service_account,
    }
    if expires is not None:
        said["expires"] = int(expires)
    return token, json.dumps(said)


def add(path: Path, line: str) -> None:
    """Another line of a table, which is made where it is missing.

    Raises:
        TokensError: it cannot be written, or others can read it.
    """
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            refuse_open(path)
            file.write(line + "\n")
    except OSError as error:
        raise TokensError(f"{path}: {error.strerror}") from error
    except DirectoryError as error:
        raise TokensError(str(error)) from error


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _hexadecimal(text: str) -> bool:
    return len(text) == 64 and all(each in "0123456789abcdefABCDEF" for each in text)
