"""What makes an `exportTo` invalid, as Istio's own admission refuses it: it depends on where the object stands."""

from __future__ import annotations

from collections.abc import Iterator

from ..hosts import is_label
from .destination_rule import DestinationRule
from .problems import Problem
from .service_entry import ServiceEntry
from .virtual_service import VirtualService


def export_to(spec: object, namespace: str) -> Iterator[Problem]:
    """Keys into the spec. Only a ServiceEntry may be for nobody (`~`): it then only gives endpoints to its hosts."""
    if not isinstance(spec, ServiceEntry | VirtualService | DestinationRule):
        return
    seen: set[str] = set()
    for index, written in enumerate(spec.export_to):
        name = namespace if written == "." else written
        if name in seen:
            yield (
                ("exportTo", index),
                f'"{written}" is given twice' + (f": . is {namespace}" if name == namespace else ""),
            )
        elif name == "~" and not isinstance(spec, ServiceEntry):
            yield ("exportTo", index), "~ is for ServiceEntries only"
        elif name not in ("*", "~") and not is_label(name):
            yield ("exportTo", index), f'"{written}" is neither a namespace nor one of ".", "*"'
        seen.add(name)
    for all_or_none in ("*", "~"):
        if all_or_none in seen and len(spec.export_to) > 1:
            yield ("exportTo",), f"cannot have {all_or_none} together with others"
    if isinstance(spec, DestinationRule) and spec.workload_selector is not None and seen - {namespace}:
        yield ("exportTo",), "cannot reach beyond the own namespace where there is a workloadSelector"
