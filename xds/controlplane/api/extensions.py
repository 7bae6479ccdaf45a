"""extensions.istio.io: WasmPlugin and TrafficExtension, field for field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from .fields import REQUIRED, Inert, Int32, Json, OneOf, UInt32
from .selectors import LabelSelector, PolicyTargetReference

PullPolicy = Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"]
FailStrategy = Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"]
PluginType = Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"]
WorkloadMode = Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"]
PluginPhase = Literal["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"]
Phase = Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"]

_VERIFIED = Inert("nobody reads it: modules are verified by their sha256 alone")


@dataclass(frozen=True, slots=True)
class EnvVar:
    name: Annotated[str, REQUIRED] = ""
    value_from: Literal["INLINE", "HOST"] = "INLINE"
    value: str = ""


@dataclass(frozen=True, slots=True)
class VmConfig:
    env: tuple[EnvVar, ...] = ()


@dataclass(frozen=True, slots=True)
class PortSelector:
    number: UInt32 = 0


@dataclass(frozen=True, slots=True)
class TrafficSelector:
    mode: WorkloadMode = "UNDEFINED"
    ports: tuple[PortSelector, ...] = ()


@dataclass(frozen=True, slots=True)
class WasmConfig:
    url: Annotated[str, REQUIRED] = ""
    sha256: str = ""
    image_pull_policy: PullPolicy = "UNSPECIFIED_POLICY"
    image_pull_secret: str = ""
    verification_key: Annotated[str, _VERIFIED] = ""
    plugin_config: Json = None
    plugin_name: str = ""
    fail_strategy: FailStrategy = "FAIL_CLOSE"
    vm_config: VmConfig | None = None
    type: PluginType = "UNSPECIFIED_PLUGIN_TYPE"


@dataclass(frozen=True, slots=True)
class LuaConfig:
    inline_code: Annotated[str, REQUIRED] = ""


@dataclass(frozen=True, slots=True)
class TrafficExtension:
    selector: LabelSelector | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    phase: Phase = "UNSPECIFIED"
    priority: Int32 | None = None
    match: tuple[TrafficSelector, ...] = ()
    wasm: WasmConfig | None = None
    lua: LuaConfig | None = None

    ONE_OF: ClassVar[OneOf] = (("wasm", "lua"),)


@dataclass(frozen=True, slots=True)
class WasmPlugin:
    """The older spelling of a TrafficExtension with `wasm`."""

    selector: LabelSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    url: Annotated[str, REQUIRED] = ""
    sha256: str = ""
    image_pull_policy: PullPolicy = "UNSPECIFIED_POLICY"
    image_pull_secret: str = ""
    verification_key: Annotated[str, _VERIFIED] = ""
    plugin_config: Json = None
    plugin_name: str = ""
    phase: PluginPhase = "UNSPECIFIED_PHASE"
    priority: Int32 | None = None
    fail_strategy: FailStrategy = "FAIL_CLOSE"
    vm_config: VmConfig | None = None
    match: tuple[TrafficSelector, ...] = ()
    type: PluginType = "UNSPECIFIED_PLUGIN_TYPE"

    def extension(self) -> TrafficExtension:
        """What it means: a TrafficExtension."""
        one = (self.target_ref,) if self.target_ref is not None else ()
        return TrafficExtension(
            selector=self.selector,
            target_refs=self.target_refs or one,
            phase="UNSPECIFIED" if self.phase == "UNSPECIFIED_PHASE" else self.phase,
            priority=self.priority,
            match=self.match,
            wasm=WasmConfig(
                url=self.url,
                sha256=self.sha256,
                image_pull_policy=self.image_pull_policy,
                image_pull_secret=self.image_pull_secret,
                plugin_config=self.plugin_config,
                plugin_name=self.plugin_name,
                fail_strategy=self.fail_strategy,
                vm_config=self.vm_config,
                type=self.type,
            ),
        )
