"""What requests need, as a tree (envoy source: jwt_authn Verifier, Authenticator): which tokens have to be valid.

A part answers None where it is content, else the reason why not. What a valid token brings (headers, metadata) stays
with the request, whatever other parts say later.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Generator, Mapping
from typing import Any, Protocol

from ...xds.model.jwt import JwtProvider, JwtRequirement
from ..actions import Ask
from ..request import RequestView
from .encoding import Json, member
from .locations import Found, Locations
from .provider import Provider, sanitized
from .reasons import MISSING, UNKNOWN_ISSUER, Reason
from .token import RefusedTokenError, Token, parse

Verdict = Generator[Ask, Any, Reason | None]

_UNFIT = frozenset("\r\n\0")


class Verification:
    """One request that is looked at. `metadata`: what is told to others, by the names that providers give it."""

    __slots__ = ("metadata", "now", "request")

    def __init__(self, request: RequestView, now: int) -> None:
        self.request = request
        self.now = now
        self.metadata: dict[str, dict[str, Json]] = {}


class Requirement(Protocol):
    """A part of the tree."""

    def verify(self, subject: Verification) -> Verdict:
        """None, or why the request does not have what it needs."""


class Providers:
    """All providers of a filter, by their names and issuers."""

    __slots__ = ("_by_issuer", "by_name", "only")

    def __init__(self, by_name: Mapping[str, Provider]) -> None:
        self.by_name = by_name
        self._by_issuer: dict[str, Provider] = {}
        for each in by_name.values():
            self._by_issuer.setdefault(each.config.issuer, each)
        self.only = next(iter(by_name.values())) if len(by_name) == 1 else None

    def of_issuer(self, issuer: str) -> Provider | None:
        """Its first, else the first that takes any."""
        return self._by_issuer.get(issuer) or self._by_issuer.get("")


class Nothing:
    """Any request has it."""

    def verify(self, subject: Verification) -> Verdict:
        """None."""
        del subject
        yield from ()
        return None


class Tokens:
    """All tokens in some places must be valid. `provider` None: whoever issued them must be known."""

    __slots__ = ("_audiences", "_failed", "_header", "_locations", "_missing", "_provider", "_providers")

    def __init__(
        self,
        providers: Providers,
        provider: Provider | None = None,
        audiences: tuple[str, ...] = (),
        *,
        missing: bool = False,
        failed: bool = False,
        status_header: str = "",
    ) -> None:
        """`missing`: there need be none; `failed`: there may be any, and `status_header` says that it failed."""
        self._providers = providers
        self._provider = provider
        self._audiences = sanitized(audiences) if audiences else None
        looked_at = providers.by_name.values() if provider is None else (provider,)
        self._locations = Locations(each.config for each in looked_at)
        self._missing = missing
        self._failed = failed
        self._header = status_header.lower().encode()

    def verify(self, subject: Verification) -> Verdict:
        """Each token; what is said of the last counts where some may be bad."""
        self._locations.sanitize(subject.request)
        found = self._locations.find(subject.request)
        reason: Reason | None = MISSING
        provider: Provider | None = None
        if not found:
            self._note(subject, None, MISSING)
        for each in found:
            token, provider, reason = self._read(each, provider)
            if token is not None and provider is not None and reason is None:
                reason = provider.refuses(token, self._audiences, subject.now)
                if reason is None:
                    reason = yield from provider.verify(token)
                if reason is None:
                    accept(subject, each, token, provider.config)
            if reason is not None:
                self._note(subject, provider, reason)
                if not self._missing:
                    return reason
        if self._header and reason is not None and reason is not MISSING:
            remove(subject.request, self._header)
            add(subject.request, [(self._header, b"false")])
        return None if self._failed or (self._missing and reason is MISSING) else reason

    def _read(self, found: Found, before: Provider | None) -> tuple[Token | None, Provider | None, Reason | None]:
        provider = self._provider or before
        try:
            token = parse(found.token)
        except RefusedTokenError as error:
            return None, provider, error.reason
        if found.issuers is not None and token.issuer not in found.issuers:
            return None, provider, UNKNOWN_ISSUER
        provider = self._provider or self._providers.of_issuer(token.issuer)
        return token, provider, None if provider is not None else UNKNOWN_ISSUER

    def _note(self, subject: Verification, provider: Provider | None, reason: Reason) -> None:
        said = provider or self._providers.only
        if said is not None and said.config.failure_in_metadata:
            failure: dict[str, Json] = {"code": float(reason.number), "message": reason.text}
            subject.metadata[said.config.failure_in_metadata] = failure


class AnyOf:
    """One part is enough. `missing`, `failed`: so is no token at all, or whatever there is."""

    __slots__ = ("_failed", "_missing", "_parts")

    def __init__(self, parts: tuple[Requirement, ...], *, missing: bool, failed: bool) -> None:
        self._parts = parts
        self._missing = missing
        self._failed = failed

    def verify(self, subject: Verification) -> Verdict:
        """Of several reasons the last that is neither a missing token nor a foreign one, else the foreign one."""
        reason = MISSING
        for each in self._parts:
            found = yield from each.verify(subject)
            if found is None:
                return None
            if found not in (MISSING, UNKNOWN_ISSUER) or reason is MISSING:
                reason = found
        return None if self._failed or (self._missing and reason is MISSING) else reason


class AllOf:
    """Every part."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[Requirement, ...]) -> None:
        self._parts = parts

    def verify(self, subject: Verification) -> Verdict:
        """The first that is not content ends it."""
        for each in self._parts:
            reason = yield from each.verify(subject)
            if reason is not None:
                return reason
        return None


