"""Policies and requests that they are about, drawn from one small vocabulary, so that many match and many just miss."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from tests.support.certificates import spiffe

Json: TypeAlias = "dict[str, Any]"

TEMPLATE = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
MTLS = "type.googleapis.com/envoy.extensions.rbac.principals.mtls_authenticated.v3.Config"
JWT = "envoy.filters.http.jwt_authn"

PORTS = (8080, 8081, 8082, 8083)
PODS = ("127.0.14.1", "127.0.14.2", "127.0.15.1")
CLIENTS = ("127.0.10.1", "127.0.10.2", "127.0.20.1", "127.1.2.3")
FORWARDED = ("203.0.113.7", "10.1.2.3", "2001:db8::1", "203.0.113.7, 10.1.2.3", "nobody", "")
RANGES = (
    *(("127.0.10.0", 24), ("127.0.10.1", 32), ("127.0.0.0", 16), ("127.0.14.0", 24), ("127.0.14.2", 32)),
    *(("203.0.113.0", 24), ("10.0.0.0", 8), ("2001:db8::", 32), ("0.0.0.0", 0), ("::", 0)),
)
PATHS = ("/", "/a", "/a/b", "/A/b", "/api/v1/items", "/api/v2/items/7", "/admin", "/admin/x", "/healthz", "/a/b/c.html")
TARGETS = (
    *PATHS,
    *("/a?x=1", "/admin?a=/healthz", "/a/b#f", "//a", "/a//b", "/a/./b", "/a/../admin", "/%61dmin", "/a%2fb", "/a%5cb"),
    *("/admin;x=1", "/ADMIN", "/admin/", "/api/v1/items/", "/a/b/c.html?", "/api/*/items", "/a%2Fb", "/a/%2e%2e/admin"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
HOSTS = ("shop.example", "SHOP.example", "a.shop.example", "shop.example:8080", "other")
NAMES = ("x-a", "x-b", "x-user")
VALUES = ("1", "2", "10", "admin", "Admin", "", "a,b", "user-7")
SERVERS = ("", "outbound_.8080_._.shop", "shop.example")
ACCOUNTS = (("frontend", "shop"), ("cart", "shop"), ("ledger", "bank"), ("front-end", "shop-2"))
ISSUERS = ("https://issuer.example", "https://other.example")
SUBJECTS = ("alice", "bob", "service/7")
ROLES = ("admin", "user", "auditor")
CLAIMS = ("role", "groups", "level", "active", "none", "nested")

STRINGS = ("exact", "prefix", "suffix", "contains", "safe_regex")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what is sent, by whom and where to. `identity`: "" is plaintext, "-" TLS without a certificate."""

    method: str
    target: bytes
    headers: tuple[tuple[str, str], ...]
    client: str
    pod: str
    port: int
    identity: str
    server_name: str
    claims: Json | None


