"""A list of policies, compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ...xds.model.records import dataclass
from .builtin import BUILTIN, Mode
from .items import Fallback, Place, PolicyError, Suite, Switch

Find = Callable[[str], Iterable[object]]
"""Finds what a package brings under a name; raises LookupError."""


@dataclass(frozen=True, slots=True)
class Own:
    """An own policy. `origin`: whose list it stands in. `max_request_bytes`: of the body that it wants to see."""

    name: str
    origin: str
    on_request: Callable[[Any], Any] | None
    on_response: Callable[[Any, Any], Any] | None
    max_request_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list as `status` shows it."""

    name: str
    kind: Literal["own", "mesh", "fallback"]
    mode: Mode
    origin: str

    def document(self) -> dict[str, str]:
        """For `status`."""
        return {"name": self.name, "kind": self.kind, "mode": self.mode, "origin": self.origin}


class Policies:
    """What a machine looks at. `origins`: who has switched a policy."""

    __slots__ = (
        "after",
        "before",
        "breaker",
        "elsewhere",
        "fallbacks",
        "filter_modes",
        "hedges",
        "mirror",
        "modes",
        "origins",
        "own",
        "retry",
        "routing",
        "timeout",
    )

    def __init__(
        self,
        before: Sequence[Own] = (),
        after: Sequence[Own] = (),
        fallbacks: Sequence[tuple[Fallback, str]] = (),
        modes: Mapping[str, Mode] = {},  # never changed
        origins: Mapping[str, str] = {},
    ) -> None:
        self.before = tuple(before)
        self.after = tuple(after)
        self.own = bool(before or after)
        self.fallbacks = tuple(fallbacks)
        self.elsewhere = any(each.kind == "host" for each, _ in fallbacks)
        """Whether a request may have to be sent once more, to another host."""
        self.modes = modes
        self.origins = origins
        self.filter_modes = frozenset((name, mode) for name, mode in modes.items() if name not in OF_CALLS)
        """Of the HTTP filters that are not simply on."""
        self.routing, self.retry, self.timeout = self.mode("routing"), self.mode("retry"), self.mode("timeout")
        self.hedges = self.retry == "on" and self.timeout == "on"
        """Whether tries may run beside each other, which takes both."""
        self.breaker, self.mirror = self.mode("breaker"), self.mode("mirror")

    def mode(self, name: str) -> Mode:
        """How a policy of the mesh is at work."""
        return self.modes.get(name, "on")

    def entries(self, *, incoming: bool | None = None) -> list[Entry]:
        """The visible list, in the order in which a request meets it; None: for both directions."""
        mesh = [
            Entry(each.name, "mesh", self.mode(each.name), self.origins.get(each.name, "configuration"))
            for each in BUILTIN.values()
            if incoming is None or (each.incoming if incoming else each.outgoing)
        ]
        return [
            *(Entry(each.name, "own", "on", each.origin) for each in self.before),
            *mesh,
            *(Entry(each.name, "own", "on", each.origin) for each in self.after),
            *(Entry(repr(each), "fallback", "on", origin) for each, origin in self.fallbacks),
        ]

    def within(self, inner: Policies) -> Policies:
        """A suite's list inside the mesh's own: it stands where the mesh's policies do."""
        modes, origins = {**self.modes}, {**self.origins}
        for name, mode in inner.modes.items():
            if modes.get(name) != "off":
                modes[name], origins[name] = mode, inner.origins.get(name, "")
        return Policies(
            [*self.before, *inner.before],
            [*inner.after, *self.after],
            [*inner.fallbacks, *self.fallbacks],
            modes,
            origins,
        )


OF_CALLS = frozenset({"routing", "mirror", "timeout", "retry", "breaker", "outlier"})
"""Policies that are no HTTP filters."""

NONE = Policies()


def nothing_found(name: str) -> Iterable[object]:
    """No package brings anything."""
    raise LookupError(name)


