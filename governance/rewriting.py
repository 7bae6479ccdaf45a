"""How a connection manager rewrites replies of the mesh's own (LocalReplyConfig; envoy source: common/local_reply).

The first mapper whose filter takes a reply may change its status, its body and its headers; then a format makes the
body: the mapper's, else the one of all replies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..xds.model.local_reply import BodyFormat, LocalReplyConfig, ResponseMapper
from ..xds.model.records import dataclass
from ..xds.model.values import Note
from .body_formats import compile_body
from .formatter import Formatter, UnsupportedFormatError
from .headers import Level, compile_additions
from .log_filters import Test, UnsupportedFilterError, log_test
from .replies import CONTENT_TYPE, TEXT, LocalReply
from .subject import Subject

FIELD = "local_reply_config"


@dataclass(frozen=True, slots=True)
class _Body:
    format: Formatter
    content_type: bytes


@dataclass(frozen=True, slots=True)
class _Mapper:
    takes: Test
    config: ResponseMapper
    headers: Level
    body: _Body | None


class Rewriting:
    """The configuration of one connection manager, at work. `notes`: what of it cannot be done."""

    __slots__ = ("_body", "_mappers", "_scope", "notes")

    def __init__(self, config: LocalReplyConfig, scope: str, uniform: Callable[[], float]) -> None:
        self.notes: tuple[Note, ...] = ()
        self._scope = scope
        self._body = self._compiled(config.body_format)
        self._mappers = tuple(self._mapper(each, uniform) for each in config.mappers)

    def _mapper(self, config: ResponseMapper, uniform: Callable[[], float]) -> _Mapper:
        problems: list[str] = []
        headers = compile_additions(config.headers, problems)
        self.notes += tuple(Note(self._scope, FIELD, each) for each in problems)
        try:
            takes = log_test(config.filter, uniform)
        except UnsupportedFilterError as error:
            self.notes += (Note(self._scope, FIELD, f"a mapper takes nothing: {error}"),)
            takes = _nothing
        return _Mapper(takes, config, headers, self._compiled(config.body_format))

    def _compiled(self, body: BodyFormat | None) -> _Body | None:
        if body is None:
            return None
        try:
            return _Body(compile_body(body), body.content_type.encode() or TEXT)
        except UnsupportedFormatError as error:
            self.notes += (Note(self._scope, FIELD, f"body_format: {error}"),)
            return None

    def __call__(self, reply: LocalReply, subject: Subject) -> LocalReply:
        """The reply as it is configured to be. `subject` is what is known of the request, this reply included."""
        said, before = reply.body, _content_type(reply)
        made = self._body
        for mapper in self._mappers:
            if mapper.takes(subject):
                reply = _mapped(reply, mapper, subject)
                made = mapper.body or made
                break
        if made is not None:
            subject.status = subject.local_status = reply.status
            subject.response, subject.body = list(reply.headers), reply.body
            reply = replace(reply, body=made.format(subject))
        content_type = TEXT if made is None else made.content_type
        if reply.body != said and _content_type(reply) == before:
            return replace(reply, content_type=content_type, retyped=True)
        return replace(reply, content_type=content_type)


def _nothing(subject: Subject) -> bool:
    del subject
    return False


def _mapped(reply: LocalReply, mapper: _Mapper, subject: Subject) -> LocalReply:
    config = mapper.config
    headers = tuple(mapper.headers.apply(list(reply.headers), subject.request, subject=subject))
    status = reply.status if config.status_code is None else config.status_code
    return replace(reply, status=status, body=reply.body if config.body is None else config.body, headers=headers)


def _content_type(reply: LocalReply) -> bytes:
    return next((value for name, value in reply.headers if name == CONTENT_TYPE), b"")


def rewriting_of(config: LocalReplyConfig | None, scope: str, uniform: Callable[[], float]) -> Rewriting | None:
    """None where replies stay as they are."""
    return None if config is None else Rewriting(config, scope, uniform)
