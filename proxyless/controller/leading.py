"""Who of several replicas writes: a Lease (coordination.k8s.io/v1), held and renewed as client-go does it.

The official client's own election is not used: it cannot be ended, goes by the clock of the machine, and an error of
the network ends it. The rules are client-go's: a lease counts as held for as long as it says after *this* process has
seen it change, so clocks of machines need not agree; an update names the version that was read, so of two only one
wins; who could not renew for `renew_s` leads no more, before anybody else may begin.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..xds.controlplane.apiserver import CONFLICT, MISSING, ApiError, ApiServer

log = logging.getLogger(__name__)

NAME = "proxyless-controller"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds; client-go's defaults. `lease_s` > `renew_s` > `retry_s`."""

    lease_s: float = 15.0
    renew_s: float = 10.0
    retry_s: float = 2.0
    jitter: float = 1.2


class Election:
    """`identity` is this replica's, and unique. `clock` is monotonic; `now` is only written for people to read."""

    def __init__(
        self,
        api: ApiServer,
        namespace: str,
        identity: str,
        *,
        name: str = NAME,
        pace: Pace = Pace(),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self.identity = identity
        self._api = api
        self._namespace = namespace
        self._name = name
        self._base = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._pace = pace
        self._clock = clock
        self._now = now
        self._uniform = uniform
        self._seen: dict[str, Any] = {}
        self._seen_at = 0.0
        self._renewed: float | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.error = ""

    @property
    def leading(self) -> bool:
        """Whether this replica may write now. For any thread."""
        renewed = self._renewed
        return renewed is not None and self._clock() - renewed < self._pace.renew_s

    @property
    def holder(self) -> str:
        """Whom the lease was seen to belong to."""
        return str(self._seen.get("holderIdentity") or "")

    def start(self) -> None:
        """Takes part, in a thread of its own, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="proxyless-election", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Gives the lease back, so that another one need not wait for its end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._renewed is not None:
            self._renewed = None
            self._release()

    def _run(self) -> None:
        while not self._stop.is_set():
            before = self.leading
            self.step()
            if self.leading != before:
                log.warning("%s %s", self.identity, "leads now" if self.leading else "leads no more")
            wait = self._pace.retry_s
            self._stop.wait(wait if self.leading else wait * (1 + self._pace.jitter * self._uniform()))

    def step(self) -> None:
        """One try to get the lease, or to keep it."""
        try:
            held = self._try()
        except ApiError as error:
            self.error = f"the lease {self._namespace}/{self._name} ({error.reason}): {error}"
            return
        self.error = ""
        if not held:
            self._renewed = None

    def _try(self) -> bool:
        """Whether it is held. Raises ApiError where that is not known."""
        begun = self._clock()
        try:
            lease = self._api.get(f"{self._base}/{self._name}", timeout_s=self._pace.renew_s / 2)
        except ApiError as error:
            if error.reason != MISSING:
                raise
            return self._create(begun)
        spec = dict(lease.get("spec") or {})
        if spec != self._seen:
            self._seen, self._seen_at = spec, begun
        mine = spec.get("holderIdentity") == self.identity
        if (
            spec.get("holderIdentity")
            and not mine
            and self._seen_at + float(spec.get("leaseDurationSeconds") or 0) > begun
        ):
            return False
        wanted = self._spec(spec, mine=mine)
        try:
            self._api.send(
                "PUT", f"{self._base}/{self._name}", {**lease, "spec": wanted}, timeout_s=self._pace.renew_s / 2
            )
        except ApiError as error:
            if error.reason == CONFLICT:
                return False if not mine else self.leading
            raise
        self._took(wanted, begun)
        return True

    def _create(self, begun: float) -> bool:
        wanted = self._spec({}, mine=False)
        meta = {"name": self._name, "namespace": self._namespace}
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": wanted}
        try:
            self._api.send("POST", self._base, body, timeout_s=self._pace.renew_s / 2)
        except ApiError as error:
            if error.reason == CONFLICT:
                return False
            raise
        self._took(wanted, begun)
        return True

    def _took(self, spec: dict[str, Any], begun: float) -> None:
        """From when it was asked for, not from when the answer came."""
        self._seen, self._seen_at, self._renewed = spec, begun, begun

    def _spec(self, before: dict[str, Any], *, mine: bool) -> dict[str, Any]:
        stamp = _stamp(self._now())
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": round(self._pace.lease_s),
            "acquireTime": before.get("acquireTime", stamp) if mine else stamp,
            "renewTime": stamp,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if mine or not before else 1),
        }

    def _release(self) -> None:
        try:
            lease = self._api.get(f"{self._base}/{self._name}", timeout_s=2.0)
            if (lease.get("spec") or {}).get("holderIdentity") == self.identity:
                spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                self._api.send("PUT", f"{self._base}/{self._name}", {**lease, "spec": spec}, timeout_s=2.0)
        except ApiError as error:
            log.info("the lease could not be given back: %s", error)


def _stamp(now: float) -> str:
    """A MicroTime."""
    return dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
