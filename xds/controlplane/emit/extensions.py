"""Extensions as filters: Lua in place, Wasm by name, with the configuration (ECDS) that the name stands for.

A workload's agent fetches the module before Envoy sees the configuration, so the cluster that it names does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from ...wire.schema.types import (
    core_v3,
    google_protobuf,
    http_wasm_v3,
    listener_v3,
    lua_v3,
    network_wasm_v3,
    wasm_v3,
)
from ..api.extensions import Phase, WasmConfig
from ..registry.extensions import Extension, Layer, Side
from .filters import HttpFilter
from .messages import TYPE_URL, ads, duration, pack

PHASES: tuple[Phase, ...] = ("AUTHN", "AUTHZ", "STATS", "UNSPECIFIED")
_HTTP = ("envoy.extensions.filters.http.wasm.v3.Wasm", "envoy.extensions.filters.http.rbac.v3.RBAC")
_NETWORK = ("envoy.extensions.filters.network.wasm.v3.Wasm", "envoy.extensions.filters.network.rbac.v3.RBAC")
_FETCH_S = 30.0
_POLICY = {
    "FAIL_OPEN": wasm_v3.FailurePolicy.FAIL_OPEN,
    "FAIL_CLOSE": wasm_v3.FailurePolicy.FAIL_CLOSED,
    "FAIL_RELOAD": wasm_v3.FailurePolicy.FAIL_RELOAD,
}

HttpByPhase = Mapping[Phase, tuple[HttpFilter, ...]]
NetworkByPhase = Mapping[Phase, tuple[listener_v3.Filter, ...]]


def http_filters(applied: Sequence[Extension], side: Side, port: int) -> HttpByPhase:
    out: dict[Phase, tuple[HttpFilter, ...]] = {}
    for each in _matching(applied, "HTTP", side, port):
        out[each.phase] = (*out.get(each.phase, ()), _http_filter(each))
    return out


def network_filters(applied: Sequence[Extension], side: Side, port: int) -> NetworkByPhase:
    out: dict[Phase, tuple[listener_v3.Filter, ...]] = {}
    for each in _matching(applied, "NETWORK", side, port):
        made = listener_v3.Filter(name=each.resource, config_discovery=_discovered(_NETWORK))
        out[each.phase] = (*out.get(each.phase, ()), made)
    return out


def in_order(inserted: NetworkByPhase) -> tuple[listener_v3.Filter, ...]:
    """Phase by phase, where nothing else stands between them."""
    return tuple(each for phase in PHASES for each in inserted.get(phase, ())) if inserted else ()


def _matching(applied: Sequence[Extension], layer: Layer, side: Side, port: int) -> Iterable[Extension]:
    return (each for each in applied if each.layer == layer and each.matches(side, port))


def _http_filter(extension: Extension) -> HttpFilter:
    lua = extension.spec.lua
    if lua is None:
        return HttpFilter(name=extension.resource, config_discovery=_discovered(_HTTP))
    config = lua_v3.Lua(default_source_code=core_v3.DataSource(inline_string=lua.inline_code))
    return HttpFilter(name=extension.resource, typed_config=pack(config))


def _discovered(types: Sequence[str]) -> core_v3.ExtensionConfigSource:
    """Without a default: a proxy waits for what may be there to protect it."""
    return core_v3.ExtensionConfigSource(config_source=ads(), type_urls=[TYPE_URL + each for each in types])


def configuration(extension: Extension) -> core_v3.TypedExtensionConfig | None:
    """What an extension's name stands for; None for one that stands in the listener itself."""
    wasm = extension.spec.wasm
    if wasm is None:
        return None
    config = _plugin(extension, wasm)
    made = network_wasm_v3.Wasm(config=config) if extension.layer == "NETWORK" else http_wasm_v3.Wasm(config=config)
    return core_v3.TypedExtensionConfig(name=extension.resource, typed_config=pack(made))


def _plugin(extension: Extension, wasm: WasmConfig) -> wasm_v3.PluginConfig:
    settings = google_protobuf.Any()
    if wasm.plugin_config:
        settings = pack(google_protobuf.StringValue(value=_compact(wasm.plugin_config)))
    return wasm_v3.PluginConfig(
        name=f"{extension.namespace}.{extension.name}",
        root_id=wasm.plugin_name,
        vm_config=wasm_v3.VmConfig(
            runtime="envoy.wasm.runtime.v8", code=_code(wasm), environment_variables=_environment(extension, wasm)
        ),
        configuration=settings,
        failure_policy=_POLICY[wasm.fail_strategy],
    )


def _compact(settings: object) -> str:
    """JSON as Go writes it: sorted, without spaces, and safe to stand in HTML."""
    written = json.dumps(_whole(settings), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        written = written.replace(char, f"\\u{ord(char):04x}")
    return written


def _whole(value: object) -> object:
    """Numbers are doubles, and whole ones are written without a point."""
    match value:
        case dict():
            return {str(key): _whole(item) for key, item in value.items()}
        case list():
            return [_whole(item) for item in value]
        case float() if value.is_integer() and abs(value) < 1e21:
            return int(value)
        case _:
            return value


def _code(wasm: WasmConfig) -> core_v3.AsyncDataSource:
    scheme = urlsplit(wasm.url).scheme
    if scheme == "file":
        return core_v3.AsyncDataSource(local=core_v3.DataSource(filename=wasm.url.removeprefix("file://")))
    # Without a scheme it is an image of a registry.
    where = core_v3.HttpUri(uri=wasm.url if scheme else f"oci://{wasm.url}", cluster="_", timeout=duration(_FETCH_S))
    return core_v3.AsyncDataSource(remote=core_v3.RemoteDataSource(http_uri=where, sha256=wasm.sha256))


def _environment(extension: Extension, wasm: WasmConfig) -> wasm_v3.EnvironmentVariables:
    """Notes for the agent, which takes them out again, and the plugin's own variables."""
    made = wasm_v3.EnvironmentVariables()
    if wasm.image_pull_secret:
        made.key_values["ISTIO_META_WASM_IMAGE_PULL_SECRET"] = ""  # no secrets are served
    if wasm.image_pull_policy != "UNSPECIFIED_POLICY":
        made.key_values["ISTIO_META_WASM_IMAGE_PULL_POLICY"] = wasm.image_pull_policy
    made.key_values["ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION"] = extension.version
    for variable in wasm.vm_config.env if wasm.vm_config is not None else ():
        if variable.value_from == "HOST":
            made.host_env_keys.append(variable.name)
        else:
            made.key_values[variable.name] = variable.value
    return made
