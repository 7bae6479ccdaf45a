"""What the status document says of who may come in: docs/status.md describes every key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...xds.model.ext_authz import ExtAuthz, HttpAuthorizer
from ...xds.model.filters import HttpFilter
from ...xds.model.jwt import JwtAuthentication
from ...xds.model.listener import FilterChain
from ...xds.model.rbac import Engine, Rbac, Rules
from ..http_runtime import HttpRuntime
from ..runtime import Runtime

Document = dict[str, Any]


def inbound_status(runtime: Runtime) -> list[Document]:
    """Each chain that connections have come in by, for each port."""
    seen: dict[tuple[int, str, str], Document] = {}
    for port, chain, http in runtime.plan.chains_in_use():
        key = (port, chain.name, _tls(chain))  # istiod gives those of TLS and of plaintext one name
        if key not in seen:
            seen[key] = _chain(port, chain, http, runtime)
    return [seen[key] for key in sorted(seen)]


def _chain(port: int, chain: FilterChain, http: HttpRuntime | None, runtime: Runtime) -> Document:
    filters = () if http is None else tuple(each for each in http.config.http_filters if not each.disabled)
    closed = [each.name for each in chain.closed_by] if http is None else [http.filters.closed or ""]
    return {
        "port": port,
        "filter_chain": chain.name,
        "tls": _tls(chain),
        "expected": _expected(chain),
        "closed": " ".join(filter(None, closed)) or None,
        "authorization": [
            *(found for each in chain.rbac for found in _rules(each.name, each.rbac)),
            *(found for each in filters if isinstance(each.config, Rbac) for found in _rules(each.name, each.config)),
        ],
        "asks": [_asks(each, each.config) for each in filters if isinstance(each.config, ExtAuthz)],
        "tokens": [
            found
            for each in filters
            if isinstance(each.config, JwtAuthentication)
            for found in _tokens(each, each.config, runtime)
        ],
    }


def _tls(chain: FilterChain) -> str:
    if chain.downstream is None:
        return "unknown" if chain.unknown_socket else "none"
    return "mutual" if chain.downstream.require_client_certificate else "server"


def _expected(chain: FilterChain) -> list[str]:
    validation = None if chain.downstream is None else chain.downstream.common.validation
    return [] if validation is None else [f"{each.kind} {each.value}" for each in validation.sans]


def _rules(name: str, config: Rbac) -> Iterator[Document]:
    for engine, shadow in ((config.rules, False), (config.shadow, True)):
        if engine is not None:
            yield {"filter": name, "shadow": shadow, **_engine(engine)}


def _engine(engine: Engine) -> Document:
    """A tree of matchers has no one action."""
    if isinstance(engine, Rules):
        return {"action": engine.action, "policies": [policy for policy, _ in engine.policies]}
    return {"action": None, "policies": []}


def _asks(own: HttpFilter, config: ExtAuthz) -> Document:
    return {
        "filter": own.name,
        "cluster": config.service.cluster,
        "protocol": "http" if isinstance(config.service, HttpAuthorizer) else "grpc",
        "fails_open": config.failure_mode_allow,
        "status_on_error": config.status_on_error,
    }


def _tokens(own: HttpFilter, config: JwtAuthentication, runtime: Runtime) -> Iterator[Document]:
    for name, provider in config.providers:
        keys = None if provider.remote is None else runtime.key_set(provider.remote)
        age_s = None if keys is None or keys.got is None else runtime.clock() - keys.got
        yield {
            "filter": own.name,
            "provider": name,
            "issuer": provider.issuer,
            "audiences": list(provider.audiences),
            "keys_from": None if provider.remote is None else provider.remote.uri,
            "keys_age_s": None if age_s is None else round(age_s, 3),
            "last_failure": None if keys is None else keys.failure or None,
        }
