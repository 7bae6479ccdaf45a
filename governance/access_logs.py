"""Access logs at work: which requests are told of, and by which line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, final

from ..xds.model.access_log import AccessLog
from ..xds.model.formats import COMMAND
from ..xds.model.local_reply import BodyFormat
from ..xds.model.values import MetadataValue, Note
from .body_formats import compile_body
from .commands import REFUSED, UnsupportedFormatError
from .formatter import Formatter
from .log_filters import Test, UnsupportedFilterError, log_test
from .subject import Subject

if TYPE_CHECKING:
    from .runtime import Runtime

FIELD = "access_log"

_COMMAND = re.compile(rf"%%|{COMMAND}", re.DOTALL)


class Logged(Protocol):
    """What has become of lines so far: how many were written and dropped, and what was wrong, by path."""

    @property
    def written(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def errors(self) -> Mapping[str, str]: ...


Write = Callable[[str, bytes], None]
"""A line to where it belongs: it must not wait, and must not raise."""


@final
class Log:
    """One logger. `notes`: commands that cannot be filled in, which say `-`."""

    __slots__ = ("_line", "_path", "_takes", "notes")

    def __init__(self, config: AccessLog, scope: str, uniform: Callable[[], float]) -> None:
        self.notes: tuple[Note, ...] = ()
        self._path = config.path
        self._line = self._compiled(config.format, scope)
        self._takes: Test | None = None
        try:
            self._takes = log_test(config.filter, uniform) if config.filter is not None else None
        except UnsupportedFilterError as error:
            self.notes += (Note(scope, FIELD, f"not written: {error}"),)
            self._line = None

    def _compiled(self, body: BodyFormat, scope: str) -> Formatter | None:
        unknown: set[str] = set()
        known = _known(body, unknown)
        self.notes = tuple(Note(scope, FIELD, f"%{each}% is not supported: it says -") for each in sorted(unknown))
        try:
            return compile_body(known)
        except UnsupportedFormatError as error:
            self.notes += (Note(scope, FIELD, f"not written: {error}"),)
            return None

    def write(self, subject: Subject, write: Write) -> None:
        """The line of a request, unless it is filtered out."""
        if self._line is not None and (self._takes is None or self._takes(subject)):
            write(self._path, self._line(subject))


def _known(body: BodyFormat, unknown: set[str]) -> BodyFormat:
    def kept(match: re.Match[str]) -> str:
        if match[1] not in REFUSED:
            return match[0]
        unknown.add(match[1])
        return "-"

    def text(given: str) -> str:
        return _COMMAND.sub(kept, given)

    def value(given: MetadataValue) -> MetadataValue:
        if isinstance(given, str):
            return text(given)
        if isinstance(given, tuple):
            return tuple(map(value, given))
        return {name: value(each) for name, each in given.items()} if isinstance(given, Mapping) else given

    json = None if body.json is None else {name: value(each) for name, each in body.json.items()}
    return replace(body, text=text(body.text), json=json)


@final
class Logs:
    """Those of a connection manager, of a TCP proxy or of a listener; false where none writes anything."""

    __slots__ = ("_each", "_runtime", "notes")

    def __init__(self, configs: Iterable[AccessLog], scope: str, runtime: Runtime) -> None:
        self._runtime = runtime
        self._each = [Log(each, scope, lambda: runtime.uniform()) for each in configs]
        self.notes = tuple(note for each in self._each for note in each.notes)

    def __bool__(self) -> bool:
        return bool(self._each) and self._runtime.access_log is not None

    def write(self, subject: Subject) -> None:
        """The lines of a request that is over."""
        write = self._runtime.access_log
        if write is not None:
            for each in self._each:
                each.write(subject, write)
