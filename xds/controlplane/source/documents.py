"""Text to documents: splits a file, parses each part once, remembers where each began.

A file of a mesh holds thousands of documents of which one changes, so a document's value is kept by its text: the next
version of the file parses only what is new. A syntax error is one fault of the file with line and column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from ..loader import Loader
from .block import BlockReader


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its value, its text, and the line (from 1) its text begins at."""

    value: object
    text: str
    line: int


class DocumentError(Exception):
    """The text cannot be read. Line and column count from 1."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


_MARKER = re.compile(r"^---(?=[ \t\r\n]|\Z)[^\n]*\n?|^\.\.\.[ \t]*\r?\n?", re.MULTILINE)

_BARE = "\n---\n"


def split(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each document of a YAML file. What follows a marker on its line stays with its document."""
    if text.startswith("\ufeff"):
        text = text[1:]
    if not text.startswith(("---", "...")) and "\n..." not in text and text.count("\n---") == text.count(_BARE):
        yield from _split_at_bare(text)
        return
    start, line = 0, 1
    while start < len(text):
        marker = _MARKER.search(text, start)
        end = marker.start() if marker else len(text)
        part = text[start:end]
        if part.strip():
            yield line, part
        line += part.count("\n")
        if marker is None:
            return
        rest = marker[0][3:].lstrip(" \t") if marker[0].startswith("---") else ""
        if rest.strip() and not rest.startswith("#"):
            following = _MARKER.search(text, marker.end())
            end = following.start() if following else len(text)
            part = " " * (len(marker[0]) - len(rest)) + rest + text[marker.end() : end]
            yield line, part
            line += part.count("\n")
            start = end
        else:
            line += marker[0].count("\n")
            start = marker.end()


def _split_at_bare(text: str) -> Iterator[tuple[int, str]]:
    """Where no marker is more than three dashes on a line of their own, between documents."""
    start, line = 0, 1
    while start < len(text):
        marker = text.find(_BARE, start)
        # The line's end before a marker belongs to the document; the first line may be a marker's own.
        part = text[start:] if marker < 0 else text[start : marker + 1]
        if part.strip():
            yield line, part
        if marker < 0:
            return
        line += part.count("\n") + 1
        start = marker + len(_BARE)


def parse_yaml(text: str, line: int, reader: BlockReader) -> object:
    """The value of one document that begins at `line`; raises DocumentError."""
    found = reader.read(text)
    if found is not None:
        return found
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506  Loader is a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        at = (mark.line + line, mark.column + 1) if mark else (line, 0)
        if mark and any(each.startswith("\t", mark.column) for each in text.split("\n")[mark.line : mark.line + 1]):
            said = "a tab stands where YAML wants spaces"
        raise DocumentError(f"is not YAML: {said}", *at) from error
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentError(f"is not YAML: {error}", line) from error


def parse_json(text: str) -> object:
    """The value of a JSON file; raises DocumentError."""
    try:
        return json.loads(text)
    except ValueError as error:
        at = (error.lineno, error.colno) if isinstance(error, json.JSONDecodeError) else (0, 0)
        said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise DocumentError(f"is not JSON: {said}", *at) from error
