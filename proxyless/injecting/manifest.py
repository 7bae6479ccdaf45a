"""From text to text: only documents that have Pods are written anew, with their comments and their order.

ruamel.yaml does that: PyYAML, which reads everything else here, knows no comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any

from .wanted import Text, Wanted
from .workload import WorkloadError, inject, is_workload

_MARKER = re.compile(r"^(---(?:[ \t].*)?|\.\.\.[ \t]*)\r?$", re.MULTILINE)
_DEEPER = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*\1( +)- ", re.MULTILINE)
_LEVEL = re.compile(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*\1- ", re.MULTILINE)


class InjectError(ValueError):
    """The text cannot be read, or an object in it cannot be made proxyless; the text names file and line."""


@dataclass(frozen=True, slots=True)
class Injected:
    """The new text, the workloads in it, by name, and what somebody may want to know."""

    text: str
    changed: tuple[str, ...]
    notes: tuple[str, ...]


def injected(text: str, wanted: Wanted, file: str = "-") -> Injected:
    """A manifest with its workloads made proxyless.

    Raises:
        InjectError: it is no YAML, or a workload cannot be.
    """
    parts: list[str] = []
    changed: list[str] = []
    notes: list[str] = []
    for line, marker, part in _split(text):
        read = _json if part.lstrip().startswith("{") else _yaml
        try:
            value, write = read(part, line)
            new = list(_within(value, wanted, notes.append))
        except (InjectError, WorkloadError) as error:
            place = f"{file}:{error.args[1] if isinstance(error, InjectError) and len(error.args) > 1 else line}"
            raise InjectError(f"{place}: {error.args[0]}") from None
        changed += new
        parts.append(marker + (write(value) if new else part))
    return Injected("".join(parts), tuple(changed), tuple(dict.fromkeys(notes)))


def _within(value: Any, wanted: Wanted, told: Any) -> Iterator[str]:
    """Names of the workloads that were changed, in a List too."""
    if isinstance(value, dict) and str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), list):
        for each in value["items"]:
            yield from _within(each, wanted, told)
    elif is_workload(value):
        inject(value, wanted, told)
        meta = value.get("metadata")
        yield f"{value['kind']} {meta.get('name', '?') if isinstance(meta, dict) else '?'}"


def _split(text: str) -> Iterator[tuple[int, str, str]]:
    """(line of the document, the marker before it, its text)."""
    marker, start, line = "", 0, 1
    for found in _MARKER.finditer(text):
        yield line, marker, text[start : found.start()]
        end = found.end() + 1 if text[found.end() : found.end() + 1] == "\n" else found.end()
        marker, start = text[found.start() : end], end
        line = 1 + text.count("\n", 0, end)
    yield line, marker, text[start:]


def _json(part: str, line: int) -> tuple[Any, Any]:
    try:
        value = json.loads(part)
    except ValueError:
        return _yaml(part, line)  # YAML in braces
    return value, lambda changed: json.dumps(changed, indent=2) + "\n"


def _yaml(part: str, line: int) -> tuple[Any, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 16
    if not _LEVEL.search(part) and _DEEPER.search(part):
        yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        value = yaml.load(part)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InjectError(f"is not YAML: {error.problem}", mark.line + line if mark else line) from None
    except YAMLError as error:
        raise InjectError(f"is not YAML: {str(error).splitlines()[0]}") from None

    def write(changed: Any) -> str:
        out = StringIO()
        yaml.dump(_quoted(changed), out)
        return out.getvalue().replace("\n", "\r\n") if "\r\n" in part else out.getvalue()

    return value, write


def _quoted(value: Any) -> Any:
    """Our texts as ruamel writes them: in quotes, where YAML 1.1, which kubectl reads, has something else."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    items: Iterable[tuple[Any, Any]] = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, each in list(items):
        if isinstance(each, Text):
            value[key] = DoubleQuotedScalarString(each) if _AMBIGUOUS.fullmatch(each) else str(each)
        else:
            _quoted(each)
    return value


_AMBIGUOUS = re.compile(r"true|false|yes|no|on|off|y|n|null|~|[-+.\d][\d.eExX_:+-]*", re.IGNORECASE)
