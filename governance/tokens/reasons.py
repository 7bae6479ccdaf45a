"""Why a token, or the keys for it, are of no use: Envoy's words and numbers (envoy source: common/jwt/status)."""

from __future__ import annotations

from typing import Final, final

from ...xds.model.records import dataclass


@final
@dataclass(frozen=True, slots=True)
class Reason:
    """`number`: as `failed_status_in_metadata` has it."""

    number: int
    text: str


MISSING: Final = Reason(1, "Jwt is missing")
NOT_YET_VALID: Final = Reason(2, "Jwt not yet valid")
EXPIRED: Final = Reason(3, "Jwt is expired")
BAD_FORMAT: Final = Reason(4, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")
HEADER_NOT_BASE64: Final = Reason(5, "Jwt header is an invalid Base64url encoded")
HEADER_NOT_JSON: Final = Reason(6, "Jwt header is an invalid JSON")
BAD_ALGORITHM: Final = Reason(7, "Jwt header [alg] field is required and must be a string")
UNKNOWN_ALGORITHM: Final = Reason(8, "Jwt header [alg] is not supported")
BAD_KEY_ID: Final = Reason(9, "Jwt header [kid] field is not a string")
PAYLOAD_NOT_BASE64: Final = Reason(10, "Jwt payload is an invalid Base64url encoded")
PAYLOAD_NOT_JSON: Final = Reason(11, "Jwt payload is an invalid JSON")
BAD_ISSUER: Final = Reason(12, "Jwt payload [iss] field is not a string")
BAD_SUBJECT: Final = Reason(13, "Jwt payload [sub] field is not a string")
TIMES: Final = {
    name: (
        Reason(number, f"Jwt payload [{name}] field is not an integer"),
        Reason(number + 1, f"Jwt payload [{name}] field is not a positive 64 bit integer"),
    )
    for number, name in ((14, "iat"), (16, "nbf"), (18, "exp"))
}
"""By the claim: not a number, and out of range."""
BAD_ID: Final = Reason(20, "Jwt payload [jti] field is not a string")
BAD_AUDIENCE: Final = Reason(21, "Jwt payload [aud] field is not a string or string list")
SIGNATURE_NOT_BASE64: Final = Reason(22, "Jwt signature is an invalid Base64url encoded")
ED25519_LENGTH: Final = Reason(23, "Jwt ED25519 signature is wrong length")
UNKNOWN_ISSUER: Final = Reason(24, "Jwt issuer is not configured")
AUDIENCE_NOT_ALLOWED: Final = Reason(25, "Audiences in Jwt are not allowed")
NOT_VERIFIED: Final = Reason(26, "Jwt verification fails")
NO_VALID_KEYS: Final = Reason(31, "Jwks doesn't have any valid public key")
NO_KEY_MATCHES: Final = Reason(32, "Jwks doesn't have key to match kid or alg from Jwt")
NOT_FETCHED: Final = Reason(40, "Jwks remote fetch is failed")
