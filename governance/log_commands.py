"""Commands that say more in access logs and spans than in headers: those of what is over, and of secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .durations import sending
from .subject import Subject

Command = Callable[[Subject], "bytes | None"]

SECRETS = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-goog-iap-jwt-assertion"})
"""Headers whose values never get into a log or a span, whatever its format asks for."""

REDACTED = b"[redacted]"


def hidden(name: bytes) -> bool:
    """Whether the values of a header are secrets: these, and whatever calls itself a token or a key."""
    return name in SECRETS or name.endswith((b"token", b"api-key", b"apikey", b"secret", b"password"))


def unless_secret(command: Command, names: tuple[bytes, ...]) -> Command:
    """The command of a header, which in logs tells no secret."""
    if not any(map(hidden, names)):
        return command

    def redacted(subject: Subject) -> bytes | None:
        found = command(subject)
        return REDACTED if found is not None and subject.log_type else found

    return redacted


def _remote(subject: Subject) -> bytes | None:
    source = subject.request.remote or subject.request.source
    if not subject.log_type or not source:
        return None
    shown = f"[{source}]" if ":" in source else source
    return f"{shown}:{subject.source_port}".encode()


def _direct(subject: Subject) -> bytes | None:
    source = subject.request.source
    if not subject.log_type or not source:
        return None
    shown = f"[{source}]" if ":" in source else source
    return f"{shown}:{subject.source_port}".encode()


def _port(subject: Subject) -> bytes | None:
    return b"%d" % subject.source_port if subject.log_type and subject.source_port else None


def _text(value: str) -> bytes | None:
    return value.encode() or None


OF_LOGS: Mapping[str, Command] = {
    "ACCESS_LOG_TYPE": lambda subject: subject.log_type.encode() or b"NotSet",
    "BYTES_RECEIVED": lambda subject: b"%d" % subject.received,
    "BYTES_SENT": lambda subject: b"%d" % subject.sent,
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": _direct,
    "DOWNSTREAM_DIRECT_REMOTE_PORT": _port,
    "DOWNSTREAM_REMOTE_ADDRESS": _remote,
    "DOWNSTREAM_REMOTE_PORT": _port,
    "PROTOCOL": lambda subject: _text(subject.protocol),
    "RESPONSE_TX_DURATION": sending,
    "SPAN_ID": lambda subject: _text(subject.span_id),
    "TRACE_ID": lambda subject: _text(subject.trace_id),
}
"""By their names; without parameters."""
