"""The table at the end: what was expected, what was seen, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from .checks import Result

NAMES = 30
"""What checks are called takes no more, so that 80 columns are enough."""

WRONG = "bold red"


def table(results: Iterable[Result], width: int) -> Table:
    """A line for each scenario and one for each of its checks, `width` columns in all."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("scenario", "expected", "seen", "ok"):
        made.add_column(name, overflow="fold", no_wrap=name in ("scenario", "ok"))
    each_takes = max(1, (width - NAMES - len("ok") - 6) // 2)
    for result in results:
        made.add_row(Text(result.title, style="bold" if result.ok else WRONG), "", "", "")
        for check in result.checks:
            made.add_row(
                Text(f"  {check.what}"),
                Text(packed(check.expected, each_takes)),
                Text(packed(check.seen, each_takes), style="" if check.ok else WRONG),
                Text("ok" if check.ok else "NO", style="green" if check.ok else WRONG),
            )
    return made


def packed(text: str, width: int) -> str:
    """A list in lines that end after one of its parts, where they would be longer than `width`."""
    lines: list[str] = []
    parts = text.split(", ")
    for number, part in enumerate(parts, 1):
        piece = part if number == len(parts) else f"{part},"
        if lines and len(lines[-1]) + 1 + len(piece) <= width:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return "\n".join(lines)


def verdict(results: Iterable[Result], seconds: float) -> str:
    """The last line."""
    found = list(results)
    wrong = [each.title for each in found if not each.ok]
    if not found:
        return "nothing was tried"
    if wrong:
        return f"expected and seen differ: {', '.join(wrong)} ({seconds:.0f} s)"
    scenarios = "1 scenario" if len(found) == 1 else f"{len(found)} scenarios"
    return f"everything as expected: {scenarios} in {seconds:.0f} s"
