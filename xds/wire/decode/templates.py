"""URI templates of paths as regular expressions (envoy source: extensions/path/uri_template_lib).

`/{name}/{rest=**}`, `/*/x`, `/**`: a star is what one segment may hold, two stars any number of segments.
"""

from __future__ import annotations

import re

from ..refused import RefusedError

_GLOB = "[a-zA-Z0-9-._~%!$&'()*+,;:@=]+"
_REST = "[a-zA-Z0-9-._~%!$&'()*+,;:@=/]*"
_PIECE = re.compile(r"\{(?P<name>[A-Za-z][A-Za-z0-9_]*)(?:=(?P<inner>[^{}]+))?\}|(?P<rest>\*\*)|(?P<glob>\*)|[^*{}]+")

MAX_VARIABLES = 5
MAX_NAME = 16


def template_pattern(template: str) -> str:
    """The regular expression of a path template, which names its variables.

    Raises:
        RefusedError: it is none.
    """
    names: list[str] = []
    try:
        if not template.startswith("/"):
            raise RefusedError("Does not start with '/'")
        pattern = _pattern(template, names)
        _refuse_names(names)
    except RefusedError as error:
        raise RefusedError(f"path_match_policy.path_template {template} is invalid: {error}") from None
    return pattern


def _refuse_names(names: list[str]) -> None:
    if len(names) > MAX_VARIABLES:
        raise RefusedError(f"Exceeded variable count limit ({MAX_VARIABLES})")
    for name in names:
        if names.count(name) > 1:
            raise RefusedError(f"Repeated variable name: '{name}'")
        if len(name) > MAX_NAME:
            raise RefusedError(f"Invalid variable name '{name}', variable name length is too long")


def _pattern(template: str, names: list[str]) -> str:
    out = []
    position = 0
    while position < len(template):
        match = _PIECE.match(template, position)
        if match is None:
            raise RefusedError(f'Unmatched variable bracket in mixed pattern: "{template[position:]}"')
        position = match.end()
        if match["name"]:
            names.append(match["name"])
            inner = _pattern(match["inner"] or "*", names)
            out.append(f"(?P<{match['name']}>{inner})")
        elif match["rest"]:
            out.append(_REST)
        else:
            out.append(_GLOB if match["glob"] else re.escape(match[0]))
    return "".join(out)
