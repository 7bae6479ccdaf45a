"""One of everything that the control plane reads, in one mesh, as inline YAML."""

from __future__ import annotations

from .everything_gateway import GATEWAY_ROUTES
from .support import endpoints, istio, service

KUBERNETES = (
    """
apiVersion: v1
kind: Namespace
metadata: {name: shop, annotations: {networking.istio.io/traffic-distribution: PreferSameZone}}
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: a}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  namespace: shop
  labels: {app: web, version: v1, security.istio.io/tlsMode: istio}
spec:
  nodeName: n1
  serviceAccountName: web
  hostname: web-0
  subdomain: peers
  containers: [{name: c, ports: [{name: admin, containerPort: 9901}]}]
status: {podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, version: v2}}
spec: {serviceAccountName: web}
status: {podIP: 10.1.0.2}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {type: ExternalName, externalName: geo.example.com, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers, namespace: shop}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: tcp-gossip, port: 7946}, {name: http, port: 8081}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: peers, namespace: shop, labels: {kubernetes.io/service-name: peers}}
addressType: IPv4
ports: [{name: tcp-gossip, port: 7946}, {name: http, port: 8081}]
endpoints:
- addresses: [10.1.0.1]
  conditions: {ready: true}
  targetRef: {kind: Pod, name: web-0, namespace: shop}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- addresses: [10.1.0.1]
  conditions: {ready: true}
  targetRef: {kind: Pod, name: web-0, namespace: shop}
- addresses: [10.1.0.2]
  conditions: {ready: false, terminating: false}
  targetRef: {kind: Pod, name: web-1, namespace: shop}
- addresses: [10.1.0.3]
  conditions: {ready: false, terminating: true}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: peers-6, namespace: shop, labels: {kubernetes.io/service-name: both}}
addressType: IPv6
ports: [{name: tcp, port: 9000}]
endpoints: [{addresses: ["fd00::5"], conditions: {ready: false, serving: true, terminating: true}}]
---
apiVersion: v1
kind: Service
metadata: {name: both, namespace: shop, labels: {istio.io/persistent-session: cookie}}
spec:
  clusterIP: 10.96.0.9
  clusterIPs: [10.96.0.9, "fd00:96::9"]
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: PreferDualStack
  publishNotReadyAddresses: true
  ports: [{name: tcp, port: 9000}, {name: any, port: 9001, appProtocol: kubernetes.io/h2c}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: local, namespace: shop, annotations: {proxyless.dev/endpoints: "127.0.20.1, tcp=127.0.0.1:7000"}}
spec:
  selector: {matchLabels: {app: local}}
  template:
    metadata: {labels: {app: local}}
    spec: {serviceAccountName: local, containers: [{name: c, ports: [{name: web, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: old, namespace: shop}
subsets: [{addresses: [{ip: 10.1.0.9}], ports: [{name: mongo, port: 27017}]}]
"""
    + service("web", "http:80:8080", "grpc:50051", "http-admin:9901:admin", "tcp:6380", "https:8443", ip="10.96.0.1")
    + service("local", "http:80:web", "tcp:7000", ip="10.96.0.8")
    + service("old", "mongo:27017", ip="10.96.0.2")
    + service("raw", "any:7000", "udp-x:53", ip="10.96.0.3")
    + endpoints("raw", "any:7000", "10.1.0.4")
    + service("near", "http:80", ip="10.96.0.4", rest="{internalTrafficPolicy: Local}")
    + endpoints("near", "http:80", "10.1.0.5")
    + service("far", "http2:80", ip="10.96.0.5", namespace="other")
    + endpoints("far", "http2:80", "10.1.0.6", namespace="other")
)