class Drawing:
    """Conditions, and how often each kind was drawn."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        self.kinds: Counter[str] = Counter()

    def one(self, options: Any) -> Any:
        return self.draw.choice(options)

    def chance(self, share: int) -> bool:
        return self.draw.randrange(share) == 0

    # -- conditions ------------------------------------------------------------------------------------------------

    def string(self, words: Any, *, cases: bool = True) -> Json:
        """A StringMatcher that is about one of these words."""
        word = self.one([each for each in words if each] or ["x"])
        kind = self.one(STRINGS)
        self.kinds[f"string {kind}"] += 1
        if kind == "safe_regex":
            text = "".join(f"\\{char}" if char in ".*+?()[]{}|^$\\" else char for char in word)
            return {"safe_regex": {"regex": self.one((text, text[: len(word) // 2] + ".*", ".*", ".+"))}}
        half = max(1, len(word) // 2)
        text = {"exact": word, "prefix": word[:half], "suffix": word[half:] or word, "contains": word[1:] or word}[kind]
        found: Json = {kind: text}
        if cases and self.chance(4):
            found["ignore_case"] = True
            self.kinds["string ignore_case"] += 1
        return found

    def header(self) -> Json:
        name = self.one((*NAMES, *NAMES, ":method", ":authority", ":path", "x-none"))
        words = {":method": METHODS, ":authority": HOSTS, ":path": TARGETS}.get(name, VALUES)
        kind = self.one(("string_match", "string_match", "present_match", "range_match", "exact_match"))
        self.kinds[f"header {kind}"] += 1
        spec: Any
        match kind:
            case "string_match":
                spec = self.string(words)
            case "present_match":
                spec = self.chance(2)
            case "range_match":
                spec = {"start": 1, "end": 10}
            case _:
                spec = self.one([each for each in words if each])
        found: Json = {"name": name, kind: spec}
        if self.chance(4):
            found["invert_match"] = True
        if self.chance(5):
            found["treat_missing_header_as_empty"] = True
        return found

    def range(self) -> Json:
        address, length = self.one(RANGES)
        return {"address_prefix": address, "prefix_len": length}

    def value(self, depth: int = 2) -> Json:
        """A ValueMatcher of claims."""
        kinds = ["string_match", "string_match", "present_match", "bool_match", "double_match", "null_match"]
        kind = self.one(kinds + (["list_match", "list_match", "or_match"] if depth else []))
        self.kinds[f"value {kind}"] += 1
        match kind:
            case "string_match":
                return {kind: self.string((*ISSUERS, *SUBJECTS, *ROLES))}
            case "present_match" | "bool_match":
                return {kind: self.chance(2)}
            case "double_match":
                return {
                    kind: self.one(({"exact": 3}, {"range": {"start": 1, "end": 5}}, {"range": {"start": 3, "end": 3}}))
                }
            case "null_match":
                return {kind: {}}
            case "list_match":
                return {kind: {"one_of": self.value(depth - 1)}}
            case _:
                return {kind: {"value_matchers": [self.value(depth - 1), self.value(depth - 1)]}}

    def metadata(self) -> Json:
        path = self.one(
            (["iss"], ["sub"], *([each] for each in CLAIMS), ["nested", "deep"], ["nested", "deep", "x"], ["aud"])
        )
        found: Json = {
            "filter": JWT if not self.chance(8) else "route.own",
            "path": [{"key": each} for each in ("payload", *path)],
            "value": self.istio() if self.chance(2) else self.value(),
        }
        if self.chance(6):
            found["invert"] = True
        return found

    def istio(self) -> Json:
        """As istiod asks for a claim."""
        text = {"string_match": self.string((*ISSUERS, *SUBJECTS, *ROLES))}
        return {"or_match": {"value_matchers": [{"list_match": {"one_of": text}}, text]}}

    def common(self, kind: str) -> Any:
        """What permissions and principals have in common."""
        match kind:
            case "any":
                return True
            case "header":
                return self.header()
            case "url_path":
                return {"path": self.string(PATHS)}
            case "metadata":
                return self.metadata()
            case "sourced_metadata":
                return {"metadata_matcher": self.metadata(), "metadata_source": self.one(("DYNAMIC", "ROUTE"))}
            case _:
                raise KeyError(kind)

    def permission(self, depth: int = 2) -> Json:
        own = ("destination_ip", "destination_port", "destination_port_range", "requested_server_name", "uri_template")
        kinds = [*own, "any", "header", "header", "url_path", "url_path", "url_path", "metadata", "sourced_metadata"]
        kind = self.one(kinds + (["and_rules", "or_rules", "not_rule"] if depth else []))
        self.kinds[f"permission {kind}"] += 1
        match kind:
            case "and_rules" | "or_rules":
                return {kind: {"rules": [self.permission(depth - 1) for _ in range(self.draw.randrange(1, 7))]}}
            case "not_rule":
                return {kind: self.permission(depth - 1)}
            case "destination_ip":
                return {kind: self.range()}
            case "destination_port":
                return {kind: self.one((*PORTS, 9000))}
            case "destination_port_range":
                return {
                    kind: self.one(
                        ({"start": 8080, "end": 8082}, {"start": 0, "end": 65536}, {"start": 8083, "end": 9000})
                    )
                }
            case "requested_server_name":
                return {kind: self.string(SERVERS)}
            case "uri_template":
                template = self.one(("/a/*", "/a/**", "/api/*/items", "/api/{v}/items/{rest=**}", "/**", "/admin"))
                return {kind: {"name": "t", "typed_config": {"@type": TEMPLATE, "path_template": template}}}
            case _:
                return {kind: self.common(kind)}

    def principal(self, depth: int = 2) -> Json:
        own = (
            "authenticated",
            "authenticated",
            "authenticated",
            "source_ip",
            "direct_remote_ip",
            "remote_ip",
            "custom",
        )
        kinds = [*own, "filter_state", "any", "header", "url_path", "metadata", "metadata", "sourced_metadata"]
        kind = self.one(kinds + (["and_ids", "or_ids", "not_id"] if depth else []))
        self.kinds[f"principal {kind}"] += 1
        match kind:
            case "and_ids" | "or_ids":
                return {kind: {"ids": [self.principal(depth - 1) for _ in range(self.draw.randrange(1, 7))]}}
            case "not_id":
                return {kind: self.principal(depth - 1)}
            case "authenticated":
                return {kind: {} if self.chance(6) else {"principal_name": self.name()}}
            case "source_ip" | "direct_remote_ip" | "remote_ip":
                return {kind: self.range()}
            case "filter_state":
                return {kind: {"key": "io.istio.peer_principal", "string_match": self.string(("a",), cases=False)}}
            case "custom":
                return {kind: {"name": "m", "typed_config": {"@type": MTLS, **self.mutual()}}}
            case _:
                return {kind: self.common(kind)}

    def name(self) -> Json:
        """A principal's name, most often as istiod asks for it."""
        account, space = self.one(ACCOUNTS)
        self.kinds["name"] += 1
        found: Json = self.one(
            (
                {"exact": spiffe(account, space)},
                {"safe_regex": {"regex": f".*/ns/{space}/.*"}},
                {"safe_regex": {"regex": f"spiffe://.+/ns/{space}/(.+/|)sa/{account}(/.+)?"}},
                {"prefix": "spiffe://cluster.local/"},
                {"suffix": f"/sa/{account}"},
                {"safe_regex": {"regex": ".+"}},
                {"safe_regex": {"regex": ".*"}},
                self.string((spiffe(account, space), "web.shop.example", "CN=web")),
            )
        )
        return found

    def mutual(self) -> Json:
        account, space = self.one(ACCOUNTS)
        found: Json = self.one(
            (
                {"any_validated_client_certificate": True},
                {"san_matcher": {"san_type": "URI", "matcher": {"exact": spiffe(account, space)}}},
                {
                    "san_matcher": {
                        "san_type": "DNS",
                        "matcher": {"exact": self.one(("web.shop.example", "a.web.shop.example"))},
                    }
                },
                {"san_matcher": {"san_type": "DNS", "matcher": {"suffix": "shop.example"}}},
            )
        )
        return found

    def policy(self) -> Json:
        return {
            "permissions": [self.permission() for _ in range(self.draw.randrange(1, 3))],
            "principals": [self.principal() for _ in range(self.draw.randrange(1, 3))],
        }

    def rules(self) -> Json:
        action = self.one(("ALLOW", "ALLOW", "ALLOW", "DENY", "LOG"))
        self.kinds[f"action {action}"] += 1
        count = self.draw.randrange(1, 9)
        names = self.draw.sample(["a", "B", "c d", "ns[x]-policy[y]-rule[0]", "é", "z", "10", "9"], count)
        return {"action": action, "policies": {name: self.policy() for name in names}}

    def filter(self) -> Json:
        """The configuration of a filter."""
        found: Json = {"rules": self.rules()}
        if self.chance(3):
            found["shadow_rules"] = self.rules()
            found["shadow_rules_stat_prefix"] = self.one(("", "istio_dry_run_allow_"))
        if self.chance(4):
            found["rules_stat_prefix"] = "own_"
        return found

    # -- requests --------------------------------------------------------------------------------------------------

    def asked(self, port: int, identities: Any) -> Asked:
        """A request to a port."""
        headers = [(self.one(NAMES), self.one(VALUES)) for _ in range(self.draw.randrange(4))]
        if self.chance(3):
            headers.append(("x-forwarded-for", self.one(FORWARDED)))
        identity = self.one(identities)
        return Asked(
            self.one(METHODS),
            self.one(TARGETS).encode(),
            (("host", self.one(HOSTS)), *headers),
            self.one(CLIENTS),
            self.one(PODS),
            port,
            identity,
            self.one(SERVERS) if identity else "",
            self.claims() if self.chance(2) else None,
        )

    def claims(self) -> Json:
        """What a token says."""
        found: Json = {"iss": ISSUERS[0], "sub": self.one(SUBJECTS), "aud": self.one(("shop", ["shop", "bank"]))}
        options: Json = {
            "role": (*ROLES, [], list(ROLES[:2])),
            "groups": (["admin"], ["user", 7], [["admin"]], "admin"),
            "level": (3, 4.5, "3", -1),
            "active": (True, False),
            "none": (None,),
            "nested": ({"deep": "admin"}, {"deep": {"x": ["admin", "user"]}}, {"deep": None}),
        }
        for name, values in options.items():
            if self.chance(2):
                found[name] = self.one(values)
        return found
