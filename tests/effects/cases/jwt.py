"""The JWT filter: providers, places of tokens, requirements, what tokens bring, keys that are fetched."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Ask, Failure
from proxyless.governance.filters.jwt_authn import NAMESPACE
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.request import RequestView
from proxyless.governance.tokens.fetching import Target, again_after_s, pauses
from tests.support.tokens import key_set, signer

from ..registry import Effect, effect
from ..resources import Json, Shop, extension, inbound, route, shop, typed
from ..scene import Headers, Scene
from ..seeing import See

JWT = "envoy.extensions.filters.http.jwt_authn.v3."
AUTHN = JWT + "JwtAuthentication"
PROVIDER = JWT + "JwtProvider"
REQUIREMENT = JWT + "JwtRequirement"
MATCH = JWT + "RequirementRule.match"
REMOTE = JWT + "RemoteJwks"
URI = "envoy.config.core.v3.HttpUri"

KEY = signer("HS256")
KEYS: Json = {"local_jwks": {"inline_string": key_set(KEY)}}
NOW = 1000
CLAIMS: Json = {"iss": "one", "sub": "user-1", "aud": "shop", "exp": NOW + 10**6, "scope": "read write"}


def token(*without: str, **claims: Any) -> str:
    """A good token, with other claims or without some."""
    return KEY.token({name: each for name, each in {**CLAIMS, **claims}.items() if name not in without})


GOOD = token()
BEARER = [("authorization", f"Bearer {GOOD}")]
P: Json = {"provider_name": "p"}


def provider(**fields: Any) -> Json:
    """A provider of tokens by the shared key."""
    keys = {} if "remote_jwks" in fields else KEYS
    return {"issuer": "one", "forward": True, **keys, **fields}


def authn(
    wanted: Json | None = None,
    *,
    providers: Json | None = None,
    rules: list[Json] | None = None,
    per_route: Json | None = None,
    **fields: Any,
) -> Shop:
    """Incoming requests that need what `wanted` says: a token of provider `p`, if it says nothing."""
    own: Json = {"providers": providers or {"p": provider()}, **fields}
    own["rules"] = (
        rules if rules is not None else [{"match": {"prefix": "/"}, "requires": P if wanted is None else wanted}]
    )
    typed_config = {"typed_per_filter_config": {"jwt": typed(JWT + "PerRouteConfig", **per_route)}} if per_route else {}
    held = route(action={"cluster": "inbound|8080||"}, **typed_config)
    return shop(listeners=[inbound(extension(AUTHN, "jwt", **own), routes=[held])])


def of(**fields: Any) -> Shop:
    """With one provider that says this."""
    return authn(providers={"p": provider(**fields)})


def answered(headers: Headers = (), path: str = "/", method: str = "GET") -> See:
    """The status and the body that a request gets (0: it is let through)."""

    def see(scene: Scene) -> tuple[int, bytes]:
        found = scene.receive(path, method, headers)
        return found.status, found.reply.body if found.reply is not None else b""

    return see


def got(*names: str, headers: Headers = BEARER, path: str = "/") -> See:
    """What the app gets of these headers, and its target."""

    def see(scene: Scene) -> list[str]:
        found = scene.receive(path, headers=headers)
        own = [f"{name.decode()}: {value.decode()}" for name, value in found.request.raw_headers]
        return [each for each in own if each.partition(":")[0] in names] + [found.request.path.decode()]

    return see


def told(headers: Headers = BEARER, name: str = "told") -> See:
    """What other filters are told."""
    return lambda scene: scene.receive(headers=headers).dynamic.get(NAMESPACE, {}).get(name)


MISSING = (401, b"Jwt is missing")
LET = (0, b"")
UNKNOWN = (401, b"Jwt issuer is not configured")
NOT_VERIFIED = (401, b"Jwt verification fails")
AUDIENCE = (403, b"Audiences in Jwt are not allowed")
BAD_FORMAT = (401, b"Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")
BAD = [("authorization", "Bearer x")]
PREFLIGHT = [("origin", "https://a"), ("access-control-request-method", "GET")]
OTHER = {"q": {**KEYS, "issuer": "two"}, "p": provider()}
ANY: Json = {"requires_any": {"requirements": [{"provider_name": "q"}, P]}}
ALL: Json = {"requires_all": {"requirements": [{"provider_name": "q"}, P]}}
WITH_AUDIENCES: Json = {"provider_and_audiences": {"provider_name": "p", "audiences": ["other"]}}
UNVERIFIED: Json = {"extract_only_without_validation": {"verification_status_header": "x-sure"}}

CONFIGURED = [
    effect(AUTHN + ".providers", of(), answered(BEARER), LET),
    effect(AUTHN + ".rules", authn(), answered(), MISSING),
    effect(
        AUTHN + ".bypass_cors_preflight", authn(bypass_cors_preflight=True), answered(PREFLIGHT, method="OPTIONS"), LET
    ),
    effect(
        AUTHN + ".requirement_map",
        authn(rules=[{"match": {"prefix": "/"}, "requirement_name": "n"}], requirement_map={"n": P}),
        answered(),
        MISSING,
    ),
    effect(AUTHN + ".strip_failure_response", authn(strip_failure_response=True), answered(), (401, b"")),
    effect(
        JWT + "RequirementRule.requirement_name",
        authn(rules=[{"match": {"prefix": "/"}, "requirement_name": "n"}], requirement_map={"n": P}),
        answered(),
        MISSING,
    ),
    effect(JWT + "RequirementRule.requires", authn(), answered(), MISSING),
    effect(JWT + "PerRouteConfig.disabled", authn(per_route={"disabled": True}), answered(), LET, against=authn()),
    effect(
        JWT + "PerRouteConfig.requirement_name",
        authn({}, per_route={"requirement_name": "n"}, requirement_map={"n": P}),
        answered(),
        MISSING,
        against=authn({}),
    ),
]


def matching(match: Json, path: str = "/a", headers: Headers = ()) -> dict[str, Any]:
    """A rule for what matches, and a request that does."""
    return {"shop": authn(rules=[{"match": match, "requires": P}]), "see": answered(headers, path)}


OTHERWISE = authn(rules=[{"match": {"prefix": "/else"}, "requires": P}])
TEMPLATE = extension(
    "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig", "template", path_template="/a/*"
)
MATCHED = [
    effect(JWT + "RequirementRule.match", **matching({"prefix": "/a"}), expected=MISSING, against=OTHERWISE),
    *(
        effect(f"{MATCH}.{field}", **matching({field: value}, path), expected=MISSING, against=OTHERWISE)
        for field, value, path in (
            ("prefix", "/a", "/ab"),
            ("path", "/a", "/a"),
            ("path_separated_prefix", "/a", "/a/b"),
            ("safe_regex", {"regex": "/[a-z]"}, "/a"),
            ("path_match_policy", TEMPLATE, "/a/b"),
        )
    ),
    effect(
        f"{MATCH}.connect_matcher",
        authn(rules=[{"match": {"connect_matcher": {}}}, {"match": {"prefix": "/"}, "requires": P}]),
        answered(),
        MISSING,
        against=authn(rules=[{"match": {"prefix": "/"}}, {"match": {"prefix": "/"}, "requires": P}]),
    ),
    effect(f"{MATCH}.case_sensitive", **matching({"path": "/A", "case_sensitive": False}), expected=MISSING),
    effect(f"{MATCH}.headers", **matching({"prefix": "/", "headers": [{"name": "x-a"}]}), expected=LET),
    effect(f"{MATCH}.query_parameters", **matching({"prefix": "/", "query_parameters": [{"name": "a"}]}), expected=LET),
]

REQUIRED = [
    effect(REQUIREMENT + ".provider_name", authn(), answered(), MISSING),
    effect(REQUIREMENT + ".provider_and_audiences", authn(WITH_AUDIENCES), answered(BEARER), AUDIENCE),
    effect(JWT + "ProviderWithAudiences.audiences", authn(WITH_AUDIENCES), answered(BEARER), AUDIENCE),
    effect(
        JWT + "ProviderWithAudiences.provider_name",
        authn(WITH_AUDIENCES),
        answered(BEARER),
        AUDIENCE,
        against=authn({"provider_and_audiences": {"provider_name": "q"}}, providers=OTHER),
    ),
    effect(REQUIREMENT + ".requires_any", authn(ANY, providers=OTHER), answered(), MISSING),
    effect(
        JWT + "JwtRequirementOrList.requirements",
        authn(ANY, providers=OTHER),
        answered(BEARER),
        LET,
        against=authn({"provider_name": "q"}, providers=OTHER),
    ),
    effect(REQUIREMENT + ".requires_all", authn(ALL, providers=OTHER), answered(BEARER), UNKNOWN),
    effect(
        JWT + "JwtRequirementAndList.requirements",
        authn(ALL, providers=OTHER),
        answered(BEARER),
        UNKNOWN,
        against=authn(providers=OTHER),
    ),
    effect(REQUIREMENT + ".allow_missing", authn({"allow_missing": {}}), answered(BAD), BAD_FORMAT),
    effect(
        REQUIREMENT + ".allow_missing_or_failed",
        authn(
            {"requires_all": {"requirements": [{"allow_missing_or_failed": {}}, {"allow_missing_or_failed": {}}]}},
            providers={"p": provider(forward_payload_header="x-p")},
        ),
        got("x-p"),
    ),
    effect(REQUIREMENT + ".extract_only_without_validation", authn(UNVERIFIED), got("x-sure", headers=BAD)),
    effect(
        JWT + "ExtractOnlyWithoutValidation.verification_status_header",
        authn(UNVERIFIED),
        got("x-sure", headers=BAD),
        ["x-sure: false", "/"],
    ),
]

LATE = [("authorization", f"Bearer {token(exp=NOW - 300)}")]
ENDLESS = [("authorization", f"Bearer {token('exp')}")]
X_TOKEN = [("x-token", f"jwt={GOOD}")]
PREFIXED: Json = {"name": "x-token", "value_prefix": "jwt="}
CLAIM: Json = {"header_name": "x-sub", "claim_name": "sub"}
ODD = KEY.token({**CLAIMS, "odd": ""})
PADDED = [("authorization", f"Bearer {ODD if len(ODD.split('.')[1]) % 4 else token()}")]

PROVIDED = [
    effect(PROVIDER + ".issuer", of(issuer="else"), answered(BEARER), UNKNOWN),
    effect(PROVIDER + ".audiences", of(audiences=["else"]), answered(BEARER), AUDIENCE),
    effect(PROVIDER + ".subjects", of(subjects={"exact": "else"}), answered(BEARER), NOT_VERIFIED),
    effect(PROVIDER + ".require_expiration", of(require_expiration=True), answered(ENDLESS), NOT_VERIFIED),
    effect(PROVIDER + ".max_lifetime", of(max_lifetime="60s"), answered(BEARER), NOT_VERIFIED),
    effect(PROVIDER + ".clock_skew_seconds", of(clock_skew_seconds=10**6), answered(LATE), LET),
    effect(PROVIDER + ".local_jwks", of(), answered(BEARER), LET),
    effect(PROVIDER + ".forward", of(), got("authorization"), [f"authorization: Bearer {GOOD}", "/"]),
    effect(PROVIDER + ".from_headers", of(from_headers=[{"name": "x-token"}]), answered([("x-token", GOOD)]), LET),
    effect(
        JWT + "JwtHeader.name",
        of(from_headers=[PREFIXED]),
        answered(X_TOKEN),
        LET,
        against=of(from_headers=[{**PREFIXED, "name": "y"}]),
    ),
    effect(JWT + "JwtHeader.value_prefix", of(from_headers=[PREFIXED]), answered(X_TOKEN), LET),
    effect(PROVIDER + ".from_params", of(from_params=["t"]), answered(path=f"/?t={GOOD}"), LET),
    effect(PROVIDER + ".from_cookies", of(from_cookies=["t"]), answered([("cookie", f"t={GOOD}")]), LET),
    effect(
        PROVIDER + ".forward_payload_header",
        of(forward_payload_header="x-p"),
        got("x-p"),
        [f"x-p: {GOOD.split('.')[1]}", "/"],
    ),
    effect(
        PROVIDER + ".pad_forward_payload_header",
        of(forward_payload_header="x-p", pad_forward_payload_header=True),
        got("x-p", headers=PADDED),
    ),
    effect(PROVIDER + ".claim_to_headers", of(claim_to_headers=[CLAIM]), got("x-sub"), ["x-sub: user-1", "/"]),
    effect(
        JWT + "JwtClaimToHeader.header_name",
        of(claim_to_headers=[CLAIM]),
        got("x-sub"),
        ["x-sub: user-1", "/"],
        against=of(claim_to_headers=[{**CLAIM, "header_name": "x-else"}]),
    ),
    effect(
        JWT + "JwtClaimToHeader.claim_name",
        of(claim_to_headers=[CLAIM]),
        got("x-sub"),
        ["x-sub: user-1", "/"],
        against=of(claim_to_headers=[{**CLAIM, "claim_name": "iss"}]),
    ),
    effect(PROVIDER + ".payload_in_metadata", of(payload_in_metadata="told"), told()),
    effect(PROVIDER + ".header_in_metadata", of(header_in_metadata="told"), told()),
    effect(
        PROVIDER + ".failed_status_in_metadata",
        of(failed_status_in_metadata="told"),
        told(BAD),
        {"code": 4.0, "message": BAD_FORMAT[1].decode()},
    ),
    *(
        effect(
            field,
            of(payload_in_metadata="told", normalize_payload_in_metadata={"space_delimited_claims": ["scope"]}),
            lambda scene: told()(scene)["scope"],
            ("read", "write"),
        )
        for field in (
            PROVIDER + ".normalize_payload_in_metadata",
            PROVIDER + ".NormalizePayload.space_delimited_claims",
        )
    ),
]

FETCHED: Json = {
    "http_uri": {"uri": "https://keys.example/set?a=1", "cluster": "b", "timeout": "2s"},
    "cache_duration": "60s",
    "async_fetch": {"failed_refetch_duration": "3s"},
    "retry_policy": {"num_retries": 2, "retry_back_off": {"base_interval": "0.2s", "max_interval": "0.3s"}},
}
ANSWER = key_set(KEY).encode()


def remote(*without: str, **fields: Any) -> Shop:
    """Keys that are fetched."""
    made = {name: each for name, each in {**FETCHED, **fields}.items() if name not in without}
    return of(remote_jwks=made)


def uri(**fields: Any) -> Shop:
    return remote(http_uri={**FETCHED["http_uri"], **fields})


def asked(scene: Scene, answer: object = ANSWER) -> tuple[Ask | None, int]:
    """What is asked for keys, and the status of the request that needs them."""
    view = RequestView(b"GET", b"http", b"shop", b"/", [(n.encode(), v.encode()) for n, v in BEARER], "192.0.2.7")
    request = InboundRequest(scene.world.runtime, view, 8080)
    machine = request.run()
    action: Ask | None = None
    try:
        found = next(machine)
        assert isinstance(found, Ask)
        action = found
        machine.send(answer)
    except StopIteration:
        pass
    return action, request.status


def fetching(scene: Scene) -> tuple[Any, ...]:
    """Where keys are fetched and how: cluster, target, how long, when again."""
    action, status = asked(scene)
    if action is None:
        return (status,)
    target, uniform = Target(action.request), lambda: 1.0
    again = again_after_s(action.request, fetched=False)
    where = (action.request.cluster, target.authority, target.path, action.timeout_s)
    return (*where, tuple(pauses(action.request, uniform)), again, status)


def ahead(scene: Scene) -> int:
    """How many key sets are fetched before anybody needs them."""
    scene.world.runtime.on_keys = lambda: None
    asked(scene)
    return len(scene.world.runtime.keys_ahead)


def cached(scene: Scene) -> list[bool]:
    """Whether keys are asked for: at first, soon after, and a good minute later."""
    found = []
    for wait_s in (0.0, 59.0, 2.0):
        scene.world.clock.advance(wait_s)
        found.append(asked(scene)[0] is not None)
    return found


def refused(scene: Scene) -> int:
    """The status where no keys come."""
    return asked(scene, Failure("unreachable", "nobody"))[1]


WHOLE = ("b", "keys.example", "/set?a=1", 2.0, (0.0, 0.2, 0.3), 3.0, 0)
KEYS_FETCHED: list[Effect] = [
    effect(PROVIDER + ".remote_jwks", remote(), fetching, WHOLE),
    effect(PROVIDER + ".remote_jwks", remote(), refused, 401, against=of(), what="refused"),
    effect(REMOTE + ".http_uri", remote(), fetching, WHOLE, against=uri(cluster="c")),
    effect(URI + ".uri", remote(), fetching, WHOLE, against=uri(uri="http://keys.example/other")),
    effect(URI + ".cluster", remote(), fetching, WHOLE, against=uri(cluster="c")),
    effect(URI + ".timeout", remote(), fetching, WHOLE, against=uri(timeout="1s")),
    effect(REMOTE + ".cache_duration", remote(), cached, [True, False, True]),
    effect(REMOTE + ".async_fetch", remote(), ahead, 1),
    effect(JWT + "JwksAsyncFetch.failed_refetch_duration", remote(), fetching, WHOLE),
    effect(REMOTE + ".retry_policy", remote(), fetching, WHOLE),
    effect(REMOTE + ".retry_policy.num_retries", remote(), fetching, WHOLE),
    effect(REMOTE + ".retry_policy.retry_back_off", remote(), fetching, WHOLE),
]

CASES: list[Effect] = [*CONFIGURED, *MATCHED, *REQUIRED, *PROVIDED, *KEYS_FETCHED]