ENTRIES = (
    istio(
        "ServiceEntry",
        "geo",
        """
        hosts: [geo.example.com]
        ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
        resolution: DNS
        """,
    )
    + istio(
        "ServiceEntry",
        "static",
        """
        hosts: [db.internal]
        addresses: [10.50.0.0/24, 10.60.0.1]
        ports: [{number: 5432, name: tcp, protocol: TCP}, {number: 3306, name: mysql, protocol: MySQL}]
        resolution: STATIC
        location: MESH_INTERNAL
        endpoints:
        - {address: 10.2.0.1, weight: 3, locality: r1/a, labels: {version: v1}}
        - {address: 10.2.0.2, locality: r2/b, ports: {tcp: 15432}, serviceAccount: db}
        """,
    )
    + istio(
        "ServiceEntry",
        "socket",
        """
        hosts: [socket.internal]
        ports: [{number: 5432, name: tcp, protocol: TCP}]
        resolution: STATIC
        endpoints: [{address: "unix:///var/run/db.sock"}]
        """,
    )
    + istio(
        "ServiceEntry",
        "wild",
        "{hosts: ['*.wild.example.com'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}",
    )
    + istio(
        "ServiceEntry",
        "robin",
        """
        hosts: [robin.example.com]
        ports: [{number: 443, name: https, protocol: HTTPS, targetPort: 8443}]
        resolution: DNS_ROUND_ROBIN
        endpoints: [{address: one.example.com}]
        """,
    )
    + istio(
        "ServiceEntry",
        "selected",
        """
        hosts: [vm.internal]
        ports: [{number: 9000, name: http, protocol: HTTP}]
        resolution: STATIC
        workloadSelector: {labels: {app: vm}}
        """,
    )
    + istio(
        "ServiceEntry",
        "resolved",
        """
        hosts: ["*.resolved.example.com"]
        location: MESH_EXTERNAL
        resolution: DYNAMIC_DNS
        ports: [{number: 8088, name: http, protocol: HTTP}, {number: 8443, name: tls, protocol: TLS}]
        """,
    )
    + istio(
        "WorkloadGroup",
        "vms",
        """
        metadata: {labels: {app: vm}, annotations: {note: x}}
        template: {ports: {http: 9000}, serviceAccount: vm, network: near, labels: {tier: back}}
        probe: {periodSeconds: 5, initialDelaySeconds: 1, httpGet: {path: /ready, port: 9000, scheme: HTTPS}}
        """,
    )
    + istio(
        "WorkloadEntry",
        "probed",
        "{address: 10.3.0.2, labels: {app: vm}, ports: {http: 9001}, weight: 2, network: near}",
        annotations={"proxy.istio.io/health-checks-enabled": "true"},
    )
    + istio("WorkloadEntry", "vm-0", "{address: 10.3.0.1, labels: {app: vm}, locality: r1/b/c, serviceAccount: vm}")
)

ROUTES = (
    istio(
        "VirtualService",
        "web",
        """
    hosts: [web, web.example.com, "*.web.example.com"]
    http:
    - name: canary
      match:
      - name: by-header
        headers: {x-user: {exact: me}, x-any: {}, x-pre: {prefix: a}, x-re: {regex: "a.*"}}
        withoutHeaders: {x-no: {}, x-not: {exact: b}}
        queryParams: {debug: {exact: "1"}, trace: {regex: "[0-9]+"}, flag: {}}
        uri: {exact: /v2}
        method: {exact: GET}
        scheme: {exact: http}
        authority: {prefix: web}
        ignoreUriCase: true
        sourceLabels: {app: client}
        sourceNamespace: shop
        port: 80
      route: [{destination: {host: web, subset: v2}, headers: {request: {set: {x-a: b}, remove: [x-c]}}}]
    - match: [{uri: {prefix: /api/}, statPrefix: api}, {uri: {regex: "/r/.*"}}]
      rewrite: {uri: /, authority: other.example.com}
      timeout: 3s
      retries: {attempts: 3, perTryTimeout: 1s, retryOn: "5xx,409", retryRemoteLocalities: true, backoff: 10ms}
      fault:
        delay: {fixedDelay: 1s, percentage: {value: 10}}
        abort: {httpStatus: 503, percentage: {value: 0.1}}
      mirror: {host: far.other}
      mirrorPercentage: {value: 5.5}
      corsPolicy:
        allowOrigins: [{exact: "https://a"}, {prefix: "https://b"}, {regex: "https://c.*"}]
        allowMethods: [GET]
        allowHeaders: [x-a]
        exposeHeaders: [x-b]
        maxAge: 1h
        allowCredentials: true
        unmatchedPreflights: IGNORE
      headers:
        request: {set: {x-set: a}, add: {x-add: b}, remove: [x-gone]}
        response: {set: {x-set: a}, add: {x-add: b}, remove: [x-gone]}
      route:
      - destination: {host: web, subset: v1, port: {number: 80}}
        weight: 90
        headers: {response: {add: {x-from: v1}}}
      - destination: {host: web, subset: v2}
        weight: 10
    - match: [{uri: {prefix: /old}}]
      redirect: {uri: /new, authority: n.example.com, redirectCode: 308, scheme: https, port: 8443}
    - match: [{uri: {prefix: /moved}}]
      redirect: {prefixRewrite: /there, derivePort: FROM_REQUEST_PORT}
    - match: [{uri: {prefix: /teapot}}]
      directResponse: {status: 418, body: {string: short and stout}}
    - match: [{uri: {prefix: /rx}}]
      headers: {request: {set: {":authority": auth.example.com}}}
      rewrite: {uriRegexRewrite: {match: "^/rx/([^/]+)(.*)$", rewrite: '/\\\\2/\\\\1'}}
      route: [{destination: {host: web}}]
    - match: [{uri: {prefix: /mirrors}}]
      mirrors: [{destination: {host: web, subset: v1}, percentage: {value: 50}}]
      fault: {abort: {grpcStatus: UNAVAILABLE}}
      retries: {attempts: 0}
      route: [{destination: {host: outside}}]
    - delegate: {name: rest, namespace: other}
    """,
    )
    + istio(
        "VirtualService",
        "rest",
        """
    http:
    - match: [{uri: {prefix: /far}}]
      route: [{destination: {host: far}}]
    - route: [{destination: {host: web.shop.svc.cluster.local}}]
    """,
        namespace="other",
    )
    + istio(
        "VirtualService",
        "db",
        """
    hosts: [db.internal]
    tcp:
    - match: [{port: 5432, destinationSubnets: [10.50.0.1/32]}]
      route:
      - {destination: {host: db.internal}, weight: 70}
      - {destination: {host: geo.example.com, port: {number: 443}}, weight: 30}
    """,
    )
    + istio(
        "VirtualService",
        "secure",
        """
    hosts: [geo.example.com]
    tls:
    - match: [{port: 443, sniHosts: [geo.example.com]}]
      route: [{destination: {host: geo.example.com, port: {number: 443}}}]
    """,
    )
)

