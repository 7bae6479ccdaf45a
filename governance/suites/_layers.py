"""Several layers of governance around one app: the outermost decides, those further in leave its requests alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence

log = logging.getLogger("proxyless")

GOVERNED = "proxyless.governed"
"""Where a request says that it has come through a layer: in ASGI's scope, WSGI's environ."""

PARTS = (
    *("app", "wsgi_app", "application"),
    *("router", "routes", "user_middleware", "cls"),  # Starlette's
    "mounts",  # of werkzeug's dispatcher
    *("_middlewares", "_subapps"),  # aiohttp's
)
"""What apps keep others in."""


class Governs:
    """What a program puts into an app so that its requests are governed."""

    __slots__ = ()


def governs_itself(app: object) -> bool:
    """Whether an app has been governed by its program, as a whole or a part of it: as far as an app lets it be seen.

    Middlewares of Starlette's that are made with the first request are seen before.
    """
    waiting: list[object] = [app]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, Governs) or (isinstance(each, type) and issubclass(each, Governs)):
            return True
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, Sequence):
            waiting += [] if isinstance(each, (str, bytes)) else each
        else:
            own = getattr(each, "__dict__", {})
            waiting += [own[part] for part in PARTS if part in own]
    return False


class Layer:
    """One that other layers may be around."""

    __slots__ = ("_name", "_told")

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = False

    def inner(self) -> None:
        """A request has come that another layer has let through. That is told once."""
        if not self._told:
            self._told = True
            log.warning(
                "%s: its requests are governed already, by one further out: this one leaves them alone; one is enough",
                self._name,
            )
