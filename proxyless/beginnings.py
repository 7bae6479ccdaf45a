"""What a mesh is begun with: who and where, the link to a control plane, what is done once a second."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from .errors import ConfigurationError
from .xds.identity.bootstrap import Bootstrap, BootstrapError, Node, from_url

if TYPE_CHECKING:
    from .governance.runtime import Runtime
    from .observing import Observers
    from .xds.controlplane import Fault
    from .xds.transport.link import Link

log = logging.getLogger("proxyless")
T = TypeVar("T")


def log_fault(fault: Fault) -> None:
    """Of a folder of YAML: a file or object that is refused."""
    log.error("refused %s (what it said before, if anything, stays in force)", fault)


def log_note(note: Fault) -> None:
    """Of a folder of YAML: what is taken, but worth saying."""
    log.warning("%s", note)


def weakly(owner: T, method: Callable[[T], None]) -> Callable[[], None]:
    """A call of the method that does not keep its owner alive."""
    reference = weakref.ref(owner)

    def call() -> None:
        alive = reference()
        if alive is not None:
            method(alive)

    return call


def ticking(runtime: Runtime, observers: Observers, look: Callable[[], None]) -> Callable[[], None]:
    """What is done once a second; it does not keep the mesh alive."""
    import resource

    from .governance.sweeping import sweep

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    def tick() -> None:
        look()
        runtime.tick()
        sweep(runtime, files // 2)
        observers.tick()

    return tick


def bootstrap_from(
    url: str, node: Node | None, root_cert: str | None, token_file: str | None, *, delta: bool
) -> Bootstrap:
    """What the arguments of a mesh say; raises ConfigurationError where they make no sense."""
    from .xds.identity.finding import from_bootstrap

    own = Bootstrap("", node) if node is not None else environment()
    try:
        found = from_url(url, own.node, root_cert, token_file, delta=delta)
        by_token = found.tls and found.token_file
        return replace(found, identity=from_bootstrap(found) if by_token else own.identity)
    except BootstrapError as error:
        raise ConfigurationError(str(error)) from error


def grpc_link(bootstrap: Bootstrap) -> Link:
    """The way to a control plane; grpc is imported here and not before."""
    from .xds.transport.grpc_stream import GrpcLink

    return GrpcLink(bootstrap)


def own_node() -> Node:
    """Who the environment says that this workload is."""
    return environment().node


def environment() -> Bootstrap:
    """What the environment says of this workload, wherever its control plane is."""
    from .xds.identity.environment import from_environment

    try:
        return from_environment({**os.environ, "PROXYLESS_XDS": "xds://localhost"})
    except BootstrapError as error:
        raise ConfigurationError(str(error)) from error
