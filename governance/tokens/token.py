"""A token taken apart (envoy source: common/jwt/jwt). Nothing in it is believed yet."""

from __future__ import annotations

from dataclasses import field
from typing import final

from ...xds.model.records import dataclass
from .encoding import Json, MalformedError, base64url, json_object
from .reasons import (
    BAD_ALGORITHM,
    BAD_AUDIENCE,
    BAD_FORMAT,
    BAD_ID,
    BAD_ISSUER,
    BAD_KEY_ID,
    BAD_SUBJECT,
    EXPIRED,
    HEADER_NOT_BASE64,
    HEADER_NOT_JSON,
    NOT_YET_VALID,
    PAYLOAD_NOT_BASE64,
    PAYLOAD_NOT_JSON,
    SIGNATURE_NOT_BASE64,
    TIMES,
    UNKNOWN_ALGORITHM,
    Reason,
)

ALGORITHMS = frozenset(
    "ES256 ES384 ES512 HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA".split()  # noqa: SIM905
)


@final
@dataclass(frozen=True, slots=True)
class Token:
    """`signed`: the bytes that the signature is of. A time of 0 is none. It has no text but its algorithm's."""

    algorithm: str
    key_id: str = field(repr=False)
    header: dict[str, Json] = field(repr=False)
    payload: dict[str, Json] = field(repr=False)
    encoded_payload: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    issuer: str = field(repr=False)
    subject: str = field(repr=False)
    audiences: tuple[str, ...] = field(repr=False)
    not_before: int = field(repr=False)
    expires: int = field(repr=False)

    def out_of_time(self, now: int, skew_s: int) -> Reason | None:
        """Whether it is too early or too late for it."""
        if now + skew_s < self.not_before:
            return NOT_YET_VALID
        if self.expires and now > self.expires + skew_s:
            return EXPIRED
        return None


class RefusedTokenError(ValueError):
    """A token that cannot be read."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


def parse(data: bytes) -> Token:
    """A token in its compact form.

    Raises:
        RefusedTokenError: it is none that Envoy would read.
    """
    parts = [each for each in data.split(b".") if each]
    if len(parts) != 3:
        raise RefusedTokenError(BAD_FORMAT)
    header = _part(parts[0], HEADER_NOT_BASE64, HEADER_NOT_JSON)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise RefusedTokenError(BAD_ALGORITHM)
    if algorithm not in ALGORITHMS:
        raise RefusedTokenError(UNKNOWN_ALGORITHM)
    key_id = _text(header, "kid", BAD_KEY_ID)
    payload = _part(parts[1], PAYLOAD_NOT_BASE64, PAYLOAD_NOT_JSON)
    issuer = _text(payload, "iss", BAD_ISSUER)
    subject = _text(payload, "sub", BAD_SUBJECT)
    _time(payload, "iat")
    not_before = _time(payload, "nbf")
    expires = _time(payload, "exp")
    _text(payload, "jti", BAD_ID)
    audiences = _audiences(payload)
    try:
        signature = base64url(parts[2])
    except MalformedError:
        raise RefusedTokenError(SIGNATURE_NOT_BASE64) from None
    return Token(
        algorithm,
        key_id,
        header,
        payload,
        parts[1],
        parts[0] + b"." + parts[1],
        signature,
        issuer,
        subject,
        audiences,
        not_before,
        expires,
    )


def _part(data: bytes, not_base64: Reason, not_json: Reason) -> dict[str, Json]:
    try:
        text = base64url(data)
    except MalformedError:
        raise RefusedTokenError(not_base64) from None
    try:
        return json_object(text)
    except MalformedError:
        raise RefusedTokenError(not_json) from None


def _text(values: dict[str, Json], name: str, reason: Reason) -> str:
    found = values.get(name, "")
    if not isinstance(found, str):
        raise RefusedTokenError(reason)
    return found


def _time(values: dict[str, Json], name: str) -> int:
    """Seconds since 1970; what is behind the point counts for nothing."""
    found = values.get(name, 0.0)
    if not isinstance(found, float):
        raise RefusedTokenError(TIMES[name][0])
    if not 0.0 <= found < 2.0**64:
        raise RefusedTokenError(TIMES[name][1])
    return int(found)


def _audiences(values: dict[str, Json]) -> tuple[str, ...]:
    found = values.get("aud", ())
    listed = (found,) if isinstance(found, str) else found
    if not isinstance(listed, tuple):
        raise RefusedTokenError(BAD_AUDIENCE)
    texts = tuple(each for each in listed if isinstance(each, str))
    if len(texts) != len(listed):
        raise RefusedTokenError(BAD_AUDIENCE)
    return texts
