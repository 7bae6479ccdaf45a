"""ProxyConfig: what holds for one proxy of the mesh's defaults and of what others say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import yaml

from ..api.decode import Path, decode
from ..api.proxy_config import ProxyConfig, ProxyHeaders
from ..loader import Loader

ANNOTATION = "proxy.istio.io/config"
METADATA = "PROXY_CONFIG"

_UNSET = ProxyConfig()
_NO_HEADERS = ProxyHeaders()
_OVERRIDING = ("forwarded_client_cert", "request_id", "attempt_count", "server", "envoy_debug_headers")


def of_proxy(metadata: Mapping[str, Any], annotations: Mapping[str, str], default: ProxyConfig) -> ProxyConfig:
    """What a node says in PROXY_CONFIG is all that counts, since the injector wrote it from the rest.

    Where nobody injected anything the mesh's default holds, under what the Pod's annotation says. Objects of kind
    ProxyConfig come between the two, but have no field that is sent to a client.
    """
    said = metadata.get(METADATA)
    if said is not None:
        return _read(said)
    own = annotations.get(ANNOTATION)
    return default if own is None else over(default, _read(own))


def over(below: ProxyConfig, above: ProxyConfig) -> ProxyConfig:
    """Field by field: what is set above replaces what is below, whole messages too; maps are joined."""
    given: dict[str, Any] = {
        each.name: getattr(above, each.name)
        for each in fields(ProxyConfig)
        if getattr(above, each.name) != getattr(_UNSET, each.name)
    }
    if "proxy_metadata" in given:
        given["proxy_metadata"] = below.proxy_metadata | above.proxy_metadata
    if above.proxy_headers is not None and below.proxy_headers is not None:
        inherited = {
            name: getattr(below.proxy_headers, name)
            for name in _OVERRIDING
            if getattr(above.proxy_headers, name) == getattr(_NO_HEADERS, name)
        }
        given["proxy_headers"] = replace(above.proxy_headers, **inherited)
    return replace(below, **given)


def _read(said: object) -> ProxyConfig:
    """A client's own word: what cannot be read of it is not there. `check` names faults in annotations."""
    if isinstance(said, str):
        try:
            said = yaml.load(said, Loader=Loader)  # noqa: S506  Loader is a safe one
        except (yaml.YAMLError, ValueError):
            said = None
    return decode(ProxyConfig, said, _silent) if isinstance(said, dict) else _UNSET


def _silent(path: Path, message: str, *, inert: bool = False) -> None:
    """Nobody to tell."""
