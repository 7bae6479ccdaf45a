"""A comparison for people and for CI systems: text, Markdown, results beside the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..comparing.asking import Looked
from ..comparing.changes import Change
from ..comparing.comparison import Comparison
from ..comparing.origins import origin_of
from ._diff_entries import Entry, rest, sections
from ._findings import result_of
from ._reports import Level, Result, seen_from_here

LONGEST = 60_000
"""Characters of Markdown: a comment on GitHub may have 65,536."""


def as_text(found: Comparison) -> str:
    """Short text; empty where there is nothing to say."""
    lines: list[str] = []
    for section in sections(found):
        lines.append(f"{section.clients}:")
        for host, entries in section.hosts.items():
            lines.append(f"  {host}")
            for entry in entries:
                lines.append(f"    {entry.title}")
                lines += [f"      {each}" for each in entry.lines]
    for title, said in _lists(found):
        lines += [f"{title}:", *(f"  {each}" for each in said)]
    return "\n".join(lines)


def looked_at(looked: Looked) -> str:
    """What was looked at, beside the output."""
    return (
        f"{looked.kinds} {'kind' if looked.kinds == 1 else 'kinds'} of clients: {looked.compared} compared,"
        f" {looked.alike} told the same as one of these, {looked.untouched} told nothing new"
    )


def as_markdown(found: Comparison, most: int = LONGEST) -> str:
    """For a comment on a pull request; of what would be too long for one, how much more there is."""
    if not found.differs and not any(found.findings.values()) and not found.groups:
        return "No decision of the mesh changes."
    blocks = list(_markdown(found))
    said, length = ["### What changes in the mesh"], 0
    for number, block in enumerate(blocks):
        length += len(block) + 2
        if length > most:
            said.append(f"*... and {len(blocks) - number} more: `proxyless diff` tells them all.*")
            break
        said.append(block)
    return "\n\n".join(said)


def _markdown(found: Comparison) -> Iterator[str]:
    """Blocks that can be read alone: one for each host of each set of clients."""
    for section in sections(found):
        heading = f"**{section.clients}**\n\n"
        for host, entries in section.hosts.items():
            lines = [f"- {_code(host)}"]
            for entry in entries:
                lines.append(f"  - {_code(entry.title)}" if entry.lines else f"  - {_escaped(entry.title)}")
                lines += [f"    - {_escaped(each)}" for each in entry.lines]
            yield heading + "\n".join(lines)
            heading = ""
    for title, said in _lists(found):
        yield "\n".join([f"**{title}**", "", *(f"- {_escaped(each)}" for each in said)])


def results(found: Comparison) -> list[Result]:
    """For CI systems: a warning where something loosens, and for new findings of `check`; else a note. Those that
    matter most come first, since GitHub shows ten of each step."""
    made = [result_of(each, found.new) for each in found.findings["new"]]
    for section in sections(found):
        for host, entries in section.hosts.items():
            for entry in entries:
                who = section.clients if host == section.clients else f"{section.clients}: {host}"
                said = [f"{who}: {entry.title}", *entry.lines]
                made.append(_result(found, entry, "\n".join(said)))
    made += [Result("note", "workloads", f"{title}: {', '.join(said)}") for title, said in rest(found)]
    order = ("error", "warning", "note")
    return sorted(made, key=lambda each: order.index(each.level))


def _result(found: Comparison, entry: Entry, text: str) -> Result:
    change = entry.changes[0]
    level: Level = "warning" if "loosens" in entry.effects else "note"
    origin = origin_of(change, found.origins)
    if origin is None:
        return Result(level, _rule(change), text)
    path = seen_from_here(origin.folder, origin.place.file)
    return Result(level, _rule(change), text, path, origin.place.line, origin.place.column)


def _rule(change: Change) -> str:
    return f"{change.section}.{change.document['policy']}" if change.section == "policies" else change.section


def _lists(found: Comparison) -> Iterator[tuple[str, list[str]]]:
    yield from rest(found)
    for key, title in (("new", "new findings of check"), ("gone", "findings of check that are gone")):
        if found.findings[key]:
            yield title, [str(replace(each, column=0)) for each in found.findings[key]]


def _code(text: str) -> str:
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def _escaped(text: str) -> str:
    for each in ("\\", "`", "*", "_", "<", "[", "|"):
        text = text.replace(each, f"\\{each}")
    return text
