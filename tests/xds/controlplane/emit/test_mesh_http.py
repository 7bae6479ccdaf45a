"""What MeshConfig and ProxyConfig say of HTTP: paths, headers, connections, retries, by listener and by route."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.emit.view import View
from tests.xds.controlplane.support import endpoints, istio, made, mesh, service, view

BASE = (
    service("web", "http:80:8080", "grpc:81:8081", "any:82:8082")
    + endpoints("web", "http:8080", "10.1.0.1")
    + istio(
        "VirtualService",
        "web",
        """
        hosts: [web]
        http: [{match: [{uri: {prefix: /a}}], rewrite: {uri: /}, route: [{destination: {host: web}}]}]
        """,
    )
)
OUTBOUND, INBOUND, GRPC = "0.0.0.0_80", "0.0.0.0_8080", "0.0.0.0_8081"
WEB = "outbound|80||web.shop.svc.cluster.local"


def seen(settings: str = "{}", **metadata: Any) -> View:
    return view(BASE + mesh(settings), labels={"app": "web"}, **metadata)


def managers(of: View) -> dict[str, dict[str, Any]]:
    """The connection managers, of listeners and (inbound) of chains, by name."""
    out = {}
    for name, listener in made(of, rules.LISTENER).items():
        for chain in [*listener["filter_chains"], listener.get("default_filter_chain", {})]:
            for each in chain.get("filters", ()):
                if each["name"].endswith("http_connection_manager"):
                    out[chain.get("name") or name] = each["typed_config"]
    return out


def manager(settings: str = "{}", name: str = OUTBOUND, **metadata: Any) -> dict[str, Any]:
    return managers(seen(settings, **metadata))[name]


def headers(written: str) -> str:
    return f"defaultConfig: {{proxyHeaders: {{{written}}}}}"


@pytest.mark.parametrize("name", [OUTBOUND, INBOUND])
@pytest.mark.parametrize(
    ("kind", "normalize", "merge", "escaped"),
    [
        ("DEFAULT", True, False, "KEEP_UNCHANGED"),
        ("NONE", False, False, "KEEP_UNCHANGED"),
        ("BASE", True, False, "KEEP_UNCHANGED"),
        ("MERGE_SLASHES", True, True, "KEEP_UNCHANGED"),
        ("DECODE_AND_MERGE_SLASHES", True, True, "UNESCAPE_AND_FORWARD"),
    ],
)
def test_paths_are_normalized_as_the_mesh_says(
    kind: str, normalize: bool, merge: bool, escaped: str, name: str
) -> None:
    found = manager(f"pathNormalization: {{normalization: {kind}}}", name)
    assert found["normalize_path"] == normalize
    assert found.get("merge_slashes", False) == merge
    assert found["path_with_escaped_slashes_action"] == escaped


def test_without_a_word_headers_are_istiods() -> None:
    out, inwards = manager(), manager(name=INBOUND)
    assert not out.keys() & {"server_name", "generate_request_id", "append_x_forwarded_port"}
    assert inwards["server_name"] == "istio-envoy"
    assert inwards["forward_client_cert_details"] == "APPEND_FORWARD"
    assert inwards["set_current_client_cert_details"] == {"subject": True, "dns": True, "uri": True}
    assert out["http_filters"][-1]["typed_config"] == {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    }


@pytest.mark.parametrize("name", [OUTBOUND, INBOUND])
def test_headers_of_the_proxy_can_be_changed(name: str) -> None:
    assert manager(headers("server: {value: shop}"), name)["server_name"] == "shop"
    silent = manager(headers("server: {disabled: true}"), name)
    assert silent["server_header_transformation"] == "PASS_THROUGH"
    assert "server_name" not in silent
    assert manager(headers("requestId: {disabled: true}"), name)["generate_request_id"] is False
    assert manager(headers("xForwardedPort: {enabled: true}"), name)["append_x_forwarded_port"] is True
    router = manager(headers("envoyDebugHeaders: {disabled: true}"), name)["http_filters"][-1]
    assert router["typed_config"]["suppress_envoy_headers"] is True
    cased = manager(headers("preserveHttp1HeaderCase: true"), name)["http_protocol_options"]["header_key_format"]
    assert cased["stateful_formatter"]["name"] == "preserve_case"


def test_what_the_application_hears_of_certificates_can_be_changed() -> None:
    details = "setCurrentClientCertDetails: {cert: true, chain: true, dns: false, uri: false, subject: false}"
    found = manager(headers(f"forwardedClientCert: SANITIZE, {details}"), INBOUND)
    assert "forward_client_cert_details" not in found or found["forward_client_cert_details"] == "SANITIZE"
    assert found["set_current_client_cert_details"] == {"subject": False, "cert": True, "chain": True}


def test_peers_outside_of_the_mesh_need_not_be_told_who_calls() -> None:
    exchange = manager(headers("metadataExchangeHeaders: {mode: IN_MESH}"))["http_filters"][0]["typed_config"]["value"]
    assert exchange["upstream_propagation"] == [{"istio_headers": {"skip_external_clusters": True}}]
    inwards = manager(headers("metadataExchangeHeaders: {mode: IN_MESH}"), INBOUND)["http_filters"][0]
    assert "skip_external_clusters" not in str(inwards)


def test_attempts_are_counted_unless_switched_off() -> None:
    def counted(settings: str) -> set[bool]:
        table = made(seen(settings), rules.ROUTE, "80")["80"]
        return {host.get("include_request_attempt_count", False) for host in table["virtual_hosts"]}

    assert counted("{}") == {True}
    assert counted(headers("attemptCount: {disabled: true}")) == {False}


def test_a_host_that_is_rewritten_may_go_on_in_a_header() -> None:
    table = made(seen(headers("xForwardedHost: {enabled: true}")), rules.ROUTE, "80", "81")
    routes = {host["name"]: host["routes"][0]["route"] for host in table["80"]["virtual_hosts"]}
    assert routes["web.shop.svc.cluster.local:80"]["append_x_forwarded_host"] is True
    assert routes["allow_any"]["append_x_forwarded_host"] is True
    plainly = made(seen(), rules.ROUTE, "80")["80"]["virtual_hosts"]
    assert "append_x_forwarded_host" not in str(plainly)


def test_clusters_keep_the_case_of_headers_too() -> None:
    def formatted(settings: str) -> dict[str, Any]:
        found = made(seen(settings), rules.CLUSTER)
        return {name: each.get("typed_extension_protocol_options", {}) for name, each in found.items()}

    kept = formatted(headers("preserveHttp1HeaderCase: true"))
    (options,) = kept[WEB].values()
    assert "header_key_format" in options["explicit_http_config"]["http_protocol_options"]
    (options,) = kept["outbound|82||web.shop.svc.cluster.local"].values()
    assert "header_key_format" in options["use_downstream_protocol_config"]["http_protocol_options"]
    (options,) = kept["outbound|81||web.shop.svc.cluster.local"].values()
    assert "http2_protocol_options" in options["explicit_http_config"]
    for name in ("PassthroughCluster", "InboundPassthroughCluster", "inbound|8080||"):
        assert "header_key_format" in str(kept[name])
    assert "header_key_format" not in str(formatted("{}"))


SETTINGS = """
defaultConfig:
  connectionSettings:
    httpIdleTimeout: 1h
    httpMaxConnectionDuration: 2h
    httpMaxStreamDuration: 3s
    httpStreamIdleTimeout: 4s
    httpRequestTimeout: 5s
    httpRequestHeadersTimeout: 6s
    httpDrainTimeout: 7s
    httpMaxConcurrentStreams: 100
    http2InitialStreamWindowSize: 65536
    http2InitialConnectionWindowSize: 1048576
    httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_REJECT_REQUEST
    httpMergeSlashes: true
    httpPathWithEscapedSlashesAction: UNESCAPE_AND_REDIRECT
