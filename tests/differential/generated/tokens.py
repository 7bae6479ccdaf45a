"""Chains that ask for tokens, drawn, and requests with and without them: providers, key sets, requirements, places."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

from tests.differential.case import Case
from tests.differential.generated.forging import AUDIENCES, ISSUERS, RIGHT, STRICTER, WAYS, Wanted, now
from tests.differential.generated.incoming import ROUTER
from tests.differential.recording import Resource
from tests.differential.requests import Request
from tests.support.tokens import ALGORITHMS, Json, Signer, signer

TYPE = "type.googleapis.com/envoy.extensions.filters.http."
NAME = "envoy.filters.http.jwt_authn"
REQUESTS = 20
TRIED = [each for each in WAYS if each not in STRICTER]
PLACES: tuple[Json, ...] = (
    {},
    {},
    {},
    {"from_headers": [{"name": "X-Token"}]},
    {
        "from_headers": [
            {"name": "x-token", "value_prefix": "jwt="},
            {"name": "authorization", "value_prefix": "Bearer "},
        ]
    },
    {"from_params": ["token"]},
    {"from_cookies": ["session"]},
    {"from_headers": [{"name": "x-token"}], "from_params": ["token"], "from_cookies": ["session"]},
)
CLAIMS = (
    "sub",
    "number",
    "fraction",
    "minus",
    "big",
    "yes",
    "no",
    "nothing",
    "name",
    "person.name",
    "inner.more.level",
    "inner",
    "roles",
    "aud",
    "missing",
    "inner.missing",
    "sub.deeper",
)
SEEN = {
    "x-meta-sub": "payload:sub",
    "x-meta-scope": "payload:scope",
    "x-meta-permission": "payload:permission",
    "x-meta-number": "payload:number",
    "x-meta-inner": "payload:person:name",
    "x-meta-alg": "head:alg",
    "x-meta-code": "failure:code",
    "x-meta-message": "failure:message",
}
"""Headers that a filter behind makes of the metadata."""
SHOWING: Resource = {
    "name": "envoy.filters.http.header_mutation",
    "typed_config": {
        "@type": TYPE + "header_mutation.v3.HeaderMutation",
        "mutations": {
            "request_mutations": [
                {"append": {"header": {"key": key, "value": f"%DYNAMIC_METADATA({NAME}:{path})%"}}}
                for key, path in SEEN.items()
            ]
        },
    },
}


class Drawing:
    """One case, and what was drawn for it, by name."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.drawn: Counter[str] = Counter()
        self.providers: dict[str, Json] = {}
        self.signers: dict[str, list[Signer]] = {}

    def one_in(self, share: int) -> bool:
        return self.draw.randrange(share) == 0

    def case(self) -> Case:
        """The whole."""
        draw = self.draw
        issuers = draw.sample(ISSUERS, len(ISSUERS))
        for number in range(draw.choice((1, 1, 2, 2, 3))):
            self._provider(f"p{number}", "" if self.one_in(8) and number == 0 else issuers[number])
        config: Json = {"@type": TYPE + "jwt_authn.v3.JwtAuthentication", "providers": self.providers}
        named = {name: self._requirement(1) for name in ("first", "second")}
        config["requirement_map"] = named
        config["rules"] = self._rules()
        for flag, share in (("bypass_cors_preflight", 2), ("strip_failure_response", 8)):
            if self.one_in(share):
                config[flag] = True
                self.drawn[flag] += 1
        routes: list[Resource] = [{"match": {"prefix": "/"}, "route": {"cluster": "a", "timeout": "0s"}}]
        for path, own in (
            ("/open", {"disabled": True}),
            ("/named", {"requirement_name": "first"}),
            ("/unknown", {"requirement_name": "nobody"}),
        ):
            if self.one_in(2):
                per_route = {"@type": TYPE + "jwt_authn.v3.PerRouteConfig", **own}
                routes.insert(
                    0, {**routes[-1], "match": {"prefix": path}, "typed_per_filter_config": {NAME: per_route}}
                )
        filters = [{"name": NAME, "typed_config": config}, SHOWING, ROUTER]
        hosts = ({"name": "one", "domains": ["*"], "routes": routes},)
        return Case(hosts, tuple(self._request() for _ in range(REQUESTS)), manager={"http_filters": filters})

    def _provider(self, name: str, issuer: str) -> None:
        draw = self.draw
        made: Json = {**draw.choice(PLACES)}
        if issuer:
            made["issuer"] = issuer
        for key, value, share in (
            ("audiences", draw.sample(AUDIENCES, draw.randrange(1, 3)), 3),
            ("forward", True, 2),
            ("forward_payload_header", f"x-payload-{name}", 3),
            ("payload_in_metadata", "payload", 2),
            ("header_in_metadata", "head", 4),
            ("failed_status_in_metadata", "failure", 4),
            ("clock_skew_seconds", draw.choice((1, 120)), 4),
            ("require_expiration", True, 6),
            ("max_lifetime", "7200s", 6),
            ("subjects", {"prefix": "user"}, 6),
            ("normalize_payload_in_metadata", {"space_delimited_claims": ["scope", "permission"]}, 2),
            ("jwt_cache_config", {"jwt_cache_size": 5}, 4),
            ("claim_to_headers", self._claims(name), 3),
        ):
            if self.one_in(share):
                made[key] = value
                self.drawn[key] += 1
        if "forward_payload_header" in made and self.one_in(2):
            made["pad_forward_payload_header"] = True
        signers = [signer(each) for each in draw.sample(ALGORITHMS, draw.randrange(1, 4))]
        self.signers[name] = signers
        made["local_jwks"] = {"inline_string": self._keys(signers)}
        self.providers[name] = made

    def _claims(self, name: str) -> list[Json]:
        chosen = self.draw.sample(CLAIMS, self.draw.randrange(1, 5))
        return [{"header_name": f"x-claim-{name}-{at}", "claim_name": each} for at, each in enumerate(chosen)]

    def _keys(self, signers: list[Signer]) -> str:
        draw = self.draw
        keys: list[Any] = []
        for each in signers:
            without = [name for name in ("kid", "alg") if self.one_in(4)]
            keys.append(each.key(*without))
        for useless in ({"kty": "RSA", "n": "AQAB"}, {"kty": "new"}, {"kty": 1}, 1, {**signers[0].key(), "kty": "oct"}):
            if self.one_in(5):
                keys.insert(draw.randrange(len(keys) + 1), useless)
        if self.one_in(30):
            self.drawn["keys of no use"] += 1
            return ""
        return json.dumps({"keys": keys})

    def _requirement(self, depth: int = 0) -> Json:
        draw = self.draw
        kinds = [
            "provider_name",
            "provider_name",
            "provider_and_audiences",
            "allow_missing",
            "allow_missing_or_failed",
            "nothing",
            "extract",
        ]
        kind = draw.choice(
            kinds + (["requires_any", "requires_any", "requires_any", "requires_all"] if depth < 3 else [])
        )
        self.drawn[kind] += 1
        name = draw.choice(list(self.providers))
        match kind:
            case "provider_name":
                return {"provider_name": name}
            case "provider_and_audiences":
                return {kind: {"provider_name": name, "audiences": draw.sample(AUDIENCES, draw.randrange(3))}}
            case "requires_any" | "requires_all":
                return {kind: {"requirements": [self._requirement(depth + 1) for _ in range(draw.choice((2, 2, 3)))]}}
            case "nothing":
                return {}
            case "extract":
                return {
                    "extract_only_without_validation": draw.choice(({}, {"verification_status_header": "x-unsure"}))
                }
            case _:
                return {kind: {}}

    def _rules(self) -> list[Json]:
        draw = self.draw
        rules: list[Json] = []
        for match in (
            {"path": "/path", "case_sensitive": False},
            {"safe_regex": {"regex": "/r[0-9]+"}},
            {"path_separated_prefix": "/separated"},
            {"prefix": "/free"},
            {"prefix": "/", "headers": [{"name": "x-rule", "string_match": {"exact": "1"}}]},
            {"prefix": "/", "query_parameters": [{"name": "rule"}]},
        ):
            if self.one_in(3):
                rules += [{"match": match, **self._needed()}]
        main = self._requirement() if self.one_in(3) else {"provider_name": draw.choice(list(self.providers))}
        rules.append({"match": {"prefix": "/"}, "requires": main})
        return rules

    def _needed(self) -> Json:
        return self.draw.choice(
            ({}, {"requirement_name": "first"}, {"requirement_name": "second"}, {"requires": self._requirement()})
        )

    def _request(self) -> Request:
        draw = self.draw
        headers: list[tuple[str, str]] = [("host", "app")]
        query: list[str] = []
        for _ in range(draw.choice((0, 1, 1, 1, 1, 1, 1, 2))):
            self._put(headers, query)
        for extra in (
            (f"x-payload-{draw.choice(['p0', 'p1'])}", "forged"),
            ("x-claim-p0-0", "forged"),
            ("x-rule", "1"),
            ("x-jwt-signature-verified", "true"),
            ("x-forwarded-proto", "https"),
        ):
            if self.one_in(6):
                headers += [extra]
        query += [each for each in ("b=%41x", "a=1", "rule=1", "a=2", "c", "d=%26%3D", "=e") if self.one_in(6)]
        draw.shuffle(query)
        path = draw.choice(
            (
                "/",
                "/",
                "/",
                "/PATH",
                "/path",
                "/r12",
                "/separated/x",
                "/separatedx",
                "/free",
                "/open",
                "/named",
                "/unknown",
                "/" + "long/" * 60,
            )
        )
        method = "GET"
        if self.one_in(12):
            method = "OPTIONS"
            headers += [("origin", "https://a.example"), ("access-control-request-method", "GET")]
        return Request(method, f"http://case.test{path}{'?' if query else ''}{'&'.join(query)}", tuple(headers))

    def _put(self, headers: list[tuple[str, str]], query: list[str]) -> None:
        """A token, where its provider looks for it most of the time."""
        draw = self.draw
        name = draw.choice(list(self.providers))
        provider = self.providers[name]
        way = draw.choice(RIGHT) if self.one_in(2) else draw.choice(TRIED)
        own = draw.choice(self.signers[name])
        claims: Json = {
            "iss": provider.get("issuer", "https://anybody.example"),
            "sub": "user-1",
            "aud": draw.choice(provider.get("audiences", AUDIENCES)),
            "exp": now() + 3600,
            "iat": now() - 5,
        }
        token = WAYS[way](Wanted(own, claims, draw))
        self.drawn[way] += 1
        self.drawn[own.algorithm] += 1
        places: list[Any] = [
            ("header", each["name"], each.get("value_prefix", "")) for each in provider.get("from_headers", ())
        ]
        places += [("param", each, "") for each in provider.get("from_params", ())]
        places += [("cookie", each, "") for each in provider.get("from_cookies", ())]
        if not places:
            places = [
                ("header", "authorization", "Bearer "),
                ("header", "authorization", "Bearer "),
                ("param", "access_token", ""),
            ]
        if self.one_in(12):
            places = [
                (
                    "header",
                    "authorization",
                    draw.choice(("bearer ", "Bearer", "Bearer  ", "x Bearer ", "Bearer =", "")),
                ),
                ("header", "x-token", "x"),
                ("param", "token", ""),
                ("cookie", "other", ""),
            ]
        kind, where, prefix = draw.choice(places)
        self.drawn[kind] += 1
        if kind == "header":
            headers.append((where, (prefix + token).rstrip()))  # not every server takes a blank at the end away
        elif kind == "param":
            query.append(f"{where}={token.replace('=', '%3D').replace(' ', '%20').replace('+', '%2B')}")
        else:
            headers.append(("cookie", f"first=1; {where}={token}"))
