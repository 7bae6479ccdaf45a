"""Who tells people how the walk goes: live on a terminal, in plain lines elsewhere, not at all for `--json`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .checks import Result
from .figures import Figure

PIPED_WIDTH = 160
QUIET_S = 3.0
"""Seconds between two plain lines of figures."""


class Reporter:
    """Says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def note(self, text: str) -> None:
        """Something that is not a scenario."""

    def begins(self, title: str, expects: str) -> None:
        """A scenario begins."""

    def ended(self, result: Result) -> None:
        """It is over."""

    def figures(self, found: Sequence[Figure]) -> None:
        """How the services stand. Called by another thread."""


class Lines(Reporter):
    """A line for everything that happens."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._last = ""
        self._due = 0.0

    def _say(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def note(self, text: str) -> None:
        self._say(text)

    def begins(self, title: str, expects: str) -> None:
        self._say(f"{title}: {expects}")

    def ended(self, result: Result) -> None:
        self._say(f"{result.title}: {'ok' if result.ok else 'NOT AS EXPECTED'} ({result.seconds:.1f} s)")

    def figures(self, found: Sequence[Figure]) -> None:
        text = line(found)
        if text != self._last and self._clock() >= self._due:
            self._last, self._due = text, self._clock() + QUIET_S
            self._say(f"  {text}")


def line(found: Sequence[Figure]) -> str:
    """The storefront's calls, and what any service refused or lost."""
    calls: dict[str, int] = {}
    for each in found:
        for name, count in (each.calls or {}).items():
            calls[name] = calls.get(name, 0) + count
    parts = [", ".join(f"{name} {count}" for name, count in sorted(calls.items()))] if calls else []
    sums = {
        "retries": sum(each.retries for each in found),
        "overflows": sum(each.overflows for each in found),
        "limited": sum(each.refused for each in found),
        "waiting": sum(each.waiting for each in found),
    }
    parts += [f"{name} {count}" for name, count in sums.items() if count]
    parts.append(f"connected {sum(each.connected is True for each in found)} of {len(found)}")
    return "; ".join(parts)


class Screen(Reporter):
    """What is over stays on the screen; below it the scenario under way and the figures, drawn anew as they change."""

    def __init__(self, console: Console) -> None:
        self._now = ""
        self._found: Sequence[Figure] = ()
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, traceback)

    def note(self, text: str) -> None:
        self._live.console.print(text)

    def begins(self, title: str, expects: str) -> None:
        self._now = f"{title}: {expects}"

    def ended(self, result: Result) -> None:
        mark = Text("ok  ", style="green") if result.ok else Text("NO  ", style="bold red")
        self._live.console.print(mark + Text(f"{result.title} ({result.seconds:.1f} s)", style="default"))
        self._now = ""

    def figures(self, found: Sequence[Figure]) -> None:
        self._found = found

    def _draw(self) -> RenderableType:
        parts: list[RenderableType] = [Text(f"... {self._now}" if self._now else "", style="bold")]
        if self._found:
            parts += [Text(), figure_table(self._found), call_table(self._found)]
        return Group(*parts)


def figure_table(found: Sequence[Figure]) -> Table:
    """One service a row, in 80 columns."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    made.add_column("service", no_wrap=True)
    for name in ("xds", "config", "served", "limited", "retries", "overflow", "active", "waiting"):
        made.add_column(name, justify="right", no_wrap=True)
    for each in found:
        if each.connected is None:
            made.add_row(each.name, Text("dead", style="bold red"))
            continue
        state = Text("ok", style="green") if each.connected else Text("away", style="bold red")
        counts = (each.served, each.refused, each.retries, each.overflows, each.active, each.waiting)
        made.add_row(each.name, state, str(each.generation), *map(str, counts))
    return made


def call_table(found: Sequence[Figure]) -> Table:
    """Whom the services called, and how often that went well."""
    made = Table.grid(padding=(0, 2, 0, 0))
    for each in found:
        if each.calls:
            calls = ", ".join(f"{name} {count}" for name, count in sorted(each.calls.items()))
            made.add_row(f"{each.name} called", calls)
    return made
