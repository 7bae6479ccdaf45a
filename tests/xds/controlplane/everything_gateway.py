"""One of everything that routes of the Gateway API have, for the services of `everything`."""

from __future__ import annotations

from .support import istio

_NEAR = "{group: '', kind: Service, name: near}"

GATEWAY_ROUTES = (
    istio(
        "HTTPRoute",
        "conditions",
        """
        parentRefs:
        - {group: "", kind: Service, name: near}
        - {name: gate, namespace: ingress, sectionName: http}
        - {group: networking.istio.io, kind: ServiceEntry, name: geo, port: 80}
        hostnames: [a.example.com]
        rules:
        - name: first
          matches:
          - path: {type: Exact, value: /exact}
            method: POST
            headers: [{name: x-a, value: b}, {name: x-b, type: RegularExpression, value: "b+"}]
            queryParams: [{name: q, value: "1"}, {name: p, type: RegularExpression, value: "[0-9]+"}]
          - path: {type: RegularExpression, value: "/re/.*"}
          timeouts: {request: 10s, backendRequest: 2s}
          retry: {attempts: 3, backoff: 25ms, codes: [500, 503]}
          backendRefs:
          - name: web
            port: 80
            weight: 3
            filters:
            - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: host, value: one.example.com}]}}
            - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-a, value: b}], remove: [x-c]}}
          - {name: gone, port: 80}
          - {kind: Bucket, name: b}
          - {group: networking.istio.io, kind: Hostname, name: geo.example.com, port: 80}
          - {name: web, port: 80, weight: 0}
        - matches: [{path: {value: /api/}}]
          filters:
          - type: URLRewrite
            urlRewrite: {hostname: a.example.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}
          - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, percent: 5}}
          - type: RequestMirror
            requestMirror: {backendRef: {name: web, port: 80}, fraction: {numerator: 1, denominator: 3}}
          - type: CORS
            cors:
              allowOrigins: ["https://a.example.com", "https://*.example.com"]
              allowMethods: [GET, PUT]
              allowHeaders: [x-a]
              exposeHeaders: [x-b]
              allowCredentials: true
              maxAge: 60
          backendRefs: [{name: web, port: 80}]
        - matches: [{path: {value: /full}}]
          filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /x}}}]
          backendRefs: [{name: web, port: 80}]
        - matches: [{path: {value: /old}}]
          filters:
          - type: RequestRedirect
            requestRedirect:
              {scheme: https, hostname: b.example.com, port: 8443, statusCode: 308,
               path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}
        - matches: [{path: {value: /nothing}}]
        - sessionPersistence: {sessionName: s}
          backendRefs: [{name: web, port: 80}]
        """,
    )
    + istio(
        "GRPCRoute",
        "methods",
        f"""
        parentRefs: [{_NEAR}]
        rules:
        - matches:
          - {{method: {{service: a.B, method: C}}}}
          - {{method: {{service: a.B}}, headers: [{{name: v, value: "2"}}]}}
          - {{method: {{method: "D+", type: RegularExpression}}}}
          filters:
          - {{type: RequestMirror, requestMirror: {{backendRef: {{name: web, port: 80}}}}}}
          - {{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-a, value: b}}]}}}}
          backendRefs:
          - name: web
            port: 80
            filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{remove: [x-a]}}}}]
        """,
    )
    + istio(
        "HTTPRoute",
        "unusable",
        f"{{parentRefs: [{_NEAR}], rules: [{{filters: [{{type: ExtensionRef, extensionRef: {{name: x}}}}]}}]}}",
    )
    + istio(
        "TCPRoute",
        "bytes",
        """
        parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: static}]
        rules: [{backendRefs: [{name: web, port: 80}, {kind: Bucket, name: b, weight: 2}]}]
        """,
    )
    + istio(
        "TLSRoute",
        "sealed",
        "{parentRefs: [{group: '', kind: Service, name: web, port: 8443}], hostnames: [a.example.com], "
        "rules: [{backendRefs: [{name: web, port: 80}]}]}",
    )
)
