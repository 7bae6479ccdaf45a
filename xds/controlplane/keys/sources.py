"""Where a mesh's keys are to be fetched, and what is said of those that cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..api.security import JWTRule, RequestAuthentication
from ..objects import Fault, Object

TIMEOUT_S = 5.0
"""How long a rule's fetch may take where it does not say."""


class KeySource(NamedTuple):
    """Without a URI the issuer is asked for it, by OpenID Discovery."""

    issuer: str
    uri: str


Keys = Mapping[KeySource, str]
"""What has been fetched, as it came."""

NO_KEYS: Keys = {}


def source_of(rule: JWTRule) -> KeySource | None:
    """None where the rule holds its keys itself."""
    return None if rule.jwks else KeySource(rule.issuer, rule.jwks_uri)


def wanted(objects: Iterable[Object[RequestAuthentication]]) -> dict[KeySource, float]:
    """All that a mesh needs, with the seconds that a fetch may take: the longest of the rules'."""
    found: dict[KeySource, float] = {}
    for _, _, rule, source in _fetched(objects):
        timeout = TIMEOUT_S if rule.timeout is None else rule.timeout
        found[source] = max(timeout, found.get(source, 0.0))
    return found


def touched(objects: Iterable[Object[RequestAuthentication]], before: Keys, after: Keys) -> Iterator[Object[object]]:
    """The objects of which a rule has other keys than before."""
    for item in objects:
        if any(before.get(source) != after.get(source) for _, _, _, source in _fetched((item,))):
            yield item


def faults(
    objects: Iterable[Object[RequestAuthentication]], reasons: Mapping[KeySource, str], keys: Keys
) -> Iterator[Fault]:
    """What is said of rules whose keys could not be fetched."""
    for item, index, rule, source in _fetched(objects):
        if source in reasons:
            field = "jwksUri" if rule.jwks_uri else "issuer"
            stays = "those fetched before stay in force" if source in keys else "no token of this issuer is valid"
            message = f"keys cannot be fetched: {reasons[source]}; {stays}"
            yield Fault(item.place, message, item.ref, f"spec.jwtRules[{index}].{field}")


def _fetched(
    objects: Iterable[Object[RequestAuthentication]],
) -> Iterator[tuple[Object[RequestAuthentication], int, JWTRule, KeySource]]:
    for item in objects:
        for index, rule in enumerate(item.spec.jwt_rules):
            source = source_of(rule)
            if source is not None:
                yield item, index, rule, source
