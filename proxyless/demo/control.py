"""The two processes that the walk talks to: the control plane's words, and the load generator's orders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from .processes import DemoError, Process

PATIENCE_S = 40.0

Document = dict[str, Any]

NONE: Mapping[str, str] = {}


class ControlPlane:
    """`proxyless serve --json`, read from its log."""

    def __init__(self, process: Process) -> None:
        self.process = process

    def events(self, since: int = 0) -> list[Document]:
        """What it has said, without the first `since` of it."""
        return list(self._read())[since:]

    def said(self) -> int:
        """How much that is."""
        return len(self.events())

    def _read(self) -> Iterator[Document]:
        try:
            text = self.process.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        for line in text.splitlines():
            if line.startswith("{"):
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # a line that is being written


@dataclass(frozen=True, slots=True)
class Tally:
    """What the load generator got. `limited`: answers with the header of the rate limit."""

    statuses: Mapping[str, int]
    servers: Mapping[str, int]
    limited: int
    seconds: float

    @property
    def calls(self) -> int:
        return sum(self.statuses.values())


class Load:
    """The load generator."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._numbers = count(1)
        self._answers: dict[int, SimpleQueue[Document | None]] = {}

    def listen(self) -> None:
        """Begin to read what it answers."""
        Thread(target=self._read, name="load-answers", daemon=True).start()

    def _read(self) -> None:
        popen = self.process.popen
        if popen is None or popen.stdout is None:
            raise AssertionError("nobody to listen to")
        for line in popen.stdout:
            answer = json.loads(line)
            self._answers[answer["id"]].put(answer)
        for each in list(self._answers.values()):
            each.put(None)

    def order(self, what: str, **details: Any) -> int:
        """Has something done; `result` waits for it.

        Raises:
            DemoError: it is gone.
        """
        number = next(self._numbers)
        self._answers[number] = SimpleQueue()
        popen = self.process.popen
        try:
            if popen is None or popen.stdin is None:
                raise BrokenPipeError
            popen.stdin.write(json.dumps({"id": number, "do": what, **details}) + "\n")
            popen.stdin.flush()
        except (OSError, ValueError) as error:
            raise DemoError(f"the load generator is gone\n{self.process.said()}") from error
        return number

    def result(self, number: int) -> Tally:
        """Raises:
        DemoError: it does not answer.
        """
        try:
            answer = self._answers[number].get(timeout=PATIENCE_S)
        except Empty:
            answer = None
        del self._answers[number]
        if answer is None:
            raise DemoError(f"the load generator does not answer\n{self.process.said()}")
        if "statuses" not in answer:
            return Tally({}, {}, 0, 0.0)
        return Tally(answer["statuses"], answer["servers"], answer["limited"], answer["seconds"])

    def begin(self, method: str, path: str, calls: int, together: int = 1, headers: Mapping[str, str] = NONE) -> int:
        """So many calls, `together` of them at a time."""
        return self.order("burst", method=method, path=path, count=calls, together=together, headers=dict(headers))

    def burst(self, method: str, path: str, calls: int, together: int = 1, headers: Mapping[str, str] = NONE) -> Tally:
        """The same, and wait."""
        return self.result(self.begin(method, path, calls, together, headers))

    def steady(self, path: str, together: int, pause: float) -> None:
        """Call until `stop`."""
        self.result(self.order("steady", method="GET", path=path, together=together, pause=pause))

    def stop(self) -> Tally:
        """No more steady calls; what they came to."""
        return self.result(self.order("stop"))
