"""No secret survives, wherever it stands; what is no secret stays readable."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.readable import as_json
from proxyless.xds.wire.redact import REDACTED, is_secret, redact, redacted_json, redacted_text
from proxyless.xds.wire.schema import types as pb

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIBsecret\n-----END RSA PRIVATE KEY-----\n"
PRIVATE_JWK = {"kty": "RSA", "n": "public-n", "e": "AQAB", "d": "private-d", "p": "private-p", "kid": "k1"}
SYMMETRIC_JWK = {"kty": "oct", "alg": "HS256", "k": "private-k", "kid": "k2"}


@pytest.mark.parametrize(
    "name",
    ["private_key", "privateKey", "password", "client_secret", "x-api-key", "access_token", "X-Auth-Token", "json_key"],
)
def test_a_name_gives_a_secret_away(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "token_bucket",
        "max_tokens",
        "tokens_per_fill",
        "subject_token_path",
        "key",
        "secretary",
        "certificate",
        "cookie",
    ],
)
def test_a_name_that_only_sounds_like_one_is_none(name: str) -> None:
    assert not is_secret(name)


def test_cookie_and_authorization_are_secret_where_they_name_a_text() -> None:
    assert is_secret("cookie", text=True)
    assert is_secret("Proxy-Authorization", text=True)


def test_a_tls_certificate_keeps_its_chain_and_loses_its_key_and_password() -> None:
    certificate = pb.tls_v3.TlsCertificate()
    certificate.certificate_chain.inline_string = "-----BEGIN CERTIFICATE-----"
    certificate.private_key.inline_bytes = b"key bytes"
    certificate.password.inline_string = "hunter2"
    redact(certificate)
    assert certificate.certificate_chain.inline_string == "-----BEGIN CERTIFICATE-----"
    assert certificate.private_key.inline_bytes == REDACTED.encode()
    assert certificate.password.inline_string == REDACTED


def test_where_a_key_is_kept_is_no_secret() -> None:
    certificate = pb.tls_v3.TlsCertificate()
    certificate.private_key.filename = "/etc/certs/key.pem"
    redact(certificate)
    assert certificate.private_key.filename == "/etc/certs/key.pem"


def test_generic_secrets_and_ticket_keys_are_secret_as_a_whole() -> None:
    secret = pb.tls_v3.Secret(name="s")
    secret.generic_secret.secret.inline_string = "hush"
    redact(secret)
    assert secret.generic_secret.secret.inline_string == REDACTED
    assert secret.name == "s"
    keys = pb.tls_v3.TlsSessionTicketKeys()
    keys.keys.add(inline_bytes=b"x" * 80)
    redact(keys)
    assert keys.keys[0].inline_bytes == REDACTED.encode()


def test_the_name_of_an_sds_secret_stays() -> None:
    context = pb.tls_v3.CommonTlsContext()
    context.tls_certificate_sds_secret_configs.add(name="default")
    redact(context)
    assert context.tls_certificate_sds_secret_configs[0].name == "default"


def test_credentials_of_grpc_services_are_secret() -> None:
    service = pb.core_v3.GrpcService()
    google = service.google_grpc
    google.target_uri = "authz:9000"
    google.call_credentials.add(access_token="tok")
    google.channel_credentials.ssl_credentials.private_key.inline_string = "key"
    redact(service)
    assert google.target_uri == "authz:9000"
    assert google.call_credentials[0].access_token == REDACTED
    assert google.channel_credentials.ssl_credentials.private_key.inline_string == REDACTED


def test_a_local_jwks_keeps_its_public_members_only() -> None:
    provider = pb.jwt_authn_v3.JwtProvider(issuer="https://issuer.example")
    provider.local_jwks.inline_string = json.dumps({"keys": [PRIVATE_JWK, SYMMETRIC_JWK]})
    redact(provider)
    rsa, symmetric = json.loads(provider.local_jwks.inline_string)["keys"]
    assert rsa == PRIVATE_JWK | {"d": REDACTED, "p": REDACTED}
    assert symmetric == SYMMETRIC_JWK | {"k": REDACTED}
    assert provider.issuer == "https://issuer.example"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("authorization", "Bearer abc", REDACTED),
        ("Cookie", "session=abc", REDACTED),
        ("x-api-key", "abc", REDACTED),
        ("x-served-by", "legacy", "legacy"),
    ],
)
def test_header_values_are_secret_by_their_names(name: str, value: str, expected: str) -> None:
    route = pb.route_v3.Route()
    route.request_headers_to_add.add().header.CopyFrom(pb.core_v3.HeaderValue(key=name, value=value))
    redact(route)
    assert route.request_headers_to_add[0].header.value == expected


def test_a_matcher_on_a_secret_header_does_not_say_what_it_compares_with() -> None:
    match = pb.route_v3.RouteMatch(prefix="/")
    match.headers.add(name="authorization").string_match.exact = "Bearer abc"
    match.headers.add(name="x-user").string_match.exact = "alice"
    match.headers.add(name="x-auth-token", exact_match="abc")
    redact(match)
    assert match.headers[0].string_match.exact == REDACTED
    assert match.headers[1].string_match.exact == "alice"
    assert match.headers[2].exact_match == REDACTED


def test_secrets_are_found_inside_any_and_struct() -> None:
    spelled = pb.udpa_type_v1.TypedStruct(type_url="type.googleapis.com/some.Filter")
    spelled.value.update(
        {
            "client_secret": "hush",
            "nested": {"privateKey": {"inline_string": "key"}, "cookie": {"name": "session"}},
            "list": ["plain", {"password": "hush"}],
            "token_bucket": {"fill_interval": "1s"},
        }
    )
    filter_ = pb.http_connection_manager_v3.HttpFilter(name="f")
    filter_.typed_config.Pack(spelled)
    redact(filter_)
    opened = json_format.MessageToDict(pb.udpa_type_v1.TypedStruct.FromString(filter_.typed_config.value))
    assert opened["value"] == {
        "client_secret": REDACTED,
        "nested": {"privateKey": {"inline_string": REDACTED}, "cookie": {"name": "session"}},
        "list": ["plain", {"password": REDACTED}],
        "token_bucket": {"fill_interval": "1s"},
    }


def test_a_map_entry_is_secret_by_its_key() -> None:
    settings = pb.http_ext_authz_v3.CheckSettings(context_extensions={"api_key": "abc", "route": "r"})
    redact(settings)
    assert dict(settings.context_extensions) == {"api_key": REDACTED, "route": "r"}


@pytest.mark.parametrize(
    "source",
    [pb.core_v3.DataSource(inline_string=PEM), pb.core_v3.DataSource(inline_bytes=PEM.encode())],
    ids=["text", "bytes"],
)
def test_a_pem_private_key_is_found_in_any_text(source: pb.core_v3.DataSource) -> None:
    redact(source)
    assert b"secret" not in source.SerializeToString()


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    source = pb.core_v3.DataSource(inline_bytes=b"\xff\xfe\x00")
    redact(source)
    assert source.inline_bytes == b"\xff\xfe\x00"


@pytest.mark.parametrize("text", ["{not json", "plain", "", '{"a": 1}', "[1, 2]"])
def test_other_text_stays_letter_by_letter(text: str) -> None:
    assert redacted_text(text) is text


def test_json_values_of_every_kind_survive() -> None:
    value = {"a": [1, 2.5, None, True, {"b": "c"}], "token": "", "secrets": ["x", {"y": "z"}]}
    expected: Any = {**value, "secrets": [REDACTED, {"y": REDACTED}]}
    assert redacted_json(value) == expected


def test_an_any_that_does_not_hold_what_it_says_is_left_alone() -> None:
    filter_ = pb.http_connection_manager_v3.HttpFilter(name="f")
    filter_.typed_config.type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    filter_.typed_config.value = b"\xff\xff"
    before = filter_.SerializeToString()
    redact(filter_)
    assert filter_.SerializeToString() == before


def test_the_document_of_a_listener_holds_no_key_of_its_jwks() -> None:
    provider = pb.jwt_authn_v3.JwtProvider()
    provider.local_jwks.inline_string = json.dumps({"keys": [SYMMETRIC_JWK]})
    jwt = pb.jwt_authn_v3.JwtAuthentication(providers={"p": provider})
    manager = pb.http_connection_manager_v3.HttpConnectionManager(stat_prefix="in")
    manager.http_filters.add(name="jwt").typed_config.Pack(jwt)
    listener = pb.listener_v3.Listener(name="virtualInbound")
    listener.filter_chains.add().filters.add(name="hcm").typed_config.Pack(manager)
    document = json.dumps(as_json(ResourceType.LISTENER, listener.SerializeToString()))
    assert "private-k" not in document
    assert "k2" in document
