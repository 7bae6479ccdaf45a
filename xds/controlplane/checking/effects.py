"""Fields that Istio honours and a process does not yet: what `check` says of them before anything runs.

`status` and `explain` name the same things in Envoy's words, from what a control plane sends (xds/wire/coverage); a
test holds the two together. A name below is a path into the spec without indices; one that begins with `*.` is found at
any depth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.util import find_spec
from typing import Any

from ..api.decode import json_name
from .finding import Keys

_REFUSED = "is not enforced yet: the processes it selects refuse requests, unless they are told to allow them"
_NO_CEL = "needs the extra `cel`, which is not installed here: a process without it writes no line of such a log"
_OWN_SERVER = "has no effect in a process: its own server limits who connects"

EFFECTS: Mapping[str, Mapping[str, str]] = {
    "DestinationRule": {
        "*.tunnel": "is not implemented yet: TCP connections to these endpoints are refused",
        "*.proxyProtocol": "is not implemented yet: calls to these endpoints fail with UF",
    },
    "Sidecar": {
        "ingress.defaultEndpoint": "has no effect in a process: it listens itself, on the port that callers know",
        "ingress.connectionPool": _OWN_SERVER,
        "inboundConnectionPool": _OWN_SERVER,
    },
    "Telemetry": {
        "metrics": "has no effect in a process: it counts by itself, whatever is asked for",
    },
}


def without_effect(kind: str, spec: Any) -> Iterator[tuple[Keys, str]]:
    """(keys into the object, what to say) of each field that is set in vain."""
    known = EFFECTS.get(kind, {})
    anywhere = {name.removeprefix("*."): why for name, why in known.items() if name.startswith("*.")}
    for keys, path in _set(spec, (), "") if known else ():
        why = known.get(path) or next(
            (said for name, said in anywhere.items() if path == name or path.endswith(f".{name}")), None
        )
        if why is not None:
            yield ("spec", *keys), why
    yield from _by_value(kind, spec)


def _by_value(kind: str, spec: Any) -> Iterator[tuple[Keys, str]]:
    """Where it is the value that matters."""
    if kind in ("WasmPlugin", "TrafficExtension"):
        yield ("spec",), _REFUSED
    elif kind == "Telemetry" and find_spec("cel_expr_python") is None:
        for n, each in enumerate(spec.access_logging):
            if each.filter is not None and each.filter.expression:
                yield ("spec", "accessLogging", n, "filter", "expression"), _NO_CEL
    elif kind == "ServiceEntry" and spec.resolution == "DYNAMIC_DNS" and "TLS" in _protocols(spec):
        yield ("spec", "resolution"), "DYNAMIC_DNS is not implemented yet for ports of TLS: calls fail with UF"


def _protocols(spec: Any) -> set[str]:
    return {port.protocol.upper() for port in spec.ports}


def _names(message: type) -> dict[str, str]:
    return {json_name(each.name): each.name for each in fields(message)}


def _set(value: Any, keys: Keys, path: str) -> Iterator[tuple[Keys, str]]:
    """Every field that is set: keys with indices, and the names alone, joined by dots."""
    if is_dataclass(value):
        for name, attribute in _names(type(value)).items():
            held = getattr(value, attribute)
            if held is None or held == () or held == {} or held == "" or held is False:
                continue
            here = f"{path}.{name}" if path else name
            yield (*keys, name), here
            yield from _set(held, (*keys, name), here)
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _set(each, (*keys, index), path)
