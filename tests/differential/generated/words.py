"""The few words that generated cases are made of: few, so that what a route wants is also what a request brings."""

from __future__ import annotations

from typing import TypeAlias

Pairs: TypeAlias = tuple[tuple[str, str], ...]

PATHS = ("/", "/a", "/a/", "/a/b", "/svc", "/svc/", "/svc/x", "/v1/items", "/A", "/api/v1")
TAILS = ("", "", "x", "/x", "/", "/b/c", "?q=va", "?x", ";p", "/../a", "%2Fb", "%41", "//", "/%2e%2e/z", ".x")
REGEXES: dict[str, tuple[str, ...]] = {
    "/a.*": ("/a", "/a/b", "/ab"),
    "/[a-s]vc(/.*)?": ("/svc", "/svc/", "/svc/x/y"),
    "/(svc|api)/v?[0-9]+": ("/svc/v1", "/api/12", "/api/v1"),
    ".*/items": ("/v1/items", "/items", "/a/b/items"),
    "/(?i:a)/b?": ("/A/", "/a/b", "/a/"),
}
TEMPLATES: dict[str, tuple[str, ...]] = {
    "/svc/*": ("/svc/x", "/svc/y", "/svc"),
    "/{first}/v1/**": ("/api/v1/x", "/a/v1/b/c", "/api/v1"),
    "/a/{rest=**}": ("/a/b", "/a/b/c", "/a/"),
}
REWRITES: tuple[tuple[str, str], ...] = (
    ("^/a/?(.*)$", r"/n/\1"),
    ("/", "-"),
    ("a*", "x"),
    ("^/([^/]+)/([^/]+)", r"/\2/\1\0"),
    ("svc", r"\\s"),
)
NEW_PATHS = ("/", "/n", "/n/", "/deep/er/", "/n?z=1")
DOMAINS = (
    *("shop.test", "*.shop.test", "a.shop.test", "*.a.shop.test", "shop.*", "*shop.test", "Big.Shop.Test"),
    *("shop.test:80", "*", "api-*", "*.test", "shop.test.", "10.9.9.9", "[::9]"),
)
HOSTS = (
    *("shop.test", "shop.test", "a.shop.test", "b.a.shop.test", "SHOP.test", "shop.test:80", "shop.test:8080"),
    *("big.shop.test", "shop.org", "shop.", "other.example", "xshop.test", "api-1.example", "x.test", "shop.test."),
    *("10.9.9.9", "[::9]", "[::9]:80", ".shop.test", "api-", "test"),
)
NEW_HOSTS = ("new.test", "new.test:81", "UPPER.test")

NAMES = ("x-a", "x-b", "x-a", "x-empty", "user-agent", "accept", "cookie")
VALUES = ("va", "vab", "xva", "VA", "vb", "", "5", "-3", "9", "10", "w")
STRINGS = ("va", "v", "a", "vb", "Va", "xva")
VALUE_REGEXES: dict[str, tuple[str, ...]] = {
    "v[a-c]": ("va", "vb"),
    ".*a.?": ("va", "vab", "xa"),
    "[0-9]+|": ("5", "10", ""),
    "(?i)VA": ("va", "VA"),
}
RANGES = ((-3, 10), (5, 6), (0, 0), (9, 100))
QUERY_NAMES = ("q", "r", "Q")
METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")

ADDED = ("x-a", "x-new", "x-all", "user-agent", "accept", "x-request-seen", "x-d")
ANSWERED = ("x-new", "x-all", "x-kept", "cache-control", "set-cookie", "content-type", "server", "x-answer")
REMOVED = ("x-a", "X-B", "accept", "x-d", "x-all", "x-new", "x-envoy-attempt-count", "x-kept")
FORMATS = (
    *("1", "2", "", "text", "100%%"),
    *("%REQ(x-a)%", "<%REQ(X-B?x-a)%>", "%REQ(x-a):2%", "%REQ(:path)%", "%REQ(:authority)%-%REQ(:method)%"),
    *("%REQ(x-none)%", "a%REQ(x-none)%b", "%REQ(x-envoy-attempt-count)%", "%REQ(x-all)%", "%PROTOCOL%"),
    *("%REQ(x-envoy-original-path?:path)%", "%REQ(user-agent)%", "%PATH(NQ)%", "%PATH(WQ:ORIG)%", "%PATH:3%"),
    *("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "%RESPONSE_CODE% %RESPONSE_FLAGS%", "%UPSTREAM_CLUSTER%"),
    *("%QUERY_PARAM(q)%", "%QUERY_PARAMS%", "%ROUTE_NAME%|%METADATA(ROUTE:m:a)%", "%RESP(content-type)%"),
    *("%RESPONSE_CODE_DETAILS%", "%GRPC_STATUS%", "%REQUESTED_SERVER_NAME%", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
)
PATH_FORMATS = ("/f%PATH(NQ)%", "/%REQ(x-a)%/x", "%REQ(x-none)%", "/fixed?z=%QUERY_PARAM(q)%")
HOST_FORMATS = ("%REQ(x-a)%.test", "%REQ(x-none)%", "h%REQ(:method)%", "fixed.test")

EXTRAS: tuple[Pairs, ...] = (
    (("x-d", "1"), ("x-d", "2")),
    (("x-all", "client"),),
    (("accept", "a"), ("accept", "b")),
    (("cookie", "a=1"), ("cookie", "b=2")),
    (("x-forwarded-proto", "https"),),
    (("content-type", "application/grpc"), ("te", "trailers")),
    (("content-type", "application/grpc+proto"), ("grpc-timeout", "8S")),
    (("content-type", "application/grpc"), ("grpc-timeout", "5S")),
    (("x-envoy-attempt-count", "7"),),
    (("x-envoy-expected-rq-timeout-ms", "5"), ("x-envoy-max-retries", "4")),
    (("x-request-id", "mine"),),
    (("connection", "x-a"), ("x-kept", "1")),
    (("x-forwarded-host", "first"), ("x-forwarded-for", "8.8.8.8")),
    (("x-forwarded-for", "10.1.1.1"), ("x-forwarded-for", "1.2.3.4")),
    (("x-envoy-internal", "true"), ("x-envoy-decorator-operation", "own")),
    (("cookie", "c=va"),),
    (("cookie", "d=1; c=vb"), ("cookie", "c=va")),
    (("origin", "https://shop.example"), ("access-control-request-method", "GET")),
    (("x-cluster", "a"),),
    (("x-cluster", "none"),),
    (("x-cluster", "b"),),
    (("x-draw", "79"),),
    (("x-draw", "80"),),
    (("x-draw", "180"),),
    (("x-draw", "soon"),),
    (("user-agent", "test/1"),),
)
STEERED = ("status=200", "status=404", "status=503", "status=200;x-kept=1;x-all=backend;cache-control=no-store")
"""What the backend is told to answer."""
