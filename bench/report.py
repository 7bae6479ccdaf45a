"""Tables of figures, for people and for the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable


@dataclass(slots=True)
class Table:
    """One table: a title, column names, rows of text and numbers, and what to keep in mind."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Report:
    """Prints what it is given and keeps it."""

    def __init__(self) -> None:
        self._console = Console(width=120)
        self.tables: list[Table] = []
        self._said: list[str] = []

    def say(self, text: str) -> None:
        self._said.append(text)
        self._console.print(text)

    def add(self, tables: list[Table]) -> None:
        for table in tables:
            self.tables.append(table)
            rich = RichTable(title=table.title, title_justify="left")
            for index, column in enumerate(table.columns):
                rich.add_column(column, justify="left" if index == 0 else "right")
            for row in table.rows:
                rich.add_row(*[_text(cell) for cell in row])
            self._console.print(rich)
            for note in table.notes:
                self._console.print(f"  {note}")

    def as_dict(self) -> dict[str, Any]:
        return {
            "said": self._said,
            "tables": [
                {"title": each.title, "columns": each.columns, "rows": each.rows, "notes": each.notes}
                for each in self.tables
            ],
        }


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.3f}" if abs(cell) < 10 else f"{cell:,.1f}"
    return str(cell)
