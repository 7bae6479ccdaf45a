"""One kind, listed and watched by one thread for as long as the source lives.

The loop is that of Kubernetes' own clients: list in pages, watch from the list's resourceVersion with bookmarks, go on
from the last one that was seen when the watch ends, list again when the server answers that it is too old.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...apiserver import EXPIRED, FAILING, MISSING, ApiError, ApiServer, Watch, of_status
from ...kinds import Kind
from .conditions import LISTING, SYNCED, KindStatus
from .resources import EXACT, Resource, Selection, find
from .store import Store

log = logging.getLogger(__name__)

PAGE = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `silence_s` is some more than two bookmarks; a watch is ended by the server after `watch_s` to twice
    as much, so that after an API server was added they spread again; `look_s` is between two looks for a kind that is
    not served.
    """

    first_s: float = 0.25
    most_s: float = 15.0
    look_s: float = 10.0
    silence_s: float = 150.0
    watch_s: float = 300.0


class Reflector:
    """Keeps a store as the API server has it. `changed` is called after each change, of objects or of the condition."""

    def __init__(
        self,
        api: ApiServer,
        name: str,
        kind: Kind,
        selection: Selection,
        changed: Callable[[str], None],
        uniform: Callable[[], float],
        pace: Pace,
    ) -> None:
        self.name = name
        self.store = Store(name, exact=name in EXACT)
        self.condition, self.message = LISTING, ""
        self.synced = False
        self._api = api
        self._kind = kind
        self._selection = selection
        self._changed = changed
        self._uniform = uniform
        self._pace = pace
        self._stop = threading.Event()
        self._resource: Resource | None = None
        self._version = ""  # where a watch goes on; empty: a list is due
        self._watch: Watch | None = None
        self._failures = 0
        self._lists = self._watches = 0
        self._restarts: dict[str, int] = {}

    def status(self) -> KindStatus:
        part = self.store.part()
        return KindStatus(
            self.name,
            self.condition,
            self.message,
            self.synced,
            str(self._resource or ""),
            len(part.objects),
            len({fault.object for fault in part.faults}),
            self._lists,
            self._watches,
            tuple(sorted(self._restarts.items())),
        )

    def stop(self) -> None:
        """Ends `run`, from any thread."""
        self._stop.set()
        watch = self._watch
        if watch is not None:
            watch.close()

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self._step()
            except ApiError as error:
                self._wrong(error)
            except Exception as error:  # an object that nobody thought of must not end what is known of a kind
                log.exception("%s: what the API server sent could not be read", self.name)
                self._version = ""
                self._wrong(ApiError(FAILING, f"it could not be read here: {type(error).__name__}"))

    def _step(self) -> None:
        if self._resource is None:
            self._resource = find(self._api, self.name, self._kind, self._selection.namespace)
            self.store.api_version = self._resource.api_version
        if not self._version:
            self._list(self._resource)
        self._follow(self._resource)

    def _list(self, resource: Resource) -> None:
        items: list[dict[str, Any]] = []
        query = {"limit": str(PAGE), **self._query()}
        while True:
            page = self._api.get(resource.path, query)
            found = page.get("items")
            items += [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
            meta = page.get("metadata")
            meta = meta if isinstance(meta, dict) else {}
            if not meta.get("continue"):
                break
            query["continue"] = str(meta["continue"])
        self._lists += 1
        changed = self.store.replace(items)
        self._version = str(meta.get("resourceVersion") or "")
        self._good(changed=changed)

    def _follow(self, resource: Resource) -> None:
        """One watch, until the server ends it."""
        asked = {
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(self._pace.watch_s * (1 + self._uniform()))),
            **self._query(),
        }
        watch = self._watch = self._api.watch(resource.path, asked, silence_s=self._pace.silence_s)
        self._watches += 1
        if self._stop.is_set():
            watch.close()
            return
        try:
            self._good(changed=False)
            for event in watch:
                self._take(event)
            self._failures = 0
        finally:
            watch.close()
            self._watch = None
        if self._stop.wait(self._uniform()):  # a server that ends each watch at once is not asked in a tight loop
            return

    def _take(self, event: dict[str, Any]) -> None:
        kind, item = event.get("type"), event.get("object")
        item = item if isinstance(item, dict) else {}
        if kind == "ERROR":
            raise of_status(item)
        changed = False
        if kind in ("ADDED", "MODIFIED"):
            changed = self.store.put(item)
        elif kind == "DELETED":
            changed = self.store.drop(item)
        meta = item.get("metadata")
        version = meta.get("resourceVersion") if isinstance(meta, dict) else None
        if isinstance(version, str) and version:
            self._version = version
        self._failures = 0
        if changed:
            self._changed(self.name)

    def _query(self) -> dict[str, str]:
        return {"fieldSelector": self._selection.fields} if self._selection.fields else {}

    def _good(self, *, changed: bool) -> None:
        told = (self.condition, self.synced) != (SYNCED, True)
        if told and self.condition not in (LISTING, SYNCED):
            log.info("%s: is read again", self.name)
        self.condition, self.message, self.synced = SYNCED, "", True
        if changed or told:
            self._changed(self.name)

    def _wrong(self, error: ApiError) -> None:
        if self._stop.is_set():
            return
        self._restarts[error.reason] = self._restarts.get(error.reason, 0) + 1
        if error.reason == EXPIRED:
            self._version = ""
            if self._failures == 0:  # nothing is wrong: the server has forgotten that point, and is asked for all
                self._failures = 1
                return
        if error.reason == MISSING:
            self._gone(error)
            return
        self._say(error.reason, str(error))
        pause = min(self._pace.first_s * 2.0 ** min(self._failures, 16), self._pace.most_s)
        self._failures += 1
        self._stop.wait(max(pause * (0.5 + self._uniform() / 2), error.retry_after_s))

    def _gone(self, error: ApiError) -> None:
        """The kind is not served. Whoever had it believes that only of a server that has all it needs."""
        self._resource, self._version = None, ""
        if self._api.ready():
            try:
                find(self._api, self.name, self._kind)
            except ApiError as again:
                if again.reason == MISSING:
                    emptied = self.store.replace(())
                    self.synced = True
                    if emptied or self.condition != MISSING:
                        self.condition, self.message = MISSING, str(again)
                        self._changed(self.name)
        elif not self.synced:
            self._say(error.reason, str(error))
        self._stop.wait(self._pace.look_s * (0.5 + self._uniform()))

    def _say(self, condition: str, message: str) -> None:
        if (condition, message) != (self.condition, self.message):
            log.warning("%s: %s: %s", self.name, condition, message)
            self.condition, self.message = condition, message
            self._changed(self.name)
