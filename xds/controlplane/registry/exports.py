"""The services of a mesh by who sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from .services import Service

EVERYBODY = "*"
NOBODY = "~"
OWN = "."


class Exports:
    """The services of a mesh by the namespaces that may call them. `exports` says what a service's `exportTo` is."""

    def __init__(self, services: Iterable[Service], exports: Callable[[Service], frozenset[str]]) -> None:
        self._exports = exports
        self._public: list[Service] = []
        self._private: dict[str, list[Service]] = {}
        self._public_of: dict[str, list[int]] = {}
        for service in services:
            export_to = exports(service)
            if EVERYBODY in export_to:
                self._public_of.setdefault(service.namespace, []).append(len(self._public))
                self._public.append(service)
            elif NOBODY not in export_to:
                for namespace in {service.namespace if each == OWN else each for each in export_to}:
                    self._private.setdefault(namespace, []).append(service)

    def sees(self, namespace: str, service: Service) -> bool:
        """Whether a namespace is named; unlike in `to`, a `~` beside other names hides nothing from them."""
        export_to = self._exports(service)
        return EVERYBODY in export_to or namespace in export_to or (OWN in export_to and service.namespace == namespace)

    def to(self, namespace: str, within: Collection[str] | None = None) -> list[Service]:
        """What a namespace sees, in order: first what only some see, then what everybody does.

        `within` leaves out the services of other namespaces.
        """
        private = self._private.get(namespace, [])
        if within is None:
            return private + self._public
        places = sorted(place for each in within for place in self._public_of.get(each, ()))
        return [s for s in private if s.namespace in within] + [self._public[place] for place in places]
