"""Rewrites of paths that a URI template matches (envoy source: extensions/path/rewrite/uri_template)."""

from __future__ import annotations

import re


class TemplateRewrite:
    """UriTemplateRewriteConfig of a route that is matched by a template, whose pattern names its variables."""

    __slots__ = ("_match", "_pieces")

    def __init__(self, pattern: str, rewrite: str) -> None:
        self._match = re.compile(pattern.encode())
        self._pieces = [(piece, piece[1:-1]) for piece in re.split(r"(\{[^{}]*\})", rewrite) if piece]

    def __call__(self, path: bytes) -> bytes | None:
        """The new path of one that the template takes; None where it does not."""
        match = self._match.fullmatch(path)
        if match is None:
            return None
        groups = match.groupdict()
        return b"".join(groups.get(name, b"") if piece[0] == "{" else piece.encode() for piece, name in self._pieces)
