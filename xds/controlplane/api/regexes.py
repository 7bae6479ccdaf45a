"""Whether RE2, which is Envoy's engine, takes a pattern."""

from __future__ import annotations

from functools import cache

import re2


@cache
def regex_fault(text: str) -> str:
    """What RE2 says against a pattern; empty if it compiles."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        cause = error.args[0]
        return cause.decode() if isinstance(cause, bytes) else str(cause)
    return ""
