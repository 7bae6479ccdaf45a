"""Lists of policies: what the environment, a mesh and a suite say, and what packages bring by name."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

from ._variables import YES, names
from .errors import ConfigurationError
from .governance.composition.builtin import BUILTIN
from .governance.composition.compose import NONE, Policies, compose
from .governance.composition.items import PolicyError, Switch, off, shadow
from .governance.runtime import Runtime
from .xds.wire.installed import POLICIES, BrokenError, find

log = logging.getLogger("proxyless")

SHADOW = "PROXYLESS_SHADOW"
OFF = "PROXYLESS_OFF"
NO = ("", "0", "false")


def policies_of_mesh(items: Iterable[object]) -> Policies | None:
    """The policies for all suites of a mesh: the environment's switches, then its own list.

    Raises:
        ConfigurationError: either makes no sense.
    """
    said: list[object] = []
    shadowed = os.environ.get(SHADOW, "").strip()
    if shadowed.lower() in YES:
        said.append(shadow())
    elif shadowed.lower() not in NO:
        said.append(_switched(SHADOW, shadowed, shadow))
    switched_off = os.environ.get(OFF, "").strip()
    if switched_off:
        said.append(_switched(OFF, switched_off, off))
    try:
        ours = compose(said, "environment", whole=True)
        own = compose(items, "mesh", whole=True, find=found)
    except PolicyError as error:
        raise ConfigurationError(str(error)) from error
    both = own if ours is None else ours if own is None else ours.within(own)
    if both is not None:
        _warn("mesh", both, NONE)
    return both


def _switched(variable: str, value: str, switch: Callable[..., Switch]) -> Switch:
    try:
        return switch(*names(value))
    except PolicyError as error:
        raise ConfigurationError(f"{variable}={value!r}: {error}") from error


def policies_of(
    runtime: Runtime | None, items: Iterable[object], suite: str, *, blocking: bool, incoming: bool = False
) -> Policies | None:
    """The policies of a suite: its own list inside its mesh's. None where nobody says anything.

    `blocking`: nothing can be awaited in it. `incoming`: it governs incoming requests.

    Raises:
        ConfigurationError: the list makes no sense.
    """
    try:
        own = compose(items, suite, blocking=blocking, incoming=incoming, find=found)
    except PolicyError as error:
        raise ConfigurationError(str(error)) from error
    if runtime is None:
        return None
    outer = runtime.policies
    policies = outer if own is None else own if outer is None else outer.within(own)
    if policies is not None and policies is not outer:
        _warn(suite, policies, outer or NONE)
    runtime.made(suite, policies, incoming=incoming)
    return policies


def found(name: str) -> Iterable[object]:
    """What a package brings under a name (entry points of the group `proxyless.policies`).

    Raises:
        LookupError: nobody brings it.
        PolicyError: the package cannot be used, or is not the only one.
    """
    try:
        brought = find(POLICIES, name)
        loaded: Any = brought.load() if brought is not None else None
    except BrokenError as error:
        raise PolicyError(str(error)) from error
    if brought is None:
        raise LookupError(name)
    try:
        items: Iterable[object] = loaded() if callable(loaded) else loaded
        return items
    except Exception as error:
        raise PolicyError(f"{brought.said} has raised {type(error).__name__}: {error}") from error


def _warn(who: str, policies: Policies, outer: Policies) -> None:
    for name, mode in policies.modes.items():
        if BUILTIN[name].secures and outer.mode(name) != mode:
            how = "is switched off" if mode == "off" else "is in shadow mode"
            log.warning("%s: %s (%s) %s: it keeps nobody out", who, name, BUILTIN[name].what, how)
