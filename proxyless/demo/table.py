"""The table at the end: scenario, expected, seen, ok."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from .checks import Result


def table(results: Iterable[Result]) -> Table:
    """A line for each check; the scenario is named at its first one."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("scenario", "what", "expected", "seen", "ok"):
        made.add_column(name, overflow="fold", no_wrap=name in ("scenario", "ok"))
    for result in results:
        for number, check in enumerate(result.checks):
            made.add_row(
                Text(result.title if number == 0 else "", style="" if result.ok else "bold red"),
                Text(check.what),
                Text(check.expected),
                Text(check.seen, style="" if check.ok else "bold red"),
                Text("ok" if check.ok else "NO", style="green" if check.ok else "bold red"),
            )
    return made


def verdict(results: Iterable[Result], seconds: float) -> str:
    """The last line."""
    found = list(results)
    wrong = [each.title for each in found if not each.ok]
    if not found:
        return "nothing was tried"
    if wrong:
        return f"expected and seen differ: {', '.join(wrong)} ({seconds:.0f} s)"
    return f"everything as expected: {len(found)} scenarios in {seconds:.0f} s"
