"""The status of Istio's objects that the control plane does not take: a condition that says why.

istiod writes `validationMessages` there, which hold codes of its analyzers and no text; those, and conditions of
others, stay as they are. Ours is a condition by a name of our own, and only on objects that are refused, or were.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from ..xds.controlplane.apiserver import MISSING, ApiError, ApiServer
from ..xds.controlplane.kinds import KINDS
from ..xds.controlplane.objects import Fault, Ref
from ..xds.controlplane.registry.world import World
from ..xds.controlplane.source.cluster.resources import Resource, find, readable

Json = dict[str, Any]
CONDITION = "proxyless.dev/Accepted"
KINDS_OF_ISTIO = tuple(name for name in readable() if KINDS[name].group.endswith("istio.io"))
_LIST_EVERY_S = 600.0


class ObjectStatuses:
    """A duty of the leader. `faults` are the plane's; `clock` is monotonic."""

    name = "object status"

    def __init__(
        self,
        api: ApiServer,
        faults: Callable[[], tuple[Fault, ...]],
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._faults = faults
        self._now = now
        self._clock = clock
        self._resources: dict[str, Resource] = {}
        self._marked: dict[Ref, str] = {}  # refused, as it is known to be written; empty: to be looked at
        self._listed: float | None = None
        self.written = 0

    def forget(self) -> None:
        """What is written is looked at again; what another leader has written, once in a while."""
        self._marked = dict.fromkeys(self._marked, "")

    def perform(self, world: World) -> None:
        """Raises ApiError: the first object that could not be written; the others were tried."""
        del world
        if self._listed is None or self._clock() - self._listed > _LIST_EVERY_S:
            self._find_marked()
        wanted: dict[Ref, list[str]] = {}
        for each in self._faults():
            if each.object is not None and each.object.kind in KINDS_OF_ISTIO:
                wanted.setdefault(each.object, []).append(f"{each.field} {each.message}".strip())
        failed: ApiError | None = None
        for ref in [*wanted, *(each for each in self._marked if each not in wanted)]:
            text = "; ".join(wanted.get(ref, ()))[:32_768]
            if text and self._marked.get(ref) == text:
                continue
            try:
                self._mark(ref, text)
            except ApiError as error:
                failed = failed or error
                continue
            if text:
                self._marked[ref] = text
            else:
                self._marked.pop(ref, None)
        if failed is not None:
            raise failed

    def _find_marked(self) -> None:
        """Objects that say that they are refused, whoever wrote it."""
        for kind in KINDS_OF_ISTIO:
            resource = self._resource(kind)
            if resource is None:
                continue
            query = {"limit": "500"}
            while True:
                page = self._api.get(resource.path, query)
                for each in page.get("items") or ():
                    if _mine(each).get("status") == "False":
                        meta = each["metadata"]
                        self._marked.setdefault(Ref(kind, str(meta.get("namespace", "")), str(meta["name"])), "")
                following = (page.get("metadata") or {}).get("continue")
                if not following:
                    break
                query["continue"] = str(following)
        self._listed = self._clock()

    def _resource(self, kind: str) -> Resource | None:
        """None where this cluster does not serve the kind."""
        if kind not in self._resources:
            try:
                self._resources[kind] = find(self._api, kind, KINDS[kind])
            except ApiError as error:
                if error.reason == MISSING:
                    return None
                raise
        return self._resources[kind]

    def _mark(self, ref: Ref, text: str) -> None:
        resource = self._resource(ref.kind)
        if resource is None:
            return
        path = f"{resource.path.removesuffix(resource.plural)}namespaces/{ref.namespace}/{resource.plural}/{ref.name}"
        try:
            held = self._api.get(path)
            status = marked(held, text, self._now())
            if status != (held.get("status") or {}):
                self._api.send("PUT", f"{path}/status", {**held, "status": status})
                self.written += 1
        except ApiError as error:
            if error.reason != MISSING:
                raise


def _mine(value: Mapping[str, Any]) -> Json:
    conditions = (value.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if isinstance(each, dict) and each.get("type") == CONDITION), {})


def marked(held: Mapping[str, Any], text: str, now: float) -> Json:
    """The status with the condition: refused because of `text`, or accepted again; one that never was stays without."""
    status: Json = dict(held.get("status") or {})
    before = _mine(held)
    if not text and not before:
        return status
    word, reason = ("False", "Refused") if text else ("True", "Accepted")
    stamp = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    same = before.get("status") == word
    condition = {
        "type": CONDITION,
        "status": word,
        "reason": reason,
        "message": text or "the control plane takes it",
        "lastTransitionTime": before.get("lastTransitionTime", stamp) if same else stamp,
    }
    others = [each for each in status.get("conditions") or [] if each is not before]
    status["conditions"] = [*others, condition]
    return status
