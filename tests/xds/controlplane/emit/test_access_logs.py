"""Access logs: of MeshConfig, of its providers, of Telemetry objects that name them."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.emit.log_providers import JSON, TEXT
from proxyless.xds.controlplane.emit.view import View
from tests.xds.controlplane.support import istio, mesh, plain, service, view

COLLECTOR = service("collector", "grpc:4317", namespace="obs")
HOST = "collector.obs.svc.cluster.local"
CLUSTER = f"outbound|4317||{HOST}"
AT = f"service: {HOST}, port: 4317"
PROVIDERS = f"""
extensionProviders:
- {{name: file, envoyFileAccessLog: {{path: /tmp/log}}}}
- {{name: labels, envoyFileAccessLog: {{logFormat: {{labels: {{a: "%A%", n: {{b: 1}}}}}}, omitEmptyValues: true}}}}
- {{name: words, envoyFileAccessLog: {{logFormat: {{text: "%REQ_WITHOUT_QUERY(:PATH)%"}}}}}}
- {{name: http, envoyHttpAls: {{{AT}, logName: mine, additionalRequestHeadersToLog: [x-a]}}}}
- {{name: tcp, envoyTcpAls: {{{AT}, filterStateObjectsToLog: [x]}}}}
- {{name: otel, envoyOtelAls: {{{AT}, logFormat: {{labels: {{b: "%B%", a: "%A%"}}}}}}}}
- {{name: lost, envoyTcpAls: {{service: nobody, port: 1}}}}
- {{name: zip, zipkin: {{{AT}}}}}
"""


def logs(settings: str, *, telemetry: str = "", side: Any = "CLIENT", where: Any = "HTTP") -> list[dict[str, Any]]:
    text = COLLECTOR + (istio("Telemetry", "t", telemetry) if telemetry else "") + mesh(settings)
    of: View = view(text)
    return [plain(each) for each in of.access_logs(side, where)]


def by_default(*names: str) -> str:
    return PROVIDERS + f"defaultProviders: {{accessLogging: [{', '.join(names)}]}}\n"


def one(settings: str, **rest: Any) -> dict[str, Any]:
    (found,) = logs(settings, **rest)
    config: dict[str, Any] = found["typed_config"]
    return config


def test_without_a_file_there_are_no_logs() -> None:
    assert logs("{}") == []


def test_the_meshs_file_has_istios_format() -> None:
    found = one("accessLogFile: /dev/stdout")
    assert found["path"] == "/dev/stdout"
    assert found["log_format"] == {"text_format_source": {"inline_string": TEXT}}


@pytest.mark.parametrize(("written", "shown"), [("'%PROTOCOL%'", "%PROTOCOL%\n"), ('"%PROTOCOL%\\n"', "%PROTOCOL%\n")])
def test_a_format_of_words_ends_a_line(written: str, shown: str) -> None:
    found = one(f"{{accessLogFile: /a, accessLogFormat: {written}}}")
    assert found["log_format"]["text_format_source"]["inline_string"] == shown


def test_json_has_istios_names_or_the_written_ones() -> None:
    found = one("{accessLogFile: /a, accessLogEncoding: JSON}")
    assert found["log_format"] == {"json_format": dict(JSON), "json_format_options": {}}
    written = one("""{accessLogFile: /a, accessLogEncoding: JSON, accessLogFormat: '{"p": "%PROTOCOL%"}'}""")
    assert written["log_format"]["json_format"] == {"p": "%PROTOCOL%"}
    for nonsense in ("'{'", "'[1]'"):
        wrong = one(f"{{accessLogFile: /a, accessLogEncoding: JSON, accessLogFormat: {nonsense}}}")
        assert wrong["log_format"]["json_format"] == dict(JSON)


def test_operators_that_need_an_extension_bring_it() -> None:
    found = one("{accessLogFile: /a, accessLogFormat: '%REQ_WITHOUT_QUERY(:PATH)%'}")
    assert [each["name"] for each in found["log_format"]["formatters"]] == ["envoy.formatter.req_without_query"]


def test_of_a_listener_only_what_no_chain_took_is_logged() -> None:
    (found,) = logs("accessLogFile: /a", where="LISTENER")
    assert found["filter"] == {"response_flag_filter": {"flags": ["NR"]}}
    assert logs("{accessLogFile: /a, disableEnvoyListenerLog: true}", where="LISTENER") == []


@pytest.mark.parametrize(
    ("where", "name", "log"),
    [
        ("HTTP", "envoy.access_loggers.http_grpc", "http_envoy_accesslog"),
        ("TCP", "envoy.tcp_grpc_access_log", "tcp_envoy_accesslog"),
        ("LISTENER", "envoy.tcp_grpc_access_log", "listener_envoy_accesslog"),
    ],
)
def test_envoys_log_service_takes_everything(where: str, name: str, log: str) -> None:
    file, found = logs("{enableEnvoyAccessLogService: true, accessLogFile: /a}", where=where)
    assert file["name"] == "envoy.access_loggers.file"
    common = found["typed_config"]["common_config"]
    assert (found["name"], common["log_name"]) == (name, log)
    assert common["grpc_service"] == {"envoy_grpc": {"cluster_name": "envoy_accesslog_service"}}
    assert len(common["filter_state_objects_to_log"]) == 6
    assert ("filter" in found) == (where == "LISTENER")


def test_default_providers_stand_in_for_the_file() -> None:
    found = logs(by_default("http", "file") + "accessLogFile: /a\n")
    assert [each["name"] for each in found] == ["envoy.access_loggers.file", "envoy.access_loggers.http_grpc"]
    assert found[0]["typed_config"]["path"] == "/tmp/log"


def test_providers_that_cannot_log_leave_the_mesh_its_file() -> None:
    for name in ("lost", "zip", "nobody"):
        assert one(by_default(name) + "accessLogFile: /a\n")["path"] == "/a"


def test_the_built_in_provider_has_the_meshs_format() -> None:
    found = one(by_default("Envoy") + "accessLogFormat: mine\n")
    assert found["path"] == "/dev/stdout"
    assert found["log_format"]["text_format_source"]["inline_string"] == "mine\n"


def test_files_have_a_format_of_their_own() -> None:
    assert one(by_default("labels"))["path"] == "/dev/stdout"
    labels = one(by_default("labels"))["log_format"]
    assert labels["json_format"] == {"a": "%A%", "n": {"b": 1}}
    assert labels["omit_empty_values"] is True
    words = one(by_default("words"))["log_format"]
    assert words["text_format_source"]["inline_string"] == "%REQ_WITHOUT_QUERY(:PATH)%\n"
    assert "formatters" in words


def test_log_services_are_reached_through_the_mesh() -> None:
    to = {"envoy_grpc": {"cluster_name": CLUSTER, "authority": HOST}}
    http = one(by_default("http"))
    assert http["common_config"]["log_name"] == "mine"
    assert http["common_config"]["grpc_service"] == to
    assert http["common_config"]["filter_state_objects_to_log"] == ["upstream_peer", "downstream_peer"]
    assert http["additional_request_headers_to_log"] == ["x-a"]
    tcp = one(by_default("tcp"))["common_config"]
    assert (tcp["log_name"], tcp["filter_state_objects_to_log"]) == ("tcp_envoy_accesslog", ["x"])
    otel = one(by_default("otel"))
    assert otel["common_config"]["grpc_service"] == to
    assert otel["body"] == {"string_value": TEXT}
    assert [each["key"] for each in otel["attributes"]["values"]] == ["a", "b"]
    assert otel["disable_builtin_labels"] is True


def test_telemetry_names_other_providers_or_switches_the_default_off() -> None:
    settings = by_default("file")
    assert [each["name"] for each in logs(settings, telemetry="{accessLogging: [{providers: [{name: otel}]}]}")] == [
        "envoy.access_loggers.open_telemetry"
    ]
    assert logs(settings, telemetry="{accessLogging: [{disabled: true}]}") == []
    inbound_only = "{accessLogging: [{match: {mode: CLIENT}, disabled: true}, {match: {mode: SERVER}}]}"
    assert logs(settings, telemetry=inbound_only) == []
    assert len(logs(settings, telemetry=inbound_only, side="SERVER")) == 1


def test_an_expression_says_what_is_logged() -> None:
    said = "{accessLogging: [{providers: [{name: file}], filter: {expression: 'response.code >= 400'}}]}"
    (found,) = logs(PROVIDERS, telemetry=said)
    assert found["filter"]["extension_filter"]["typed_config"]["expression"] == "response.code >= 400"
    (found,) = logs(PROVIDERS, telemetry=said, where="LISTENER")
    assert [*found["filter"]["and_filter"]["filters"][0]] == ["response_flag_filter"]
