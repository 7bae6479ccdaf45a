"""What the API server is told of a Pod."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .rest import Document

if TYPE_CHECKING:
    from .container import Container


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def of_container(each: Container) -> Document:
    document: Document = {
        "name": each.name,
        "image": each.said["image"],
        "imageID": "",
        "ready": each.ready,
        "started": each.started,
        "restartCount": each.restarts,
        "state": _state(each),
    }
    if each.ended is not None and "terminated" not in document["state"]:
        document["lastState"] = {"terminated": each.ended}
    return document


def _state(each: Container) -> Document:
    if each.running:
        return {"running": {"startedAt": each.started_at}}
    if each.waiting is not None:
        reason, message = each.waiting
        return {"waiting": {"reason": reason, "message": message}}
    return {"terminated": each.ended}


def phase_of(containers: Sequence[Container], policy: str, initialized: bool) -> str:
    """Kubernetes' five, but for Unknown."""
    over = [each for each in containers if not each.running and each.waiting is None]
    if initialized and len(over) == len(containers) and policy != "Always":
        return "Failed" if any(each.failed for each in over) else "Succeeded"
    return "Running" if any(each.running or each.ended for each in containers) else "Pending"


def conditions(before: Iterable[Document], said: dict[str, tuple[bool, str]]) -> list[Document]:
    """With the moment of the last change of each."""
    held = {each["type"]: each for each in before}
    found = []
    for kind, (holds, reason) in said.items():
        status, old = str(holds), held.get(kind, {})
        since = old["lastTransitionTime"] if old.get("status") == status else now()
        found.append({"type": kind, "status": status, "reason": reason, "lastTransitionTime": since})
    return found


def ready_of(status: Document) -> str:
    """`True` or `False`; empty where nothing is said."""
    return next((each["status"] for each in status.get("conditions", ()) if each["type"] == "Ready"), "")
