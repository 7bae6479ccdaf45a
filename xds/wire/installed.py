"""What installed packages bring by entry points (docs/extensions.md): looked up once for each group, when first needed.

An extension stands under the full name of its type (`acme.filters.ApiKey`, with or without `type.googleapis.com/`).
Nothing of a package is imported before its type is met.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ..model.records import dataclass
from .refused import RefusedError

FILTERS, BALANCERS, MATCHERS = "proxyless.filters", "proxyless.balancers", "proxyless.matchers"
TYPED = (FILTERS, BALANCERS, MATCHERS)
"""The groups whose names are types."""
SUITES, POLICIES = "proxyless.suites", "proxyless.policies"
GROUPS = (*TYPED, SUITES, POLICIES)


class BrokenError(RefusedError):
    """An extension that is installed and cannot be used; the text names its entry point and package."""


@dataclass(frozen=True, slots=True)
class Brought:
    """One entry point. `module`: where it leads, `module:attribute`."""

    group: str
    name: str
    module: str
    package: str
    version: str
    entry: EntryPoint = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.package} {self.version}"

    def load(self) -> Any:
        """What it leads to.

        Raises:
            BrokenError: nothing, or its module cannot be imported.
        """
        try:
            return self.entry.load()
        except Exception as error:
            raise BrokenError(f"{self.said} cannot be loaded: {type(error).__name__}: {error}") from error

    @property
    def said(self) -> str:
        """As errors name it."""
        return f"{self.group} {self.name} = {self.module} of package {self}"


@cache
def installed(group: str) -> Mapping[str, tuple[Brought, ...]]:
    """All entry points of a group by name: several, where packages bring the same."""
    found: dict[str, tuple[Brought, ...]] = {}
    for each in entry_points(group=group):
        name = each.name.rpartition("/")[2] if group in TYPED else each.name
        package, version = (each.dist.name, each.dist.version) if each.dist is not None else ("?", "?")
        brought = Brought(group, name, each.value, package, version, each)
        found[name] = tuple(sorted((*found.get(name, ()), brought), key=str))
    return found


def find(group: str, name: str) -> Brought | None:
    """Who brings this.

    Raises:
        BrokenError: several packages do, and nobody knows which is meant.
    """
    found = installed(group).get(name, ())
    if len(found) > 1:
        raise BrokenError(f"{group} {name} is brought by {len(found)} packages: {', '.join(map(str, found))}")
    return found[0] if found else None


def problem(type_name: str) -> str | None:
    """What is wrong with the extension of a type, empty where nothing is; None where nobody brings any."""
    try:
        brought = next((found for group in TYPED if (found := find(group, type_name)) is not None), None)
        if brought is None:
            return None
        brought.load()
    except BrokenError as error:
        return str(error)
    return ""


def listing() -> Iterator[tuple[Brought, str]]:
    """All that is installed, with what is wrong with it as far as nothing needs to be imported for that."""
    for group in GROUPS:
        for _, several in sorted(installed(group).items()):
            for each in several:
                others = [str(other) for other in several if other is not each]
                yield each, f"brought by {', '.join(others)} too" if others else ""