RULES = (
    istio(
        "DestinationRule",
        "web",
        """
        host: web
        trafficPolicy:
          loadBalancer:
            consistentHash: {httpCookie: {name: user, ttl: 10s, path: /}, maglev: {tableSize: 65537}}
          connectionPool:
            tcp:
              maxConnections: 10
              connectTimeout: 1s
              idleTimeout: 30s
              maxConnectionDuration: 1h
              tcpKeepalive: {time: 75s, interval: 7s, probes: 3}
            http:
              http1MaxPendingRequests: 5
              http2MaxRequests: 20
              maxRequestsPerConnection: 7
              maxRetries: 2
              idleTimeout: 9s
              maxConcurrentStreams: 11
              http2KeepAlive: {interval: 5s, timeout: 2s}
          outlierDetection:
            consecutive5xxErrors: 3
            consecutiveGatewayErrors: 2
            splitExternalLocalOriginErrors: true
            consecutiveLocalOriginFailures: 4
            interval: 1s
            baseEjectionTime: 2s
            maxEjectionPercent: 50
            minHealthPercent: 10
            outlierDetectionHttpErrorCodes: [500, 429]
          tls: {mode: ISTIO_MUTUAL}
          retryBudget: {percent: 30, minRetryConcurrency: 4, budgetInterval: 5s}
          portLevelSettings:
          - port: {number: 6380}
            loadBalancer: {simple: LEAST_REQUEST, warmup: {duration: 30s, minimumPercent: 20, aggression: 1.5}}
            tls: {mode: DISABLE}
        subsets:
        - {name: v1, labels: {version: v1}}
        - name: v2
          labels: {version: v2}
          trafficPolicy: {loadBalancer: {simple: RANDOM}, tls: {mode: SIMPLE, sni: web.example.com}}
        """,
    )
    + istio(
        "DestinationRule",
        "db",
        """
        host: db.internal
        trafficPolicy:
          loadBalancer:
            localityLbSetting: {failover: [{from: r1, to: r2}]}
          outlierDetection: {consecutive5xxErrors: 1}
          proxyProtocol: {version: V2}
          tls:
            mode: MUTUAL
            clientCertificate: /c.pem
            privateKey: /k.pem
            caCertificates: /ca.pem
            subjectAltNames: [db]
        subsets:
        - name: one
          labels: {version: v1}
          trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}
        """,
    )
    + istio(
        "DestinationRule",
        "far",
        """
        host: far.other.svc.cluster.local
        trafficPolicy:
          loadBalancer:
            simple: ROUND_ROBIN
            warmupDurationSecs: 10s
            localityLbSetting: {distribute: [{from: "r1/*", to: {"r1/*": 80, "r2/*": 20}}]}
          connectionPool: {http: {useClientProtocol: true}}
        """,
        namespace="other",
    )
    + istio(
        "DestinationRule",
        "resolved",
        """
        host: "*.resolved.example.com"
        trafficPolicy: {tls: {mode: SIMPLE, sni: a.example.com}, connectionPool: {http: {idleTimeout: 3s}}}
        """,
    )
    + istio(
        "DestinationRule",
        "named",
        """
        host: near
        workloadSelector: {matchLabels: {app: client}}
        trafficPolicy:
          loadBalancer: {zoneAwareLbSetting: {enabled: true, minClusterSize: 2, failover: [{from: r1, to: r2}]}}
          tls: {mode: MUTUAL, credentialName: client, subjectAltNames: [near]}
        subsets:
        - {name: map, trafficPolicy: {tls: {mode: SIMPLE, credentialName: "configmap://shop/ca"}}}
        - {name: apart, trafficPolicy: {tls: {mode: SIMPLE, credentialName: "sds://mine"}, proxyProtocol: {}}}
        """,
    )
    + istio(
        "DestinationRule",
        "geo",
        """
        host: geo.example.com
        trafficPolicy:
          outlierDetection: {}
          loadBalancer: {localityLbSetting: {failoverPriority: [version]}}
        """,
    )
    + istio(
        "DestinationRule",
        "mine",
        """
        host: raw
        workloadSelector: {matchLabels: {app: client}}
        trafficPolicy:
          loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 128}}}
          connectionPool: {tcp: {idleTimeout: 5s, maxConnectionDuration: 10s}}
          tunnel: {protocol: POST, targetHost: proxy.example.com, targetPort: 443}
        """,
    )
)

