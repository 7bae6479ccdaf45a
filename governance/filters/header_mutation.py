"""Header mutation (envoy source: extensions/filters/http/header_mutation): of requests, their queries, and responses.

The chain's mutations come first, then those of the place: of every level that has any, the most specific first unless
`most_specific_header_mutations_wins`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from ...xds.model.filters import MutateHeaders, ParameterMutation
from ...xds.model.values import AppendAction, HeaderMutation
from ..formatter import Formatter, compile_value
from ..headers import HeaderList, Level
from ..mutating import Mutation, compile_mutations, mutate
from ..routing import CompiledRoute, Target
from ..steering import STEERING
from ..subject import Subject
from .stream import Stream, keep_named

_ENCODED = re.compile(rb"[^0-9A-Za-z*._-]")
_UNFIT = re.compile(rb"[^!-~]")

Parameters = dict[bytes, list[bytes]]


class _Parameter:
    """One mutation of the query."""

    __slots__ = ("_action", "_key", "_value")

    def __init__(self, mutation: ParameterMutation) -> None:
        self._key = mutation.key.encode()
        self._action = mutation.action
        self._value: bytes | Formatter | None = None if mutation.value is None else compile_value(mutation.value)

    def apply(self, parameters: Parameters, subject: Callable[[], Subject]) -> None:
        """Change the parameters."""
        key, value, action = self._key, self._value, self._action
        if value is None:
            parameters.pop(key, None)
            return
        unwanted = {AppendAction.ADD_IF_ABSENT: True, AppendAction.OVERWRITE_IF_EXISTS: False}.get(action)
        if (key in parameters) is unwanted:
            return
        text = _ENCODED.sub(_encode, value if isinstance(value, bytes) else value(subject()))
        if action is AppendAction.APPEND_IF_EXISTS_OR_ADD:
            parameters.setdefault(key, []).append(text)
        else:
            parameters[key] = [text]


class _Compiled:
    """The mutations of one configuration."""

    __slots__ = ("_formats_request", "_formats_response", "_parameters", "_request", "_steers", "response")

    def __init__(self, config: MutateHeaders) -> None:
        self._request = compile_mutations(config.request)
        self.response = compile_mutations(config.response)
        self._parameters = tuple(_Parameter(each) for each in config.parameters)
        added = {each.name.lower().encode() for each in config.request if isinstance(each, HeaderMutation)}
        self._steers = not STEERING.isdisjoint(added)
        self._formats_request, self._formats_response = _formats(self._request), _formats(self.response)

    def change_request(self, stream: Stream) -> None:
        """The headers of a request, then its query."""
        request = stream.request
        if self._request:
            subject = subject_of(stream) if self._formats_request else None
            request.replace_headers(mutate(self._request, list(request.raw_headers), request, subject=subject))
            if self._steers:
                request.internal = True  # its headers are listened to, as those of filters always are
        if self._parameters:
            parameters = _parsed(request.path)
            for each in self._parameters:
                each.apply(parameters, lambda: subject_of(stream))
            request.replace_path(_written(request.path, parameters))

    def changed_response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        """The headers of a response."""
        subject = None
        if self._formats_response:
            subject = subject_of(stream)
            subject.status, subject.response = status, headers
        return mutate(self.response, headers, stream.request, live=False, subject=subject)


def _formats(mutations: tuple[Mutation, ...]) -> bool:
    return any(isinstance(each, Level) and each.formatted for each in mutations)


def subject_of(stream: Stream) -> Subject:
    """What formats may ask about."""
    describe = getattr(stream, "subject", None)
    return Subject(stream.request) if describe is None else describe()


class HeaderMutationFilter:
    """The filter in a chain."""

    __slots__ = ("_base", "_places", "_wins", "name")

    def __init__(self, name: str, config: MutateHeaders | None, *, wins: bool) -> None:
        """`config`: None where it is switched off but for places; `wins`: most_specific_header_mutations_wins."""
        self.name = name
        self._base = _Compiled(config) if config is not None else None
        self._wins = wins
        self._places: dict[int, tuple[Target | CompiledRoute, tuple[_Compiled, ...]]] = {}

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Whether there is anything to do for what goes this way."""
        return self._base is not None or bool(self._levels(place))

    def on_request(self, stream: Stream) -> None:
        """Nothing is answered."""
        keep_named(stream)
        for each in self._steps(stream):
            each.change_request(stream)

    def on_response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        """The headers of a response, whoever gave it."""
        for each in self._steps(stream):
            if each.response:
                headers = each.changed_response(stream, status, headers)
        return headers

    def _levels(self, place: Target | CompiledRoute | None) -> list[MutateHeaders]:
        if place is None:
            return []
        found = [each.get(self.name) for each in place.filter_levels]
        levels = [each for each in found if isinstance(each, MutateHeaders)]
        return levels[::-1] if self._wins else levels

    def _steps(self, stream: Stream) -> tuple[_Compiled, ...]:
        place = stream.target if stream.target is not None else stream.route
        base = () if self._base is None else (self._base,)
        if place is None:
            return base
        # Keyed by identity: the entry holds the place, so the number cannot be reused while it is here.
        kept = self._places.get(id(place))
        if kept is None:
            if len(self._places) > 1024:
                self._places.clear()
            steps = (*base, *(_Compiled(each) for each in self._levels(place)))
            kept = self._places[id(place)] = (place, steps)
        return kept[1]


def _parsed(path: bytes) -> Parameters:
    """Decoded, in the order of their names."""
    found: Parameters = {}
    pairs = path.partition(b"?")[2].split(b"&")
    if not pairs[-1]:
        pairs.pop()
    for pair in pairs:
        key, _, value = pair.partition(b"=")
        found.setdefault(unquote_to_bytes(key), []).append(unquote_to_bytes(value))
    return found


def _written(path: bytes, parameters: Parameters) -> bytes:
    """Envoy writes the bytes as they are; those that no request line may hold are encoded here."""
    pairs = [key + b"=" + value for key, values in sorted(parameters.items()) for value in values]
    query = _UNFIT.sub(_encode, b"&".join(pairs))
    return path.partition(b"?")[0] + (b"?" + query if pairs else b"")


def _encode(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
