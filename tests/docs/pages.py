"""The examples of the user's pages: fenced blocks, by the language that the fence names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "istio"
PAGES = (
    "bootstrap",
    "httpx",
    "asgi",
    "grpc",
    "grpc-servers",
    "wsgi",
    "requests",
    "urllib3",
    "explain",
    "diff",
    "control-plane",
    "policies",
    "composition",
    "fallbacks",
    "security",
    "testing",
    "architecture",
)

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One example. `line` is where its text begins, counted from 1."""

    page: str
    language: str
    text: str
    line: int

    @property
    def place(self) -> str:
        """For messages."""
        return f"docs/{self.page}.md:{self.line}"

    @property
    def file(self) -> str:
        """The file that the block is, if its first line says so: `# app.py`."""
        found = re.match(r"# (\w+\.py)\n", self.text)
        return found[1] if found else ""


def text_of(page: str) -> str:
    """The page."""
    return (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[Block]:
    """The examples in these languages, in order."""
    text = text_of(page)
    return [
        Block(page, found[1], found[2], text.count("\n", 0, found.start(2)) + 1)
        for found in _FENCE.finditer(text)
        if found[1] in languages
    ]
