"""Selectors and references that several of Istio's groups share (type/v1beta1 and networking)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from .fields import REQUIRED


@dataclass(frozen=True, slots=True)
class WorkloadSelector:
    """networking's selector: `labels`."""

    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """security's, telemetry's and DestinationRule's selector: `matchLabels`."""

    match_labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyTargetReference:
    group: str = ""
    kind: Annotated[str, REQUIRED] = ""
    name: Annotated[str, REQUIRED] = ""
    namespace: str = ""
