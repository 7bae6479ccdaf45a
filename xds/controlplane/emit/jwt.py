"""RequestAuthentication as Envoy's JWT filter: a token that is there must be valid, none is allowed."""

from __future__ import annotations

from collections.abc import Sequence

from ...wire.schema.types import core_v3, google_protobuf, jwt_authn_v3, route_v3
from ..api.security import JWTRule
from ..keys.sources import NO_KEYS, Keys, source_of
from .filters import HttpFilter
from .messages import pack

NAME = "envoy.filters.http.jwt_authn"
PAYLOAD = "payload"
_SPLIT_CLAIMS = frozenset({"permission", "scope"})

# The public half of a key whose private half nobody has: no token is valid. istiod sends it, with these very spaces,
# where it has not fetched the keys of `jwksUri`, as is done here.
_MODULUS = (
    "0xObjM0UvS_oaazjpEYlAbwctEJ4L8pH3OuTb7qth7gUwqet-EzQB4dgFdvSdMgrLnSncQGRjpEYz3F3viIbH-3EN3TxSlPNviHx"
    "eOdyiBVfumN8dMxbLvVJUpfNOnvmMxJcl-8NNjAwcOjk4otSALaYgYYyOPyvKtgVdrQr-FoubWX4yrjxW-MJ2-7OBeepUUNOsVwG"
    "V23YX03sVkkyvY3otRflkBcY3_HKpBxJl9wk2GyOShN4_PNUF9-vwfnvOXMbCDX-w4PTef4geeb_GiT40YCKHTKMSPVanGRn5GEx"
    "IWmki-mmqh94-mPTJyBR74ShspL3BxPZitDL574T1w"
)
NO_KEY = f"""{{
  "keys": [
    {{
      "kty": "RSA",
      "e": "AQAB",
      "n": "{_MODULUS}"
    }}
  ]
}}"""

Requirement = jwt_authn_v3.JwtRequirement


def jwt_filter(rules: Sequence[JWTRule], keys: Keys = NO_KEYS) -> HttpFilter | None:
    """None without rules. `keys` are those that were fetched. Providers are called `origins-0` and so on, in order."""
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
        providers={name: _provider(rule, keys) for name, rule in named.items()},
        rules=[jwt_authn_v3.RequirementRule(match=route_v3.RouteMatch(prefix="/"), requires=wanted)],
        bypass_cors_preflight=True,
    )
    return HttpFilter(name=NAME, typed_config=pack(config))


def _provider_named(name: str) -> Requirement:
    return Requirement(provider_name=name)


def _any(*requirements: Requirement) -> Requirement:
    return Requirement(requires_any=jwt_authn_v3.JwtRequirementOrList(requirements=requirements))


def _provider(rule: JWTRule, keys: Keys) -> jwt_authn_v3.JwtProvider:
    source = source_of(rule)
    held = rule.jwks if source is None else keys.get(source, NO_KEY)
    claims = sorted(_SPLIT_CLAIMS.union(rule.space_delimited_claims or ()))
    return jwt_authn_v3.JwtProvider(
        issuer=rule.issuer,
        audiences=rule.audiences,
        local_jwks=core_v3.DataSource(inline_string=held),
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
