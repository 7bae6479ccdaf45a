"""RequestAuthentication as Envoy's JWT filter: a token that is there must be valid, none is allowed."""

from __future__ import annotations

from collections.abc import Sequence

from ...wire.schema.types import core_v3, google_protobuf, jwt_authn_v3, route_v3
from ..api.security import JWTRule
from .filters import HttpFilter
from .messages import pack

NAME = "envoy.filters.http.jwt_authn"
PAYLOAD = "payload"
_SPLIT_CLAIMS = frozenset({"permission", "scope"})

# A key whose private half was thrown away when it was made: no token is valid. It stands where the keys would have to
# be fetched from `jwksUri`, which this control plane does not do.
NO_KEY = (
    '{"keys":[{"kty":"RSA","e":"AQAB","n":"741DdPzwf37stf4Vj475-T4-V6x-uE9QEwb8CbDgam1GbgGGHeXkHuWmRhYx-3vt4O5b7CQqBkxW'
    "rbM71aYQ0rITRsZSJF9-QdwMTJVD6LdRWQJmzjhOS5es4wOxwVN5M0aT9uc5qjnsBSelw-lwbdAOYmxsbkKWc3yVrJ2AfrJ7asEJaoFImC7Rv-mt0C"
    "LTpdKGJqrP3Sec2hWP6hsPNQKoMtwBY0TR04LXZZQOLP31w0xZZseWmHAdrBLVL0ehDym1Gh5VK1CdkgeTGaXpaUZi74dRtQYNR_neA4jpvCxVCBo6"
    'ATZ2hgJhtHbOYLUde59t1zwrkqnk9ShtNw6YSQ"}]}'
)

Requirement = jwt_authn_v3.JwtRequirement


def jwt_filter(rules: Sequence[JWTRule]) -> HttpFilter | None:
    """None without rules. Providers are called `origins-0` and so on, in the order of the rules."""
    if not rules:
        return None
    named = {f"origins-{index}": rule for index, rule in enumerate(rules)}
    optional = [_any(_provider_named(name), Requirement(allow_missing=google_protobuf.Empty())) for name in named]
    if len(optional) == 1:
        wanted = optional[0]
    else:
        # Providers that look for the token in the same place cannot all accept it: one of them is enough.
        together = Requirement(requires_all=jwt_authn_v3.JwtRequirementAndList(requirements=optional))
        wanted = _any(*(_provider_named(name) for name in named), together)
    config = jwt_authn_v3.JwtAuthentication(
        providers={name: _provider(rule) for name, rule in named.items()},
        rules=[jwt_authn_v3.RequirementRule(match=route_v3.RouteMatch(prefix="/"), requires=wanted)],
        bypass_cors_preflight=True,
    )
    return HttpFilter(name=NAME, typed_config=pack(config))


def _provider_named(name: str) -> Requirement:
    return Requirement(provider_name=name)


def _any(*requirements: Requirement) -> Requirement:
    return Requirement(requires_any=jwt_authn_v3.JwtRequirementOrList(requirements=requirements))


def _provider(rule: JWTRule) -> jwt_authn_v3.JwtProvider:
    claims = sorted(_SPLIT_CLAIMS.union(rule.space_delimited_claims or ()))
    return jwt_authn_v3.JwtProvider(
        issuer=rule.issuer,
        audiences=rule.audiences,
        local_jwks=core_v3.DataSource(inline_string=rule.jwks or NO_KEY),
        forward=rule.forward_original_token,
        forward_payload_header=rule.output_payload_to_header,
        from_headers=[jwt_authn_v3.JwtHeader(name=h.name, value_prefix=h.prefix) for h in rule.from_headers],
        from_params=rule.from_params,
        from_cookies=rule.from_cookies,
        payload_in_metadata=PAYLOAD,
        normalize_payload_in_metadata=jwt_authn_v3.JwtProvider.NormalizePayload(space_delimited_claims=claims),
        claim_to_headers=[
            jwt_authn_v3.JwtClaimToHeader(header_name=each.header, claim_name=each.claim)
            for each in rule.output_claim_to_headers
        ],
    )
