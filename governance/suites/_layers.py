"""Several layers of governance around one app: the outermost decides, those further in leave its requests alone."""

from __future__ import annotations

import logging

log = logging.getLogger("proxyless")

GOVERNED = "proxyless.governed"
"""Where a request says that it has come through a layer: in ASGI's scope, WSGI's environ."""


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
