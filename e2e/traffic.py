"""Requests from inside a cluster: the demo's load generator in a Pod, told what to do over its standard input."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

COMMAND = ("python", "-m", "proxyless.demo.load")


@dataclass(slots=True)
class Tally:
    """What calls came to: by status, by the instance that answered, by its version (`catalog-v2-...` is v2)."""

    statuses: Counter[str] = field(default_factory=Counter)
    servers: Counter[str] = field(default_factory=Counter)

    def heard(self, document: dict[str, Any]) -> None:
        self.statuses.update(document["statuses"])
        self.servers.update(document["servers"])

    @property
    def calls(self) -> int:
        return self.statuses.total()

    @property
    def failed(self) -> dict[str, int]:
        return {status: count for status, count in self.statuses.items() if status != "200"}

    def share(self, workload: str) -> float:
        """Of the answers, those that came from a Deployment's Pods."""
        theirs = sum(count for name, count in self.servers.items() if name.startswith(f"{workload}-"))
        return theirs / max(1, self.servers.total())


class Traffic:
    """One generator; `started` is its process, which may be at the other end of `kubectl exec`."""

    def __init__(self, started: subprocess.Popen[str]) -> None:
        self._process = started
        self._ids = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def burst(
        self, path: str = "/items", count: int = 100, together: int = 4, headers: Mapping[str, str] | None = None
    ) -> Tally:
        """So many calls."""
        return self._tally(self._ask("burst", path=path, count=count, together=together, headers=headers))

    @contextmanager
    def steady(self, path: str = "/items", together: int = 4, pause: float = 0.02) -> Iterator[Tally]:
        """Calls all the time; the tally is filled when it is over."""
        self._ask("steady", path=path, together=together, pause=pause)
        tally = Tally()
        try:
            yield tally
        finally:
            tally.heard(self._ask("stop"))

    def _ask(self, what: str, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        number = next(self._ids)
        self._process.stdin.write(json.dumps({"id": number, "do": what, "method": "GET", **order}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the load generator has ended: {self._process.wait(30)}"
        answer: dict[str, Any] = json.loads(line)
        assert answer["id"] == number
        return answer

    @staticmethod
    def _tally(answer: dict[str, Any]) -> Tally:
        tally = Tally()
        tally.heard(answer)
        return tally
