"""Cases in which Envoy and proxyless once differed, as they were printed when they could not be made smaller."""

from __future__ import annotations

from tests.differential.case import Case
from tests.differential.requests import Request

FOUND: dict[str, Case] = {
    "a decorator sent twice is one line": Case(
        (
            {
                "name": "10.9.9.9",
                "domains": ["10.9.9.9"],
                "routes": [{"match": {"safe_regex": {"regex": "/[a-s]vc(/.*)?"}}, "route": {"cluster": "c"}}],
            },
        ),
        (
            Request(
                "GET",
                "http://case.test/svc/b/c",
                (
                    ("host", "10.9.9.9"),
                    ("x-envoy-decorator-operation", "w"),
                    ("x-envoy-decorator-operation", "w"),
                ),
            ),
        ),
    ),
    "what a filter answers on a route that forwards nothing has the route's headers": Case(
        (
            {
                "name": "shop.test:80",
                "domains": ["shop.test:80"],
                "routes": [
                    {
                        "match": {"prefix": "/svc/x"},
                        "non_forwarding_action": {},
                        "typed_per_filter_config": {
                            "envoy.filters.http.fault": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                                "abort": {"http_status": 503, "percentage": {"numerator": 100}},
                            }
                        },
                    }
                ],
                "response_headers_to_add": [{"header": {"key": "x-new", "value": "%RESPONSE_FLAGS%"}}],
            },
        ),
        (Request("GET", "http://case.test/svc/x/", (("host", "shop.test:80"),)),),
    ),
    "a fault on a route to a cluster that is not there names none": Case(
        (
            {
                "name": "*.shop.test",
                "domains": ["*.shop.test"],
                "routes": [
                    {
                        "match": {"prefix": "/"},
                        "route": {"cluster": "none"},
                        "typed_per_filter_config": {
                            "envoy.filters.http.fault": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                                "abort": {"http_status": 418, "percentage": {"numerator": 100}},
                            }
                        },
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/A/", (("host", "a.shop.test"),)),),
    ),
    "a direct response of 204 has no body": Case(
        (
            {
                "name": "*.a.shop.test",
                "domains": ["*.a.shop.test"],
                "routes": [
                    {
                        "match": {"path": "/a/b"},
                        "direct_response": {"status": 204, "body": {"inline_string": "teapot"}},
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/a/b", (("host", "x.a.shop.test"),)),),
    ),
    "the path of a redirect begins with a slash whatever the rewrite says": Case(
        (
            {
                "name": "a.shop.test",
                "domains": ["a.shop.test"],
                "routes": [
                    {
                        "match": {"path": "/api/v1"},
                        "redirect": {"regex_rewrite": {"pattern": {"regex": "a*"}, "substitution": "x"}},
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/api/v1", (("host", "a.shop.test"),)),),
    ),
    "an addition to a joined header that is empty takes its place": Case(
        (
            {
                "name": "*.a.shop.test",
                "domains": ["shop.*"],
                "routes": [
                    {
                        "match": {"safe_regex": {"regex": "/[a-s]vc(/.*)?"}},
                        "route": {
                            "weighted_clusters": {
                                "clusters": [
                                    {
                                        "name": "b",
                                        "weight": 80,
                                        "request_headers_to_add": [
                                            {"header": {"key": "user-agent"}, "keep_empty_value": True}
                                        ],
                                    }
                                ]
                            }
                        },
                    }
                ],
                "request_headers_to_add": [{"header": {"key": "user-agent", "value": "%REQ(:path)%"}}],
            },
        ),
        (Request("GET", "http://case.test/svc/", (("host", "shop.x"),)),),
    ),
    "two additions of one level to a joined header are one line": Case(
        (
            {
                "name": "any",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                "response_headers_to_add": [
                    {"header": {"key": "cache-control", "value": "2"}},
                    {"header": {"key": "cache-control", "value": "%REQ(:path)%"}},
                ],
            },
        ),
        (Request("GET", "http://case.test/", (("host", "api-a.b"),)),),
    ),
    "an answer without a body has no content type that a mutation set": Case(
        (
            {
                "name": "*.a.shop.test",
                "domains": ["*.a.shop.test"],
                "routes": [
                    {
                        "match": {"path": "/v1/items"},
                        "non_forwarding_action": {},
                        "response_headers_to_add": [{"header": {"key": "content-type", "value": "%REQ(:path)%"}}],
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/v1/items", (("host", "x.a.shop.test"),)),),
    ),
    "an answer with a body keeps the content type that a mutation set": Case(
        (
            {
                "name": "any",
                "domains": ["*"],
                "routes": [
                    {
                        "match": {"prefix": "/"},
                        "direct_response": {"status": 302, "body": {"inline_string": "teapot"}},
                        "response_headers_to_add": [{"header": {"key": "content-type", "value": "ab"}}],
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/", (("host", "shop.test"),)),),
    ),
    "a gRPC client is told its content type where a mutation set one": Case(
        (
            {
                "name": "any",
                "domains": ["*"],
                "routes": [
                    {
                        "match": {"prefix": "/"},
                        "non_forwarding_action": {},
                        "response_headers_to_add": [
                            {"header": {"key": "content-type", "value": "ab"}},
                            {"header": {"key": "x-answer", "value": "text"}},
                        ],
                    }
                ],
            },
        ),
        (
            Request(
                "PATCH",
                "http://case.test/",
                (("host", "shop.test"), ("content-type", "application/grpc"), ("te", "trailers")),
            ),
        ),
    ),
    "in answer to HEAD a gRPC client gets no message": Case(
        (
            {
                "name": "any",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "empty"}}],
            },
        ),
        (
            Request(
                "HEAD",
                "http://case.test/",
                (("host", "shop.test"), ("content-type", "application/grpc"), ("te", "trailers")),
            ),
        ),
    ),
    "the headers of a redirect see the path that it rewrote": Case(
        (
            {
                "name": "a.shop.test",
                "domains": ["a.shop.test"],
                "routes": [
                    {
                        "match": {"prefix": "/svc"},
                        "redirect": {"regex_rewrite": {"pattern": {"regex": "/"}, "substitution": "-"}},
                        "response_headers_to_add": [
                            {"header": {"key": "x-answer", "value": "%REQ(:path)% %REQ(x-envoy-original-path)%"}}
                        ],
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/svc/x?q", (("host", "a.shop.test"), ("x-envoy-original-path", "mine"))),),
    ),
    "a redirect that strips the query strips that of its rewrite": Case(
        (
            {
                "name": "*",
                "domains": ["*"],
                "routes": [
                    {
                        "match": {"safe_regex": {"regex": "/a.*"}},
                        "redirect": {"prefix_rewrite": "/n?z=1", "strip_query": True},
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/ab/x", ()),),
    ),
    "the last of two overwrites of a header counts, where it stands": Case(
        (
            {
                "name": "*.a.shop.test",
                "domains": ["*.test"],
                "routes": [
                    {
                        "match": {"prefix": "/"},
                        "route": {"cluster_header": "x-cluster"},
                        "response_headers_to_add": [
                            {
                                "header": {"key": "cache-control", "value": "%REQ(user-agent)%"},
                                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                            },
                            {
                                "header": {"key": "x-kept", "value": "e"},
                                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                            },
                            {
                                "header": {"key": "cache-control", "value": "2%REQ(user-agent)%"},
                                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                            },
                        ],
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/", (("user-agent", "9"),)),),
    ),
    "two attempt counts that were sent are one line": Case(
        (
            {
                "name": "shop.*",
                "domains": ["shop.*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "a"}}],
            },
        ),
        (
            Request(
                "GET",
                "http://case.test/",
                (("host", "shop.t"), ("x-envoy-attempt-count", "7"), ("x-envoy-attempt-count", "7")),
            ),
        ),
    ),
    "the remote address in a format is the last that was forwarded for": Case(
        (
            {
                "name": "any",
                "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "b"}}],
                "request_headers_to_add": [
                    {"header": {"key": "x-seen", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}
                ],
                "response_headers_to_add": [
                    {"header": {"key": "x-seen", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}
                ],
            },
        ),
        (
            Request(
                "GET",
                "http://case.test/",
                (("host", "a"), ("x-forwarded-for", "10.1.1.1"), ("x-forwarded-for", "1.2.3.4")),
            ),
        ),
    ),
    "the query in a format is that of the path as it is": Case(
        (
            {
                "name": "any",
                "domains": ["*"],
                "routes": [
                    {
                        "match": {"prefix": "/"},
                        "redirect": {"prefix_rewrite": "/n?z=1"},
                        "response_headers_to_add": [
                            {"header": {"key": "x-new", "value": "%QUERY_PARAMS% %QUERY_PARAM(z)%"}}
                        ],
                    }
                ],
            },
        ),
        (Request("GET", "http://case.test/x", (("host", "a"),)),),
    ),
}
