"""The status of routes whose parents are services: whether each parent takes them, whether their backends are there.

As istiod writes it (Gateway API, GEP-1426): an entry of `status.parents` for each parent, by the controller's name,
with the conditions Accepted and ResolvedRefs. Entries of other controllers stay as they are.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..xds.controlplane.api.gateway_api import GATEWAY_GROUP, ParentReference, RouteSpec
from ..xds.controlplane.apiserver import MISSING, ApiError, ApiServer
from ..xds.controlplane.kinds import KINDS
from ..xds.controlplane.objects import Object, Ref
from ..xds.controlplane.registry.gateway_routes import ROUTE_KINDS
from ..xds.controlplane.registry.gateway_rules import NETWORKING, Trouble
from ..xds.controlplane.registry.world import World
from ..xds.controlplane.source.cluster.resources import Resource, find
from ..xds.controlplane.source.documents import Document
from ..xds.controlplane.source.reading import Reader

log = logging.getLogger(__name__)

Json = dict[str, Any]
CONTROLLER = "proxyless.dev/controller"
PARENTS = (("", "Service"), (NETWORKING, "ServiceEntry"))


class RouteStatuses:
    """A duty of the leader. Objects that it has seen to be right are not looked at again before `forget`."""

    name = "route status"

    def __init__(self, api: ApiServer, controller: str = CONTROLLER, *, now: Callable[[], float]) -> None:
        self._api = api
        self._controller = controller
        self._now = now
        self._resources: dict[str, Resource] = {}
        self._done: dict[Ref, tuple[object, tuple[Trouble, ...]]] = {}
        self.written = 0

    def forget(self) -> None:
        """Everything is looked at again."""
        self._done.clear()

    def perform(self, world: World) -> None:
        """Raises ApiError: the first thing that could not be written; the others were tried."""
        failed: ApiError | None = None
        there: set[Ref] = set()
        for kind in ROUTE_KINDS:
            for item in cast(list[Object[RouteSpec]], world.of_kind(kind, object)):
                there.add(item.ref)
                troubles = world.gateway_routes.troubles.get(item.ref, ())
                if self._done.get(item.ref) == (item, troubles):
                    continue
                try:
                    if self._put(item, troubles):
                        self._done[item.ref] = (item, troubles)
                except ApiError as error:
                    failed = failed or error
        for gone in self._done.keys() - there:
            del self._done[gone]
        if failed is not None:
            raise failed

    def _put(self, item: Object[RouteSpec], troubles: tuple[Trouble, ...]) -> bool:
        """Whether its status is what it has to be."""
        if item.kind not in self._resources:
            self._resources[item.kind] = find(self._api, item.kind, KINDS[item.kind])
        resource = self._resources[item.kind]
        base = resource.path.removesuffix(f"/{resource.plural}")
        path = f"{base}/namespaces/{item.meta.namespace}/{resource.plural}/{item.meta.name}"
        try:
            held = self._api.get(path)
        except ApiError as error:
            if error.reason == MISSING:
                return False  # the watch will say so
            raise
        if _spec_of(held, item) != item.spec:
            return False  # a newer one, which will come by the watch
        before = (held.get("status") or {}).get("parents") or []
        generation = int(held["metadata"].get("generation") or 0)
        parents = status(item, troubles, before, generation, self._controller, self._now())
        if parents == before:
            return True
        try:
            self._api.send(
                "PUT", f"{path}/status", {**held, "status": {**(held.get("status") or {}), "parents": parents}}
            )
        except ApiError as error:
            if error.reason == MISSING:
                return False
            raise
        self.written += 1
        return True


def _spec_of(held: Json, item: Object[RouteSpec]) -> object:
    reading = Reader(item.place.file, Document(held, "", 0), None).read(held)
    return None if reading.object is None else reading.object.spec


def status(
    item: Object[RouteSpec],
    troubles: tuple[Trouble, ...],
    before: list[Json],
    generation: int,
    controller: str,
    now: float,
) -> list[Json]:
    """`status.parents` as it has to be: those of others, then one for each parent of the mesh."""
    namespace = item.meta.namespace
    mine = {_key(each.get("parentRef") or {}, namespace): each for each in before if _is_of(each, controller)}
    refs = {
        _key(written, namespace): (index, written)
        for index, (ref, written) in enumerate((each, _written(each)) for each in item.spec.parent_refs)
        if (ref.group, ref.kind) in PARENTS
    }
    broken = next((each for each in troubles if each.keys[:1] != ("parentRefs",)), None)
    made: dict[tuple[str, ...], Json] = {}
    for key, (index, written) in refs.items():
        absent = next((each for each in troubles if each.keys == ("parentRefs", index)), None)
        conditions = [
            _condition("Accepted", absent, "Accepted", "Route was valid"),
            _condition("ResolvedRefs", broken, "ResolvedRefs", "All references resolved"),
        ]
        known = (mine.get(key) or {}).get("conditions") or []
        stamped = [_stamped(each, known, generation, now) for each in conditions]
        made[key] = {"parentRef": written, "controllerName": controller, "conditions": stamped}
    out: list[Json] = []
    for each in before:
        key = _key(each.get("parentRef") or {}, namespace)
        if not _is_of(each, controller):
            out.append(each)
        elif key in made:
            out.append(_same(each, made.pop(key)))
    return out + list(made.values())


def _is_of(entry: Mapping[str, Any], controller: str) -> bool:
    return entry.get("controllerName") == controller


def _same(before: Json, after: Json) -> Json:
    """What was there, where only the spelling of the reference differs: the API server fills in defaults."""
    return before if before.get("conditions") == after["conditions"] else {**after, "parentRef": before["parentRef"]}


def _key(ref: Mapping[str, Any], namespace: str) -> tuple[str, ...]:
    group = ref.get("group")
    return (
        GATEWAY_GROUP if group is None else str(group),
        str(ref.get("kind") or "Gateway"),
        str(ref.get("namespace") or namespace),
        str(ref.get("name") or ""),
        str(ref.get("sectionName") or ""),
        str(ref.get("port") or ""),
    )


def _written(ref: ParentReference) -> Json:
    said: Json = {"group": ref.group, "kind": ref.kind, "name": ref.name}
    more = {"namespace": ref.namespace, "sectionName": ref.section_name, "port": ref.port}
    return said | {name: value for name, value in more.items() if value}


def _condition(kind: str, trouble: Trouble | None, reason: str, message: str) -> Json:
    if trouble is None:
        return {"type": kind, "status": "True", "reason": reason, "message": message}
    return {"type": kind, "status": "False", "reason": trouble.reason, "message": trouble.message[:32_768]}


def _stamped(condition: Json, known: list[Json], generation: int, now: float) -> Json:
    """When it last changed its mind stays, as long as it does not."""
    before = next((each for each in known if each.get("type") == condition["type"]), {})
    same = before.get("status") == condition["status"]
    stamp = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        **condition,
        "observedGeneration": generation,
        "lastTransitionTime": before.get("lastTransitionTime", stamp) if same else stamp,
    }
