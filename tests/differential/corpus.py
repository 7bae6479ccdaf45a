"""What outbound requests are made of: methods, hosts, paths, queries and headers, ordinary and odd."""

from __future__ import annotations

from tests.support.behaviour import Headers

METHODS = (
    *("GET",) * 12,
    *("POST",) * 4,
    *("PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "PURGE"),
)
ODD_METHODS = ("get", "FOO", "QUERY", "PRI", "M-SEARCH", "MKCALENDAR", "CHECKOUT")

SERVICES = ("catalog", "catalog", "catalog", "payment", "checkout", "cart", "frontend")
SUFFIXES = ("", "", ".", ".shop", ".shop.svc", ".shop.svc.cluster.local", ".shop.svc.cluster.local.", ".bank")
ADDRESSES = ("10.96.1.1", "10.96.1.2", "10.96.1.3", "10.96.1.4", "10.96.1.5", "10.96.2.1", "192.0.2.7")
OTHERS = (
    "geo.example.com",
    "geo.example.com.",
    "a.wild.example.com",
    "a.b.wild.example.com",
    "wild.example.com",
    "a.wild.example.com.",
    "a.wild.example.org",
    "elsewhere.example",
    "xcatalog",
    "catalogx",
    "recommend",
)
PORTED = (
    "inventory.example.com:8080",
    "inventory.example.com.:8080",
    "ledger.bank:8080",
    "ledger.bank.svc.cluster.local:8080",
    "ledger.bank.svc:8080",
    "10.96.2.1:8080",
    "catalog:8080",
    "recommend:50051",
    "recommend.shop:50051",
    "recommend.shop.svc.cluster.local.:50051",
    "10.96.1.6:50051",
    "cart:50051",
    "catalog:80",
    "cart:9999",
    "redis:6379",
    "10.96.1.7:6379",
    "192.0.2.7:15999",
)
WRITTEN_HOSTS = (
    "CATALOG",
    "Catalog.Shop.svc.cluster.local",
    "catalog:80",
    "catalog:8080",
    "catalog:",
    "catalog:abc",
    "catalog.shop.",
    "catalog..",
    "PAYMENT.SHOP",
    "payment:443",
    "checkout.shop:1",
    "cart",
    "A.WILD.example.com",
    ".wild.example.com",
    "x.wild.example.com:80",
    "10.96.1.2",
    "10.96.1.2:80",
    "[::1]",
    "[::1]:80",
    "::1",
    "user@catalog",
    "cat_alog",
    "cat%61log",
    "cat alog",
    "cat/alog",
    "cat|log",
    "c\u00e4talog",
    "",
    "*",
    "elsewhere.example:8080",
    "inventory.example.com",
    "ledger.bank",
)

PATHS = (
    *("/", "/", "/items", "/items/1", "/itemsx", "/ITEMS", "/item", "/v1/", "/v1/a", "/v1/a/b", "/v1", "/v1x/a"),
    *("/V1/a", "/teapot", "/teapot/", "/teapots", "/TEAPOT", "/old", "/old/", "/old/x", "/oldies", "/beta", "/beta/x"),
    *("/betax", "/BETA", "/any", "/a/b/c", "/a.b;c=d", "/v1/items;v=1", "/caf\u00e9", "/v1/%E2%82%AC", "/~me", "/-_.~"),
    *("//items", "/./items", "/items/.", "/a/../items", "/../items", "/items/..", "/a/b/../../v1/x", "/v1/../teapot"),
    *("/%69tems", "/%2e/items", "/a/%2E%2e/old", "/v1/%2e%2e/items", "/v1/a%2Fb", "/v1%2Fa", "/%74eapot", "/old%2F"),
    *(
        "/items%20x",
        "/items+x",
        "/items%zz",
        "/%",
        "/%%41",
        "/%2541",
        "/a\\..\\items",
        "/\\items",
        "/v1\\a",
        "/%5citems",
    ),
    *('/"q"', "/<a>", "/{v1}", "/a|b", "/a^b`", "/[x]", "/'()!*,:;=@&$", "/...", "/.a", "/a..b", "/a/..;x=1/items"),
    *("/a/.;/items", "/a/%2e%2e;x/items", "/v1/.", "/v1/..", "/v1/a/..", "/v1//a", "/v1///", "/items#f", "/#/items"),
    *("/v1/x%00y", "/%41%5A%61%7a%30%39%2D%2e%5F%7E", "/v1/%c3%a9", "/v1/%7e%7E"),
)
QUERIES = (
    *("", "", "", "", "?", "?preview=1", "?preview=1", "?preview=1&x=y", "?x=y&preview=1", "?preview=2", "?preview"),
    *("?preview=", "?preview=1&preview=2", "?preview=2&preview=1", "?Preview=1", "?preview=%31", "?%70review=1"),
    *("?preview=1;x", "?x?preview=1", "??preview=1", "?&&preview=1&", "?=1", "?preview==1", "?a=/v1/../x", "?a=b#c"),
    *("?q=a+b%20c", "?q=\u00e9", "?a[]=1&b='\"<>"),
)

MATCHED: tuple[Headers, ...] = (
    *((("x-user-group", value),) for value in ("internal", "internal", "Internal", "internal2", "", "external")),
    (("X-User-Group", "internal"),),
    (("x-user-group", "external"), ("x-user-group", "internal")),
    (("x-user-group", "internal"), ("x-user-group", "external")),
    (("x-user-group", "internal,external"),),
    *((("x-no-legacy", value),) for value in ("1", "", "false")),
    *((("x-chaos", value),) for value in ("on", "on", "ON", "off", "on ", "")),
    (("x-chaos", "off"), ("x-chaos", "on")),
    *((("x-debug", value),) for value in ("1", "")),
    (("x-debug", "1"), ("X-Debug", "2")),
    *((("x-legacy", value),) for value in ("0", "")),
    (("x-canary", "false"),),
    (("x-user", "alice"),),
)
"""What the recorded routes look at or change."""

ORDINARY: tuple[Headers, ...] = (
    (("accept", "*/*"), ("accept-encoding", "gzip"), ("user-agent", "test/1")),
    (("accept", "text/html"), ("accept", "text/plain")),
    (("Accept-Language", "de"), ("Accept-Language", "en")),
    (("authorization", "Bearer x"),),
    (("cookie", "a=1"), ("cookie", "b=2")),
    (("cookie", "session=abc"),),
    (("if-match", '"a"'), ("x-between", "1"), ("if-match", '"b"')),
    (("cache-control", "no-cache"), ("Cache-Control", "no-store")),
    (("content-type", "application/json"),),
    (("origin", "https://shop.example"), ("access-control-request-method", "GET")),
    (("x-empty", ""),),
    (("x_under_score", "1"),),
    (("x-utf8", "caf\u00e9 \u20ac"),),
    (("x-many", "1"), ("x-many", "2"), ("X-Many", "3")),
    (("date", "Mon, 01 Jan 2024 00:00:00 GMT"), ("server", "me"), ("via", "1.1 a"), ("via", "1.1 b")),
    (("range", "bytes=0-1"), ("range", "bytes=2-3")),
    (("x-long", "v" * 4000),),
)

FORWARDING: tuple[Headers, ...] = (
    *((("x-forwarded-proto", value),) for value in ("http", "https", "HTTPS", "ftp", "")),
    (("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")),
    (("x-forwarded-for", "10.0.0.1"), ("x-forwarded-for", "10.0.0.2")),
    (("x-forwarded-host", "outer"), ("x-forwarded-port", "8443"), ("forwarded", "for=1.2.3.4")),
    (("x-request-id", ""),),
    (("x-envoy-attempt-count", "1"), ("x-between", "1"), ("x-envoy-attempt-count", "2")),
    (("x-envoy-decorator-operation", "a"), ("x-envoy-decorator-operation", "b")),
    (("x-envoy-original-host", "a"), ("x-envoy-original-path", "b"), ("x-envoy-original-host", "c")),
    (("x-envoy-original-url", "a"), ("x-envoy-is-timeout-retry", "b"), ("x-envoy-downstream-service-node", "c")),
    (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("b3", "0")),
    *((("x-envoy-attempt-count", value),) for value in ("7", "")),
    (("x-envoy-expected-rq-timeout-ms", "5"),),
    (("x-envoy-decorator-operation", "mine"),),
    (("x-envoy-original-path", "/mine"), ("x-envoy-original-host", "mine")),
    (("x-envoy-internal", "false"), ("x-envoy-external-address", "1.2.3.4"), ("x-envoy-force-trace", "1")),
    (("x-envoy-max-retries", "9"), ("x-envoy-retry-on", "5xx"), ("x-envoy-retry-grpc-on", "cancelled")),
    (("x-envoy-upstream-rq-timeout-ms", "1"), ("x-envoy-upstream-rq-per-try-timeout-ms", "1")),
    (("x-envoy-upstream-stream-duration-ms", "1"), ("x-envoy-hedge-on-per-try-timeout", "true")),
    (("x-envoy-retriable-status-codes", "418"), ("x-envoy-retriable-header-names", "a")),
    (("x-envoy-upstream-alt-stat-name", "a"), ("x-envoy-upstream-rq-timeout-alt-response", "1")),
    (("x-envoy-ip-tags", "a"), ("x-envoy-unknown", "1"), ("x-envoy-peer-metadata", "x")),
    (("x-envoy-original-method", "X"), ("x-envoy-degraded", "1"), ("x-envoy-overloaded", "true")),
    (("x-forwarded-client-cert", "By=spiffe://a"),),
)

HOP: tuple[Headers, ...] = (
    (("connection", "keep-alive"), ("keep-alive", "timeout=5")),
    (("connection", "close"),),
    (("connection", "x-named, X-Other"), ("x-named", "1"), ("x-other", "2"), ("x-third", "3")),
    (("connection", "te"), ("te", "trailers")),
    (("te", "trailers"),),
    (("te", "gzip, trailers;q=0.5"),),
    (("te", "gzip,trailers"),),
    (("te", "gzip"),),
    (("trailer", "x-t"),),
    (("proxy-connection", "keep-alive"), ("proxy-authorization", "Basic x")),
    (("upgrade", "websocket"),),
    (("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade, x-named"), ("x-named", "1")),
    (("upgrade", "other"), ("connection", "upgrade")),
    (("upgrade", ""), ("connection", "upgrade")),
    (("connection", "upgrade"),),
    (("connection", "cookie, x-request-id, te"), ("cookie", "a=1"), ("te", "gzip")),
    (("connection", "x-forwarded-for"),),
    (("connection", ", ".join(f"x-{number}" for number in range(11))),),
    (("connection", "http2-settings"), ("http2-settings", "x")),
    (("te", "trailers"), ("te", "trailers"), ("te", "Trailers")),
    (("upgrade", "h2c"), ("connection", "upgrade, http2-settings"), ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")),
)

GRPC: tuple[Headers, ...] = (
    (("content-type", "application/grpc"), ("te", "trailers")),
    (("content-type", "application/grpc+proto"), ("te", "trailers"), ("grpc-timeout", "300m")),
    (("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "5S")),
    (("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "0S")),
    (("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "soon")),
    (("content-type", "application/grpc-web"), ("grpc-timeout", "1S")),
    (("content-type", "application/grpcx"),),
    (("grpc-timeout", "1S"),),
)
