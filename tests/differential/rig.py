"""Envoy and the backends around one configuration, and what became of each request.

`with Rig(Recording.load(folder)) as rig: rig.send("GET", "/items", host="catalog")` gives an Observation: the
response, Envoy's access log line, and every arrival at a backend (retries and mirrored copies too), joined by the
request id.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from types import TracebackType
from typing import Any, Self

from tests.differential.bootstrap import LOG, static
from tests.differential.recording import Recording, Resource
from tests.support import rawhttp
from tests.support.backends import Backends
from tests.support.behaviour import Address, Arrival, Headers
from tests.support.envoy import Envoy

VIP: Address = ("10.96.1.2", 80)
LOG_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One request to send: raw bytes, where the program dialled, and from where.

    `mark` is what its header `x-mark` says: arrivals are found by it where request ids are not unique. `at`: no
    earlier than that (of the monotonic clock).
    """

    data: bytes
    destination: Address = VIP
    source: Address = ("127.0.10.1", 40000)
    later: bytes = b""
    later_s: float = 0.0
    mark: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of one request. `log` is None where Envoy logged nothing (the connection never became a request)."""

    response: rawhttp.Response
    log: dict[str, Any] | None
    arrivals: tuple[Arrival, ...]

    @property
    def flags(self) -> str:
        """Envoy's response flags, `-` for none."""
        return "" if self.log is None else str(self.log["flags"])

    @property
    def details(self) -> str:
        """Envoy's response code details."""
        return "" if self.log is None else str(self.log["details"])


class Rig:
    """A running Envoy with the backends of a recording, spoken to through one of its listeners."""

    def __init__(
        self, recording: Recording, *, listener: str = "virtualOutbound", extra: Iterable[Address] = ()
    ) -> None:
        self.backends = Backends([*sorted(recording.addresses()), *extra])
        self.recording = recording.rewritten(self.backends.ports)
        self.envoy = Envoy(self.bootstrap())
        self._listener = listener
        self._stack = ExitStack()
        self._offset = 0
        self._serials = cycle(f"127.1.{high}.{low}" for high in range(256) for low in range(1, 255))

    def bootstrap(self) -> Resource:
        """The static configuration that Envoy is started with."""
        return static(self.recording)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.backends)
            stack.enter_context(self.envoy)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def port(self) -> int:
        """The loopback port of the listener that requests are sent to."""
        return self.envoy.port(self._listener)

    def send(
        self,
        method: str = "GET",
        target: str = "/",
        *headers: tuple[str, str],
        host: str | None = "catalog",
        body: bytes = b"",
        to: Address = VIP,
        settle_s: float = 0.0,
    ) -> Observation:
        """Send one ordinary request. `settle_s` waits for what follows the response (mirrors, late logs)."""
        pairs: Headers = (*((("host", host),) if host is not None else ()), *headers)
        return self.run([Sent(rawhttp.request(method, target, pairs, body), to)], settle_s=settle_s)[0]

    def raw(self, data: bytes, *, to: Address = VIP, later: bytes = b"", later_s: float = 0.0) -> Observation:
        """Send exactly these bytes."""
        return self.run([Sent(data, to, later=later, later_s=later_s)])[0]

    def run(self, sent: Sequence[Sent], *, parallel: int = 1, settle_s: float = 0.0) -> list[Observation]:
        """Send requests, at most `parallel` at a time, then collect logs and arrivals.

        Each comes from a loopback address of its own, by which its log is found: ports come back too soon.
        """
        self.backends.take()
        serials = [next(self._serials) for _ in sent]
        with ThreadPoolExecutor(parallel) as threads:
            responses = list(threads.map(self._exchange, sent, serials))
        time.sleep(settle_s)
        logs = self._logs({serial for serial, got in zip(serials, responses, strict=True) if got.status or got.raw})
        arrived: dict[str, list[Arrival]] = {}
        arrivals = self.backends.take()
        for arrival in arrivals:
            arrived.setdefault(arrival.header("x-mark") or arrival.header("x-request-id"), []).append(arrival)
        found = []
        for each, serial, response in zip(sent, serials, responses, strict=True):
            log = logs.get(serial)
            name = each.mark or str((log or {}).get("request_id"))
            mine = arrivals if len(responses) == 1 else arrived.get(name, [])
            found.append(Observation(response, log, tuple(mine)))
        return found

    def _exchange(self, sent: Sent, serial: str) -> rawhttp.Response:
        if sent.at:
            time.sleep(max(0.0, sent.at - time.monotonic()))
        return rawhttp.exchange(
            self.port,
            sent.data,
            bind=serial,
            destination=sent.destination,
            source=sent.source,
            later=sent.later,
            later_s=sent.later_s,
        )

    def _logs(self, wanted: set[str]) -> dict[str, dict[str, Any]]:
        """New access log lines by the address of the client; waits until each wanted one is there."""
        path = self.envoy.folder / LOG
        found: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + LOG_WAIT_S
        pause = 0.012
        while True:
            time.sleep(pause)
            with path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._offset += len(whole)
            for line in whole.splitlines():
                entry = json.loads(line)
                found[entry["serial"]] = entry
            if wanted <= found.keys() or time.monotonic() > deadline:
                return found
