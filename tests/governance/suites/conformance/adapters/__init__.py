"""One adapter for each library that is governed: a file with `ADAPTERS`, which is all that a new suite needs here."""

from __future__ import annotations

import importlib
import pkgutil

from tests.governance.suites.conformance.adapter import Adapter


def found() -> dict[str, type[Adapter]]:
    """The adapters of all files, by name."""
    made: dict[str, type[Adapter]] = {}
    for module in pkgutil.iter_modules(__path__):
        for each in importlib.import_module(f"{__name__}.{module.name}").ADAPTERS:
            made[each.name] = each
    return made