def compose(
    items: Iterable[object],
    origin: str,
    *,
    whole: bool = False,
    blocking: bool = False,
    incoming: bool | None = None,
    find: Find = nothing_found,
) -> Policies | None:
    """The policies of a list; None where it says nothing.

    `origin`: who brings it. `whole`: for all of a mesh. `blocking`: nothing can be awaited there. `incoming`: for which
    direction; None is for both. `find`: what packages bring.

    Raises:
        PolicyError: the list makes no sense.
    """
    before: list[Own] = []
    after: list[Own] = []
    fallbacks: list[tuple[Fallback, str]] = []
    modes: dict[str, Mode] = {}
    origins: dict[str, str] = {}
    met = False
    for item, where in _flat(items, origin, find, ()):
        if isinstance(item, Place):
            if met:
                raise PolicyError(f"{where}: MESH stands in the list twice")
            met = True
        elif isinstance(item, Switch):
            for name in item.names:
                if BUILTIN[name].whole and not whole:
                    if item.every:
                        continue
                    raise PolicyError(f"{where}: {item.mode}({name!r}) is for a whole mesh: Mesh(..., policies=[...])")
                if modes.get(name) != "off":
                    modes[name], origins[name] = item.mode, where
        elif isinstance(item, Fallback):
            if incoming and item.kind == "host":
                raise PolicyError(f"{where}: {item!r}: an incoming request cannot be answered by another host")
            fallbacks.append((item, where))
        else:
            (after if met else before).append(_own(item, where, blocking=blocking, incoming=incoming))
    if not (before or after or fallbacks or modes):
        return None
    return Policies(before, after, fallbacks, modes, origins)


def _flat(items: object, origin: str, find: Find, around: tuple[object, ...]) -> Iterator[tuple[object, str]]:
    """Every item with its origin; lists, suites and names are what they hold."""
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise PolicyError(f"{origin}: policies={items!r} is no list of policies")
    for item in items:
        if isinstance(item, Suite | list | tuple | str) and any(item is each for each in around):
            raise PolicyError(f"{origin}: {item!r} holds itself")
        inner = (*around, item)
        if isinstance(item, Suite):
            yield from _flat(item.policies, f"{origin} / {item.name}", find, inner)
        elif isinstance(item, list | tuple):
            yield from _flat(item, origin, find, inner)
        elif isinstance(item, str):
            try:
                found = find(item)
            except LookupError:
                raise PolicyError(f"{origin}: no package brings policies by the name {item!r}") from None
            if isinstance(found, Suite):
                found = found.policies
            yield from _flat(found, f"{origin} / {item}", find, inner)
        else:
            yield item, origin


def _own(item: object, origin: str, *, blocking: bool, incoming: bool | None) -> Own:
    name = getattr(item, "name", None)
    name = name if isinstance(name, str) and name else type(item).__name__
    if isinstance(item, type):
        raise PolicyError(f"{origin}: {item.__name__} is a class, where an object of it is wanted")
    methods = []
    for method in ("on_request", "on_response"):
        found = getattr(item, method, None)
        if found is not None and not callable(found):
            raise PolicyError(f"{origin}: {method} of policy {name} is {found!r}, not a method")
        if inspect.iscoroutinefunction(found):
            if blocking:
                raise PolicyError(f"{origin}: {method} of policy {name} is a coroutine, and this code is sync")
            if incoming and method == "on_response":
                raise PolicyError(
                    f"{origin}: {method} of policy {name} is a coroutine: an app's response does not wait"
                )
        methods.append(found)
    if methods == [None, None]:
        raise PolicyError(f"{origin}: {item!r} is no policy: it has neither on_request nor on_response")
    most = getattr(item, "max_request_bytes", None)
    if most is not None and not (isinstance(most, int) and most > 0):
        raise PolicyError(f"{origin}: max_request_bytes of policy {name} is {most!r}: a number of bytes above 0")
    return Own(name, origin, methods[0], methods[1], most)