"""


@pytest.mark.parametrize("name", [OUTBOUND, INBOUND])
def test_connections_have_the_settings_of_their_proxy(name: str) -> None:
    found = manager(SETTINGS, name)
    assert found["common_http_protocol_options"] == {
        "idle_timeout": "3600s",
        "max_connection_duration": "7200s",
        "max_stream_duration": "3s",
        "headers_with_underscores_action": "REJECT_REQUEST",
    }
    timeouts = ("stream_idle_timeout", "request_timeout", "request_headers_timeout", "drain_timeout")
    assert [found[each] for each in timeouts] == ["4s", "5s", "6s", "7s"]
    assert found["http2_protocol_options"] == {
        "max_concurrent_streams": 100,
        "initial_stream_window_size": 65536,
        "initial_connection_window_size": 1048576,
    }
    assert (found["merge_slashes"], found["path_with_escaped_slashes_action"]) == (True, "UNESCAPE_AND_REDIRECT")


def test_settings_of_a_proxy_go_before_path_normalization() -> None:
    settings = "{httpMergeSlashes: false, httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_ALLOW}"
    found = manager(
        f"{{pathNormalization: {{normalization: MERGE_SLASHES}}, defaultConfig: {{connectionSettings: {settings}}}}}"
    )
    assert "merge_slashes" not in found
    assert found["common_http_protocol_options"] == {}
    assert found["stream_idle_timeout"] == "0s"


def test_the_retry_policy_of_the_mesh_holds_where_no_route_says_one() -> None:
    def policies(settings: str, *ports: str) -> list[dict[str, Any] | None]:
        tables = made(seen(settings), rules.ROUTE, *ports)
        return [
            host["routes"][0]["route"].get("retry_policy")
            for port in ports
            for host in tables[port]["virtual_hosts"]
            if host["name"] != "allow_any"
        ]

    policy = "defaultHttpRetryPolicy: {attempts: 5, perTryTimeout: 2s, retryOn: '5xx,409', backoff: 1s}"
    for found in policies(policy, "80", "81"):  # of a VirtualService, of a service without one
        assert found is not None
        assert (found["num_retries"], found["per_try_timeout"]) == (5, "2s")
        assert (found["retry_on"], found["retriable_status_codes"]) == ("5xx,retriable-status-codes", [409])
        assert found["retry_back_off"] == {"base_interval": "1s"}
    assert policies("defaultHttpRetryPolicy: {attempts: 0}", "80", "81") == [None, None]
    assert all(found is not None and found["num_retries"] == 2 for found in policies("{}", "80", "81"))


def test_incoming_requests_have_a_policy_of_their_own() -> None:
    def policy(settings: str, name: str = INBOUND) -> dict[str, Any] | None:
        (host,) = manager(settings, name)["route_config"]["virtual_hosts"]
        found: dict[str, Any] | None = host["routes"][0]["route"].get("retry_policy")
        return found

    assert policy("{}") == {"retry_on": "reset-before-request", "num_retries": 2}
    assert policy("defaultInboundHttpRetryPolicy: {attempts: 0}") is None
    assert policy("defaultInboundHttpRetryPolicy: {attempts: 1}") == {
        "retry_on": "reset-before-request",
        "num_retries": 1,
    }
    written = "defaultInboundHttpRetryPolicy: {attempts: 3, retryOn: 'reset,503', backoff: 20ms, perTryTimeout: 1s}"
    assert policy(written) == {
        "retry_on": "reset,retriable-status-codes",
        "num_retries": 3,
        "retriable_status_codes": [503],
        "retry_back_off": {"base_interval": "0.020s"},
    }
    assert policy(written, GRPC) is None


def test_a_node_says_its_own_settings_in_place_of_the_meshs() -> None:
    said = {"proxyHeaders": {"server": {"value": "mine"}}}
    settings = headers("server: {value: shop}, requestId: {disabled: true}")
    found = manager(settings, PROXY_CONFIG=said)
    assert found["server_name"] == "mine"
    assert "generate_request_id" not in found
    # What it says in other fields, or cannot say, leaves nothing of the mesh's either; but connections have a fallback.
    assert "server_name" not in manager(settings, PROXY_CONFIG="{proxyHeaders: [")
    assert manager(SETTINGS, PROXY_CONFIG={"meshId": "m"})["stream_idle_timeout"] == "4s"