POLICIES = (
    istio("PeerAuthentication", "default", "{mtls: {mode: STRICT}}", namespace="istio-system")
    + istio(
        "PeerAuthentication",
        "web",
        """
    selector: {matchLabels: {app: web}}
    mtls: {mode: PERMISSIVE}
    portLevelMtls: {8080: {mode: DISABLE}, 9999: {mode: STRICT}}
    """,
    )
    + istio(
        "RequestAuthentication",
        "tokens",
        """
        jwtRules:
        - issuer: https://a.example.com
          jwks: '{"keys":[{"kty":"oct","alg":"HS256","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ","kid":"k1"}]}'
          audiences: [x]
          fromHeaders: [{name: x-token, prefix: "Bearer "}]
          fromParams: [token]
          fromCookies: [token]
          forwardOriginalToken: true
          outputPayloadToHeader: x-payload
          outputClaimToHeaders: [{header: x-sub, claim: sub}]
          spaceDelimitedClaims: [roles]
        - {issuer: https://b.example.com, jwksUri: "https://b.example.com/keys"}
        """,
    )
    + istio(
        "AuthorizationPolicy",
        "allow",
        """
        rules:
        - from:
          - source:
              principals: ["cluster.local/ns/shop/sa/web", "*/sa/any", "*"]
              notPrincipals: ["other/ns/x/sa/y"]
              requestPrincipals: ["https://a.example.com/*", "*/sub", "*", "*suffix", "iss/sub", "prefix*", "bare"]
              namespaces: [shop, "te*st"]
              notNamespaces: [bad]
              trustDomains: [cluster.local, "*.example.com", "*"]
              ipBlocks: [10.0.0.0/8, 1.2.3.4]
              remoteIpBlocks: [192.0.2.0/24]
          - source: {serviceAccounts: [web, other/web], notTrustDomains: [bad]}
          to:
          - operation:
              hosts: ["web.example.com", "*.example.com", "web.*", "*"]
              methods: [GET, "P*"]
              paths: [/a, "/b*", "*/c", "*", "/t/{*}/x/{**}"]
              notPaths: [/secret]
              ports: ["8080"]
              notPorts: ["1"]
          when:
          - {key: "request.headers[x-a]", values: [b, "c*", "*d", "*"]}
          - {key: source.ip, notValues: [10.9.0.0/16]}
          - {key: destination.ip, values: [10.1.0.1]}
          - {key: destination.port, values: ["8080"]}
          - {key: connection.sni, values: [web.example.com]}
          - {key: "request.auth.claims[a][b]", values: [c]}
          - {key: "request.auth.claims[iss]", notValues: [c, d]}
          - {key: request.auth.audiences, values: [x, y]}
          - {key: request.auth.presenter, values: [z]}
          - {key: "experimental.envoy.filters.network.mysql_proxy[db.table]", values: ["[update]", plain]}
        """,
    )
    + istio("AuthorizationPolicy", "nothing", "{selector: {matchLabels: {app: nobody}}}")
    + istio("AuthorizationPolicy", "deny", "{action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}")
    + istio(
        "AuthorizationPolicy",
        "dry",
        "{action: DENY, rules: [{from: [{source: {namespaces: [dry]}}]}]}",
        annotations={"istio.io/dry-run": "true"},
    )
    + istio("AuthorizationPolicy", "audit", "{action: AUDIT, rules: [{to: [{operation: {ports: ['80']}}]}]}")
    + istio(
        "AuthorizationPolicy",
        "custom",
        "{action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {paths: [/ext]}}]}]}",
    )
    + istio(
        "Telemetry",
        "logs",
        """
        accessLogging: [{providers: [{name: envoy}], filter: {expression: 'response.code >= 400'}}]
        metrics:
        - providers: [{name: prometheus}]
          reportingInterval: 7s
          overrides:
          - {match: {metric: REQUEST_COUNT, mode: CLIENT}, disabled: true}
          - match: {customMetric: mine}
            tagOverrides: {a: {value: "request.host"}, b: {operation: REMOVE}}
        """,
    )
    + istio(
        "WasmPlugin",
        "plugin",
        """
        url: oci://registry.example.com/plugin:1
        sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
        imagePullPolicy: IfNotPresent
        imagePullSecret: pull
        pluginName: root
        pluginConfig: {key: value}
        phase: AUTHN
        priority: 10
        failStrategy: FAIL_OPEN
        vmConfig: {env: [{name: A, value: b}, {name: HOME, valueFrom: HOST}]}
        match: [{mode: SERVER, ports: [{number: 8080}]}, {mode: CLIENT}]
        """,
    )
    + istio("WasmPlugin", "connections", "{url: 'file:///plugin.wasm', type: NETWORK, failStrategy: FAIL_RELOAD}")
    + istio("TrafficExtension", "script", "{phase: STATS, lua: {inlineCode: 'function envoy_on_request(h) end'}}")
    + istio("TrafficExtension", "module", "{phase: AUTHZ, wasm: {url: 'https://registry.example.com/plugin.wasm'}}")
)