def compiled(config: JwtRequirement, providers: Providers) -> Requirement:
    """A requirement at work."""
    match config.kind:
        case "provider":
            return Tokens(providers, providers.by_name[config.provider], config.audiences)
        case "any":
            kinds = {each.kind for each in config.parts}
            parts = [each for each in config.parts if each.kind not in ("missing", "missing_or_failed")]
            if not parts:
                return Tokens(providers, missing=True, failed="missing_or_failed" in kinds)
            return AnyOf(
                tuple(compiled(each, providers) for each in parts),
                missing="missing" in kinds,
                failed="missing_or_failed" in kinds,
            )
        case "all":
            return AllOf(tuple(compiled(each, providers) for each in config.parts))
        case "missing":
            return Tokens(providers, missing=True)
        case "missing_or_failed":
            return Tokens(providers, missing=True, failed=True)
        case "unverified":
            return Tokens(providers, missing=True, failed=True, status_header=config.status_header)
        case _:
            return Nothing()


def accept(subject: Verification, found: Found, token: Token, config: JwtProvider) -> None:
    """What a token brings: headers and metadata; it goes itself unless it shall be forwarded."""
    request = subject.request
    added: list[tuple[bytes, bytes]] = []
    if config.payload_header:
        pad = b"=" * (-len(token.encoded_payload) % 4) if config.pads_payload else b""
        added.append((config.payload_header.encode(), token.encoded_payload + pad))
    for header, claim in config.claims:
        value = claim_text(token.payload, claim)
        if value and _UNFIT.isdisjoint(value):
            added.append((header.encode(), value.encode()))
    if added:
        add(request, added)
    if not config.forward:
        found.remove(request)
    if config.header_in_metadata:
        subject.metadata[config.header_in_metadata] = token.header
    if config.payload_in_metadata:
        payload = token.payload
        if config.split:
            payload = {**payload, **{name: _split(payload[name]) for name in config.split if name in payload}}
        subject.metadata[config.payload_in_metadata] = payload


def add(request: RequestView, headers: list[tuple[bytes, bytes]]) -> None:
    """Behind all others."""
    request.replace_headers([*request.raw_headers, *headers])


def remove(request: RequestView, name: bytes) -> None:
    """All of that name."""
    if name in request.headers:
        request.replace_headers([pair for pair in request.raw_headers if pair[0].lower() != name])


def claim_text(payload: Mapping[str, Json], path: str) -> str:
    """A claim as a header has it; objects and lists are JSON in base64. Empty where there is nothing to say."""
    there, value = member(payload, path)
    if not there or value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if 0 <= value < 2.0**64 and value.is_integer() else f"{value:f}"
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return b64encode(text.replace("<", "\\u003c").replace(">", "\\u003e").encode()).decode()


def _plain(value: Json) -> object:
    """Whole numbers without a point."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


def _split(value: Json) -> Json:
    return tuple(each for each in value.split(" ") if each) if isinstance(value, str) else value
