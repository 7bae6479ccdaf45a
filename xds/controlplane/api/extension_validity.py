"""Istio's admission rules for WasmPlugin, TrafficExtension and Telemetry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from .extensions import LuaConfig, PortSelector, TrafficExtension, VmConfig, WasmConfig, WasmPlugin
from .problems import Problem
from .security_validity import one_of
from .telemetry import MetricSelector, TagOverride, Telemetry

_SCHEMES = ("", "file", "http", "https", "oci")
_DIGEST = re.compile("[0-9a-f]{64}")
_LONGEST_SECRET, _LONGEST_NAME = 253, 256
_LARGEST_SCRIPT = 65536
_LAST_PORT = 65535


def traffic_extension(made: TrafficExtension) -> Iterator[Problem]:
    yield from one_of(made)
    if made.wasm is None and made.lua is None:
        yield (), "must have one of wasm, lua"


def lua(made: LuaConfig) -> Iterator[Problem]:
    if len(made.inline_code.encode()) > _LARGEST_SCRIPT:
        yield ("inlineCode",), f"cannot have more than {_LARGEST_SCRIPT} bytes"


def wasm_plugin(made: WasmPlugin) -> Iterator[Problem]:
    yield from one_of(made)
    yield from wasm(made)


def wasm(made: WasmPlugin | WasmConfig) -> Iterator[Problem]:
    scheme = _scheme(made.url)
    if scheme is None:
        yield ("url",), f'"{made.url}" is no URL'
    elif scheme not in _SCHEMES:
        yield ("url",), f'has a scheme "{scheme}" that is none of {", ".join(_SCHEMES[1:])}'
    if made.sha256 and not _DIGEST.fullmatch(made.sha256):
        yield ("sha256",), "must be 64 hexadecimal digits in lower case"
    if len(made.image_pull_secret) > _LONGEST_SECRET:
        yield ("imagePullSecret",), f"cannot have more than {_LONGEST_SECRET} characters"
    if len(made.plugin_name) > _LONGEST_NAME:
        yield ("pluginName",), f"cannot have more than {_LONGEST_NAME} characters"
    if made.plugin_config is not None and not isinstance(made.plugin_config, dict):
        yield ("pluginConfig",), "must be an object"


def _scheme(url: str) -> str | None:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return None


def machine(made: VmConfig) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, variable in enumerate(made.env):
        if len(variable.name) > _LONGEST_NAME:
            yield ("env", index, "name"), f"cannot have more than {_LONGEST_NAME} characters"
        if variable.name in seen:
            yield ("env", index, "name"), f'"{variable.name}" is given twice'
        if variable.value_from != "INLINE" and variable.value:
            yield ("env", index, "value"), "can be set only where valueFrom is INLINE"
        seen.add(variable.name)


def port(made: PortSelector) -> Iterator[Problem]:
    if not 0 < made.number <= _LAST_PORT:
        yield ("number",), f"must be from 1 to {_LAST_PORT}"


def telemetry(made: Telemetry) -> Iterator[Problem]:
    yield from one_of(made)


def tag_override(made: TagOverride) -> Iterator[Problem]:
    if made.operation == "UPSERT" and not made.value:
        yield ("value",), "is required for operation UPSERT"
    if made.operation == "REMOVE" and made.value:
        yield ("value",), "cannot be set for operation REMOVE"


def metric(made: MetricSelector) -> Iterator[Problem]:
    if made.custom_metric == "":
        yield ("customMetric",), "cannot be empty"
