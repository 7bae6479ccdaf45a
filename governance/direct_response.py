"""Responses that a route gives itself (envoy.config.route.v3.DirectResponseAction)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..xds.model.route import DirectResponseAction
from .body_formats import compile_body
from .redirects import own_url
from .replies import CONTENT_TYPE, LocalReply
from .request import RequestView
from .subject import Subject


class DirectAnswer:
    """One route's response; a body with a format is made anew for each request."""

    __slots__ = ("_format", "_reply", "_to")

    def __init__(self, action: DirectResponseAction) -> None:
        """Raises:
        UnsupportedFormatError: a format with a command that cannot be filled in here.
        """
        body = action.body_format
        typed = body is not None and body.content_type
        headers = ((CONTENT_TYPE, typed.encode()),) if typed else ()
        self._reply = LocalReply(action.status, action.body, (), headers, "direct_response")
        self._format = None if body is None else compile_body(body)
        self._to = action.status == 201 or 300 <= action.status < 400

    def __call__(self, request: RequestView, describe: Callable[[], Subject] | None = None) -> LocalReply:
        """The reply to a request. `describe` says what formats may ask about."""
        reply = self._reply
        if self._to:
            reply = replace(reply, headers=((b"location", own_url(request)), *reply.headers))
        if self._format is not None:
            subject = Subject(request) if describe is None else describe()
            subject.body = reply.body
            reply = replace(reply, body=self._format(subject))
        return reply
