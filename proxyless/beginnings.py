"""What a mesh is begun with: who and where, the link to a control plane, what is done once a second."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ._variables import switched
from .errors import ConfigurationError
from .xds.identity.bootstrap import Bootstrap, BootstrapError, Node, from_url

if TYPE_CHECKING:
    from .examining.finding import Finding
    from .governance.runtime import Runtime
    from .observing import Observers
    from .xds.controlplane import Fault, Plane
    from .xds.transport.cache import Cache
    from .xds.transport.link import Link

log = logging.getLogger("proxyless")
T = TypeVar("T")

CACHE_DIR = "PROXYLESS_CACHE_DIR"
BESIDE = "PROXYLESS_ALLOW_SIDECAR"


def log_fault(fault: Fault) -> None:
    """Of a folder of YAML: a file or object that is refused."""
    log.error("refused %s (what it said before, if anything, stays in force)", fault)


def log_note(note: Fault) -> None:
    """Of a folder of YAML: what is taken, but worth saying."""
    log.warning("%s", note)


def folder_plane(directory: str | os.PathLike[str], mesh_config: str | os.PathLike[str] | None) -> Plane:
    """A control plane on a folder of YAML; raises ConfigurationError where it, or that file, cannot be read."""
    from . import __version__
    from ._fitness import refuse_eventlet
    from .xds.controlplane import FolderSource, Plane, SourceError
    from .xds.controlplane.identifier import identifier

    refuse_eventlet()  # its own threads begin before those of the mesh
    try:
        source = FolderSource(Path(directory), mesh_config=mesh_config)
        return Plane(source, on_fault=log_fault, on_note=log_note, identifier=identifier(__version__))
    except SourceError as error:
        raise ConfigurationError(str(error)) from error


def alone(bootstrap: Bootstrap, seen: Callable[[Mapping[str, Any]], Iterable[Finding]] | None = None) -> None:
    """Refuse a sidecar beside the process: both would retry, time out and count each call. Where something may be one,
    or the user wants both, it is a warning.

    Raises:
        ConfigurationError: there is one; the text says what to do.
    """
    from .examining.finding import ERROR
    from .examining.sidecar import seen as by_annotations_and_ports

    said = bootstrap.node.metadata.get("ANNOTATIONS")
    wanted = switched(BESIDE)
    for each in (seen or by_annotations_and_ports)(said if isinstance(said, dict) else {}):
        if each.level == ERROR and not wanted:
            text = f"{each.text}: each call would be governed twice; {each.do} ({BESIDE}=1 starts all the same)"
            raise ConfigurationError(text)
        log.warning("%s: each call may be governed twice; %s", each.text, each.do)


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


def check_arguments(bootstrap: Bootstrap, registry: object) -> None:
    """Raises ConfigurationError where they make no sense; logs what is odd."""
    if not isinstance(bootstrap.node, Node):
        raise ConfigurationError(f"node={bootstrap.node!r} is not a proxyless.Node")
    if not (registry is None or isinstance(registry, bool) or hasattr(registry, "register")):
        raise ConfigurationError(f"registry={registry!r} is neither a prometheus_client registry nor False")
    for each in bootstrap.warnings:
        log.warning("%s", each)


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


def cache_at(directory: str | os.PathLike[str] | bool, address: str, node: str) -> Cache | None:
    """Where the last good configuration is kept; True is the place that the environment names, False nowhere."""
    from .xds.transport.cache import Cache

    if directory is False:
        return None
    if directory is True:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        directory = os.environ.get(CACHE_DIR) or os.path.join(home, "proxyless")  # noqa: PTH118  # may hold ~
    return Cache(Path(directory).expanduser(), address, node)


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
