"""Header mutation in Envoy's order (envoy source: HeaderParser::evaluateHeaders).

Levels apply in this order: weighted cluster, route, virtual host, route configuration; with
`most_specific_header_mutations_wins` the last three the other way round. Within a level headers are removed first; then
all values are computed on what is there; then overwrites happen, then additions.
"""

from collections.abc import Iterable, Sequence

from ..xds.model.records import dataclass
from ..xds.model.values import AppendAction, HeaderMutation, HeaderMutations
from .formatter import Formatter, UnsupportedFormatError, compile_value
from .request import JOINED, RequestView
from .subject import Subject

HeaderList = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class _Addition:
    name: bytes
    value: bytes | Formatter
    action: AppendAction
    keep_empty: bool


@dataclass(frozen=True, slots=True)
class Level:
    """The mutations of one level, for one direction."""

    remove: frozenset[bytes]
    additions: tuple[_Addition, ...]
    formatted: bool
    """Whether a value depends on the request."""

    def apply(
        self, headers: HeaderList, request: RequestView, *, live: bool = False, subject: Subject | None = None
    ) -> HeaderList:
        """The headers after this level; the list given is not changed.

        Values are formatted from `request`; with `live` the headers are its own, and values see them as they are now.
        `subject` is what else is known; of a response, values see the headers as they are now, too.
        """
        if self.remove:
            remove = self.remove
            headers = [pair for pair in headers if pair[0].lower() not in remove]
        if not self.additions:
            return headers
        if self.formatted:
            subject = Subject(request) if subject is None else subject
            subject.request = request.having(headers) if live else request
            if not live and subject.response is not None:
                subject.response = headers
        present = {name.lower() for name, _ in headers}
        overwrite: dict[bytes, bytes] = {}
        append: HeaderList = []
        for addition in self.additions:
            value = addition.value
            if not isinstance(value, bytes):
                if subject is None:
                    raise AssertionError("a value with a format in a level without")
                value = value(subject)
            name, action = addition.name, addition.action
            if not value and not addition.keep_empty:
                continue
            if action is AppendAction.APPEND_IF_EXISTS_OR_ADD:
                append.append((name, value))
            elif action is AppendAction.ADD_IF_ABSENT:
                if name not in present:
                    append.append((name, value))
            elif action is AppendAction.OVERWRITE_IF_EXISTS_OR_ADD or name in present:
                overwrite.pop(name, None)  # the last one counts, and comes where it is
                overwrite[name] = value
        if overwrite:
            headers = [pair for pair in headers if pair[0].lower() not in overwrite]
            headers += overwrite.items()
        for name, value in append:
            headers = joined(headers, name, value) if name in JOINED else [*headers, (name, value)]
        return headers


def joined(headers: HeaderList, name: bytes, value: bytes) -> HeaderList:
    """A value more for a header that Envoy keeps as one line."""
    result: HeaderList = []
    done = False
    for pair in headers:
        if not done and pair[0].lower() == name:
            pair = (pair[0], b",".join(filter(None, (pair[1], value))))
            done = True
        result.append(pair)
    return result if done else [*result, (name, value)]


Levels = tuple[Level, ...]


def apply_levels(
    levels: Levels, headers: HeaderList, request: RequestView, *, live: bool = False, subject: Subject | None = None
) -> HeaderList:
    """The headers after every level, in order; `live`: they are those of the request itself."""
    for level in levels:
        headers = level.apply(headers, request, live=live, subject=subject)
    return headers


def formats(levels: Levels) -> bool:
    """Whether any value depends on the request."""
    return any(level.formatted for level in levels)


def compile_levels(
    levels: Iterable[HeaderMutations], *, most_specific_wins: bool, problems: list[str] | None = None
) -> tuple[Levels, Levels]:
    """(request, response) levels from mutations given from the most to the least specific.

    What cannot be formatted is left out and its reason is added to `problems`.
    """
    ordered = list(levels)
    if most_specific_wins:
        ordered[1:] = reversed(ordered[1:])
    problems = [] if problems is None else problems
    request = tuple(
        _level(each.request_add, each.request_remove, problems)
        for each in ordered
        if each.request_add or each.request_remove
    )
    response = tuple(
        _level(each.response_add, each.response_remove, problems)
        for each in ordered
        if each.response_add or each.response_remove
    )
    return request, response


def compile_additions(additions: Sequence[HeaderMutation], problems: list[str] | None = None) -> Level:
    """One level that only adds, as filters have it."""
    return _level(additions, (), [] if problems is None else problems)


def _level(add: Sequence[HeaderMutation], remove: Sequence[str], problems: list[str]) -> Level:
    additions = []
    for mutation in add:
        try:
            value = compile_value(mutation.value)
        except UnsupportedFormatError as error:
            problems.append(f"header {mutation.name!r}: {error}")
            continue
        additions.append(_Addition(mutation.name.lower().encode(), value, mutation.action, mutation.keep_empty))
    formatted = any(not isinstance(each.value, bytes) for each in additions)
    return Level(frozenset(name.lower().encode() for name in remove), tuple(additions), formatted)
