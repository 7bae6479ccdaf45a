"""telemetry.istio.io Telemetry, field for field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .fields import REQUIRED, Duration, OneOf, Percentage
from .selectors import LabelSelector, PolicyTargetReference

Mode = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]
Metric = Literal[
    "ALL_METRICS",
    "REQUEST_COUNT",
    "REQUEST_DURATION",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS",
    "TCP_SENT_BYTES",
    "TCP_RECEIVED_BYTES",
    "GRPC_REQUEST_MESSAGES",
    "GRPC_RESPONSE_MESSAGES",
]


@dataclass(frozen=True, slots=True)
class ProviderRef:
    name: Annotated[str, REQUIRED] = ""


@dataclass(frozen=True, slots=True)
class ModeSelector:
    mode: Mode = "CLIENT_AND_SERVER"


@dataclass(frozen=True, slots=True)
class TagValue:
    value: Annotated[str, REQUIRED] = ""


@dataclass(frozen=True, slots=True)
class NamedTag:
    name: Annotated[str, REQUIRED] = ""
    default_value: str = ""


@dataclass(frozen=True, slots=True)
class CustomTag:
    literal: TagValue | None = None
    environment: NamedTag | None = None
    header: NamedTag | None = None
    formatter: TagValue | None = None

    ONE_OF: ClassVar[OneOf] = (("literal", "environment", "header", "formatter"),)


@dataclass(frozen=True, slots=True)
class Tracing:
    match: ModeSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    random_sampling_percentage: Percentage | None = None
    disable_span_reporting: bool | None = None
    custom_tags: dict[str, CustomTag] | None = None
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None
    disable_context_propagation: bool | None = None


@dataclass(frozen=True, slots=True)
class MetricSelector:
    metric: Metric | None = None
    custom_metric: str | None = None
    mode: Mode = "CLIENT_AND_SERVER"

    ONE_OF: ClassVar[OneOf] = (("metric", "custom_metric"),)


@dataclass(frozen=True, slots=True)
class TagOverride:
    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str = ""


@dataclass(frozen=True, slots=True)
class MetricsOverrides:
    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: dict[str, TagOverride] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metrics:
    providers: tuple[ProviderRef, ...] = ()
    overrides: tuple[MetricsOverrides, ...] = ()
    reporting_interval: Duration | None = None


@dataclass(frozen=True, slots=True)
class LogFilter:
    expression: str = ""


@dataclass(frozen=True, slots=True)
class AccessLogging:
    match: ModeSelector | None = None
    providers: tuple[ProviderRef, ...] = ()
    disabled: bool | None = None
    filter: LogFilter | None = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    selector: LabelSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    tracing: tuple[Tracing, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()
