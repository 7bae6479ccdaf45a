"""External authorizers: the mesh's providers `envoyExtAuthzHttp` and `envoyExtAuthzGrpc` as ext_authz filters.

An authorizer is asked about a request only where the RBAC filter before it left the name of one of the provider's
policies in its metadata.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...wire.schema.types import (
    core_v3,
    google_protobuf,
    http_ext_authz_v3,
    listener_v3,
    matcher_v3,
    network_ext_authz_v3,
    type_v3,
)
from ..api.extension_providers import EnvoyExtAuthzGrpc, EnvoyExtAuthzHttp, ExtAuthzRequestBody
from ..registry.world import World
from .filters import HttpFilter
from .messages import duration, pack
from .providers import Backend, ProviderError, backend

HTTP_RBAC = "envoy.filters.http.rbac"
TCP_RBAC = "envoy.filters.network.rbac"
POLICY_PREFIX = "istio-ext-authz"
SHADOW_PREFIX = "istio_ext_authz_"
_TIMEOUT_S = 600.0
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_STATUSES = frozenset(type_v3.StatusCode.values())

Provider = EnvoyExtAuthzHttp | EnvoyExtAuthzGrpc


class Authorizer:
    """A provider of the mesh that AuthorizationPolicies may name.

    Raises:
        ProviderError: there is none of that name, or it is not as istiod wants it; what its policies would have it
            decide is denied then.
    """

    def __init__(self, name: str, world: World) -> None:
        self._name = name
        self._provider = _found(name, world)
        self._backend = _valid(self._provider, world)

    def http(self) -> HttpFilter:
        provider = self._provider
        config = http_ext_authz_v3.ExtAuthz(
            failure_mode_allow=provider.fail_open,
            transport_api_version=core_v3.ApiVersion.Value("V3"),
            filter_enabled_metadata=self._named_by(HTTP_RBAC),
            with_request_body=_body(provider.include_request_body_in_check),
        )
        if provider.status_on_error:
            config.status_on_error.code = int(provider.status_on_error)
        if isinstance(provider, EnvoyExtAuthzGrpc):
            config.grpc_service.CopyFrom(self._grpc(provider))
        else:
            config.http_service.CopyFrom(_http_service(provider, self._backend))
            shown = provider.include_request_headers_in_check or provider.include_headers_in_check
            if shown:
                config.allowed_headers.CopyFrom(_headers(shown))
        return HttpFilter(name="envoy.filters.http.ext_authz", typed_config=pack(config))

    def tcp(self) -> listener_v3.Filter | None:
        """None for one that speaks HTTP: it cannot be asked about connections."""
        provider = self._provider
        if not isinstance(provider, EnvoyExtAuthzGrpc):
            return None
        config = network_ext_authz_v3.ExtAuthz(
            stat_prefix="tcp.",
            failure_mode_allow=provider.fail_open,
            transport_api_version=core_v3.ApiVersion.Value("V3"),
            grpc_service=self._grpc(provider),
            filter_enabled_metadata=self._named_by(TCP_RBAC),
        )
        return listener_v3.Filter(name="envoy.filters.network.ext_authz", typed_config=pack(config))

    def _grpc(self, provider: EnvoyExtAuthzGrpc) -> core_v3.GrpcService:
        made = self._backend.grpc()
        made.timeout.CopyFrom(_timeout(provider))
        return made

    def _named_by(self, rbac: str) -> matcher_v3.MetadataMatcher:
        key = matcher_v3.MetadataMatcher.PathSegment(key=f"{SHADOW_PREFIX}shadow_effective_policy_id")
        policies = matcher_v3.StringMatcher(prefix=f"{POLICY_PREFIX}-{self._name}")
        return matcher_v3.MetadataMatcher(filter=rbac, path=[key], value=matcher_v3.ValueMatcher(string_match=policies))


def _found(name: str, world: World) -> Provider:
    for each in world.mesh.extension_providers:
        provider = each.provider
        if each.name == name and isinstance(provider, Provider):
            if not _NAME.fullmatch(name):
                raise ProviderError(f'"{name}" must be a DNS label to serve as an authorizer')
            return provider
    raise ProviderError(f'"{name}" is no external authorizer of the mesh')


def _valid(provider: Provider, world: World) -> Backend:
    if not provider.port:
        raise ProviderError("port must be from 1 to 65535")
    status = provider.status_on_error
    if status and (not re.fullmatch(r"[+-]?\d+", status) or int(status) not in _STATUSES):
        raise ProviderError(f'statusOnError "{status}" is no status that Envoy knows')
    if isinstance(provider, EnvoyExtAuthzHttp):
        if provider.path_prefix and not provider.path_prefix.startswith("/"):
            raise ProviderError(f'pathPrefix "{provider.path_prefix}" must begin with /')
        lists = (
            provider.include_request_headers_in_check,
            provider.include_headers_in_check,
            provider.headers_to_downstream_on_deny,
            provider.headers_to_downstream_on_allow,
            provider.headers_to_upstream_on_allow,
        )
        if any("*" in names for names in lists):
            raise ProviderError("* alone is no header: it must be a prefix or a suffix")
    return backend(provider.service, provider.port, world)


def _timeout(provider: Provider) -> google_protobuf.Duration:
    return duration(_TIMEOUT_S if provider.timeout is None else provider.timeout)


def _http_service(provider: EnvoyExtAuthzHttp, to: Backend) -> http_ext_authz_v3.HttpService:
    made = http_ext_authz_v3.HttpService(
        path_prefix=provider.path_prefix,
        server_uri=core_v3.HttpUri(uri=f"http://{to.hostname}", cluster=to.cluster, timeout=_timeout(provider)),
    )
    for name, value in sorted(provider.include_additional_headers_in_check.items()):
        made.authorization_request.headers_to_add.add(key=name, value=value)
    answer = made.authorization_response
    for names, matcher in (
        (provider.headers_to_upstream_on_allow, "allowed_upstream_headers"),
        (provider.headers_to_downstream_on_deny, "allowed_client_headers"),
        (provider.headers_to_downstream_on_allow, "allowed_client_headers_on_success"),
    ):
        if names:
            getattr(answer, matcher).CopyFrom(_headers(names))
    return made


def _headers(names: Sequence[str]) -> matcher_v3.ListStringMatcher:
    return matcher_v3.ListStringMatcher(patterns=[_header(name) for name in names])


def _header(name: str) -> matcher_v3.StringMatcher:
    if name.startswith("*"):
        return matcher_v3.StringMatcher(suffix=name[1:], ignore_case=True)
    if name.endswith("*"):
        return matcher_v3.StringMatcher(prefix=name[:-1], ignore_case=True)
    return matcher_v3.StringMatcher(exact=name, ignore_case=True)


def _body(wanted: ExtAuthzRequestBody | None) -> http_ext_authz_v3.BufferSettings | None:
    if wanted is None:
        return None
    return http_ext_authz_v3.BufferSettings(
        max_request_bytes=wanted.max_request_bytes,
        allow_partial_message=wanted.allow_partial_message,
        pack_as_bytes=wanted.pack_as_bytes,
    )
