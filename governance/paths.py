"""Paths as Envoy's HTTP connection manager and router rewrite them (docs/envoy-facts.md, "Paths" and "Rewrites")."""

import re

from ..xds.model.listener import HttpConnectionManager
from ..xds.model.matchers import PathMatcher
from ..xds.model.route import RouteAction
from .regex import Rewriter
from .request import strip_query
from .templates import TemplateRewrite

_USUAL = re.compile(rb"/(?:[!$&-\-0-;=?-\[\]_a-z~][!$&-.0-;=?-\[\]_a-z~]*+/?)*+")
"""A target that no normalization changes or refuses: no escapes, no empty segments, none that begin with a dot."""

_NOT_HTTP = re.compile(rb"[\x00-\x20\x7f-\xff]|\A(?!/)")

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BARE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_DOTS = {b".": 1, b"..": 2}
_DOTS_WITH_PARAMETER = re.compile(rb"(?<=/)(\.\.?);[^/]*")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_MUST_ESCAPE = {char: b"%%%02X" % char for char in b'"<>^`{|}'}
_ESCAPED_SLASH = re.compile(rb"%2[fF]|%5[cC]")


class BadPathError(ValueError):
    """Envoy answers 400: the path cannot be normalized."""


class NotHttpError(ValueError):
    """Envoy's HTTP inspector does not take the request line for HTTP/1.1: the connection is TCP to it."""


class EscapedSlashesError(ValueError):
    """The path holds escaped slashes, and the connection manager answers itself: `redirect` is the path to go to."""

    def __init__(self, redirect: bytes | None) -> None:
        super().__init__("escaped slashes")
        self.redirect = redirect


def is_http(path: bytes) -> bool:
    """Whether Envoy's HTTP inspector takes a request line with this target for HTTP/1.1."""
    return _NOT_HTTP.search(path) is None


def normalize(path: bytes, config: HttpConnectionManager) -> bytes:
    """The path that routes match and endpoints get; the query is left alone.

    Raises:
        NotHttpError: a target that no request line may hold.
        BadPathError: `%00` in the path.
        EscapedSlashesError: `path_with_escaped_slashes_action` wants an answer.
    """
    if _USUAL.fullmatch(path) is not None:
        return path
    if not is_http(path):
        raise NotHttpError
    fragment = path.find(b"#")
    if fragment >= 0:
        path = path[:fragment]
    only, mark, query = path.partition(b"?")
    escaped = config.escaped_slashes != "KEEP_UNCHANGED" and _ESCAPED_SLASH.search(only) is not None
    if escaped:
        if config.escaped_slashes == "REJECT_REQUEST":
            raise EscapedSlashesError(None)
        only = _ESCAPED_SLASH.sub(lambda match: b"/" if match[0][1:2] == b"2" else b"\\", only)
    if config.normalize_path:
        only = _canonical(only)
    if config.merge_slashes:
        only = _merged(only)
    if escaped and config.escaped_slashes == "UNESCAPE_AND_REDIRECT":
        raise EscapedSlashesError(only + mark + query)
    return only + mark + query


def _canonical(path: bytes) -> bytes:
    """RFC 3986 normalization as Chromium's URL library, which Envoy uses, does it."""
    if b"%00" in path:
        raise BadPathError("%00 in the path")  # also in a segment that goes
    path = _DOTS_WITH_PARAMETER.sub(rb"\1", path).replace(b"\\", b"/")
    segments: list[bytes] = []
    parts = path.split(b"/")[1:]
    for index, part in enumerate(parts):
        dots = _DOTS.get(part.replace(b"%2e", b".").replace(b"%2E", b"."), 0)
        last = index == len(parts) - 1
        if dots == 2 and segments:
            segments.pop()
        if dots:
            if last:
                segments.append(b"")
            continue
        segments.append(part)
    return b"/" + b"/".join(_characters(each) for each in segments)


def _characters(segment: bytes) -> bytes:
    if b"%" in segment:
        segment = _ESCAPE.sub(_unescaped, segment) if _BARE_PERCENT.search(segment) is None else _nested(segment)
    if any(char in _MUST_ESCAPE for char in segment):
        segment = b"".join(_MUST_ESCAPE.get(char, bytes((char,))) for char in segment)
    return segment


def _unescaped(match: re.Match[bytes]) -> bytes:
    char = int(match[1], 16)
    return bytes((char,)) if char in _UNRESERVED else match[0]


def _nested(segment: bytes) -> bytes:
    """The same where a bare `%` stands: what is decoded behind it makes no escape of it, it becomes `%25` then."""
    out = bytearray()
    bare, position = -3, 0
    while position < len(segment):
        match = _ESCAPE.match(segment, position)
        if match is None:
            if segment[position] == 0x25:
                bare = len(out)
            out.append(segment[position])
            position += 1
            continue
        position = match.end()
        text = _unescaped(match)
        out += text
        if len(text) == 1 and bare >= len(out) - 3:
            near = bytes(out[bare:]) if bare == len(out) - 3 else bytes(out[bare:]) + segment[position : position + 1]
            if _ESCAPE.fullmatch(near) is not None:
                out[bare + 1 : bare + 1] = b"25"
    return bytes(out)


def _merged(path: bytes) -> bytes:
    merged = re.sub(rb"/{2,}", b"/", path)
    return b"//" if merged == b"/" != path else merged  # as Envoy has it


class PathRewrite:
    """prefix_rewrite, regex_rewrite or a template's rewrite of a route; the query string stays as it is."""

    __slots__ = ("_matched", "_prefix", "_regex", "_template")

    def __init__(self, action: RouteAction, matcher: PathMatcher) -> None:
        self._regex = Rewriter(action.regex_rewrite) if action.regex_rewrite else None
        self._template = (
            TemplateRewrite(matcher.value, action.path_template)
            if action.path_template is not None and matcher.kind == "uri_template"
            else None
        )
        self._prefix = action.prefix_rewrite.encode() if action.prefix_rewrite is not None else b""
        # A regex match replaces the whole path, the others the text that they matched.
        self._matched = None if matcher.kind == "safe_regex" else len(matcher.value.encode())

    def __call__(self, path: bytes) -> bytes | None:
        """The new path; None where the rewrite comes to nothing and the path stays."""
        only = strip_query(path)
        rest = path[len(only) :]
        if self._template is not None or self._regex is not None:
            new = self._regex(only) if self._regex is not None else self._template(only) if self._template else None
            return new + rest if new else None
        matched = len(only) if self._matched is None else self._matched
        return self._prefix + only[matched:] + rest


def has_rewrite(action: RouteAction) -> bool:
    """Whether the route changes the path (an empty prefix_rewrite is none)."""
    return bool(action.prefix_rewrite) or action.regex_rewrite is not None or action.path_template is not None