SIDECAR = istio(
    "Sidecar",
    "scope",
    """
    workloadSelector: {labels: {scoped: "yes"}}
    inboundConnectionPool: {tcp: {maxConnections: 7}}
    outboundTrafficPolicy:
      mode: ALLOW_ANY
      egressProxy: {host: far.other.svc.cluster.local, port: {number: 80}}
    ingress:
    - {port: {number: 8080, protocol: HTTP, name: http}, defaultEndpoint: "127.0.0.1:8081"}
    - port: {number: 9443, protocol: HTTPS, name: https}
      defaultEndpoint: "0.0.0.0:8443"
      connectionPool: {tcp: {maxConnections: 3}}
      tls: {mode: SIMPLE, serverCertificate: /etc/c.pem, privateKey: /etc/k.pem}
    - {port: {number: 9000}, bind: 127.0.0.1, captureMode: NONE, defaultEndpoint: "unix:///run/app.sock"}
    - {port: {number: 9001, protocol: TCP}, defaultEndpoint: "[::1]:9002"}
    - {port: {number: 9003, protocol: GRPC}, bind: 0.0.0.0}
    egress:
    - {port: {number: 3128, protocol: HTTP_PROXY, name: proxy}, bind: 127.0.0.1, captureMode: NONE, hosts: ["*/*"]}
    - {port: {number: 0, protocol: HTTP}, bind: "unix:///run/out", hosts: [shop/*, ~*/web.shop.svc.cluster.local]}
    - {port: {number: 0, protocol: TCP}, bind: "unix:///run/db.sock", hosts: [./db.internal]}
    - {port: {number: 6380, protocol: TCP}, bind: 127.0.0.1, captureMode: NONE, hosts: ["*/*"]}
    - {port: {number: 8443, protocol: HTTPS}, hosts: ["*/*"]}
    - {port: {number: 7000}, bind: 0.0.0.0, hosts: ["*/*"]}
    - {hosts: ["./*", "other/*", "~/*.example.com"]}
    """,
)

EVERYTHING = KUBERNETES + ENTRIES + ROUTES + GATEWAY_ROUTES + RULES + POLICIES + SIDECAR
