"""The cases, all together."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import cases
from .resources import Field, Shop
from .seeing import See

UNSAID = object()


@dataclass(frozen=True)
class Effect:
    """One case: see the package."""

    field: Field
    shop: Shop
    see: See
    expected: Any = UNSAID
    against: Shop | None = None
    what: str = ""

    @property
    def name(self) -> str:
        """The name of its test."""
        return f"{self.field}-{self.what}" if self.what else self.field


def effect(
    field: Field, shop: Shop, see: See, expected: Any = UNSAID, *, against: Shop | None = None, what: str = ""
) -> Effect:
    """A case. `expected`: what is seen with the field; `against`: a configuration where it says something else;
    `what` tells several cases of a field apart."""
    return Effect(field, shop, see, expected, against, what)


def all_effects() -> Iterator[tuple[str, Effect]]:
    """(the module's name, case) of every case in `cases`."""
    for module in sorted(each.name for each in pkgutil.iter_modules(cases.__path__)):
        found = importlib.import_module(f"{cases.__name__}.{module}")
        for each in found.CASES:
            yield module, each
