"""A process's part in the mesh: the one place that assembles everything.

A `Mesh` has a source of configuration (a control plane over ADS, a folder of YAML, a recording), a control thread that
follows it, and a `Runtime` that the suites decide by. `default_mesh` is the one process-wide mesh, made from the
environment when a suite is used without one: the only mutable state that a module of proxyless holds.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic, time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._dials import Dials
from ._fitness import refuse_eventlet
from ._identity import FirstCertificate, OwnIdentity
from ._options import options_of
from ._securing import give_tls
from ._services import give_services
from ._variables import DISABLE, switched
from ._watched import give_telemetry
from .beginnings import (
    alone,
    bootstrap_from,
    cache_at,
    check_arguments,
    folder_plane,
    grpc_link,
    own_node,
    ticking,
    weakly,
)
from .errors import ConfigurationError, NotReadyError
from .governance.runtime import Random, Runtime
from .xds.identity.bootstrap import Bootstrap, BootstrapError, Node
from .xds.model.resource import ResourceType
from .xds.model.snapshot import Snapshot

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .documents import Subject
    from .governance.telemetry.facts import Facts
    from .observing import Observers
    from .xds.graph import Graph
    from .xds.identity.identity import Identity
    from .xds.transport.control import Connection, Control
    from .xds.transport.link import Link

log = logging.getLogger("proxyless")


class Mesh(Dials):
    """Discovery, routing, balancing and limits for the suites that are given it.

    Made from an address (`xds://host:port`, or `xds+tls://` with `root_cert` and `token_file`), from the environment of
    a sidecar (`from_env`), from a folder of Istio and Kubernetes YAML (`from_config`) or from a recording
    (`from_recorded`). It starts at once and in the background; `wait_ready` waits for the first complete configuration.

    Args:
        url: where the control plane is.
        node: who this workload is; by default what the environment says.
        root_cert: path of the certificate authority of an `xds+tls` control plane; by default the system's.
        token_file: path of the bearer token, read anew for each stream.
        delta: incremental xDS instead of state of the world.
        registry: where metrics go; by default prometheus_client's own. False: no metrics.
        cache_dir: where the last good configuration is kept; False: nowhere.
        allow_unenforced: filters (name or type URL) that may go unenforced where they cannot be enforced.
        passthrough_until_ready: let requests through until the first configuration has come.
        identity: the workload's certificate (`Identity.from_files`); False: none. By default the authority at `url`
            gives one where there are TLS and a token, else what the environment says, unless `node` is given.
        policies: own policies, fallbacks and switches for all suites (docs/composition.md).

    Raises:
        ConfigurationError: an argument makes no sense.
    """

    def __init__(
        self,
        url: str,
        *,
        node: Node | None = None,
        root_cert: str | None = None,
        token_file: str | None = None,
        delta: bool = False,
        registry: CollectorRegistry | bool | None = None,
        cache_dir: str | os.PathLike[str] | bool = True,
        allow_unenforced: Collection[str] = (),
        passthrough_until_ready: bool = False,
        identity: Identity | bool = True,
        policies: Iterable[object] = (),
    ) -> None:
        bootstrap = bootstrap_from(url, node, root_cert, token_file, delta=delta)
        self._setup(
            lambda: grpc_link(bootstrap),
            bootstrap,
            registry=registry,
            cache_dir=cache_dir,
            allow_unenforced=allow_unenforced,
            passthrough_until_ready=passthrough_until_ready,
            identity=identity,
            policies=policies,
        )

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """A mesh from the environment that an Istio sidecar would have (docs/bootstrap.md).

        Options: `registry`, `cache_dir`, `allow_unenforced`, `passthrough_until_ready`, `identity` and
        `policies`, as of `Mesh`.

        Raises:
            ConfigurationError: a variable or file makes no sense, or a sidecar is beside this process.
        """
        from .xds.identity.environment import from_environment

        try:
            bootstrap = from_environment()
        except BootstrapError as error:
            raise ConfigurationError(str(error)) from error
        alone(bootstrap)
        return cls._connect(bootstrap, **options)

    @classmethod
    def _connect(cls, bootstrap: Bootstrap, **options: Any) -> Self:
        """For commands, too: a mesh with options that are nobody else's business."""
        mesh = cls.__new__(cls)
        mesh._setup(lambda: grpc_link(bootstrap), bootstrap, **options)
        return mesh

    @classmethod
    def from_config(
        cls,
        directory: str | os.PathLike[str],
        *,
        node: Node | None = None,
        mesh_config: str | os.PathLike[str] | None = None,
        ca_dir: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Self:
        """A mesh with a control plane of its own on a folder of Istio and Kubernetes YAML, followed as it changes.

        `mesh_config` is a file with Istio's MeshConfig, followed too; by default the folder's ConfigMap `istio` counts.
        `ca_dir` is the folder of a development authority (made if it is missing), by whose certificates processes that
        share it know each other. Options: `registry`, `allow_unenforced`, `passthrough_until_ready`, `identity` and
        `policies`, as of `Mesh`.

        Raises:
            ConfigurationError: a folder, or that file, cannot be read.
        """
        from .xds.controlplane import LocalLink

        bootstrap = Bootstrap(str(directory), node if node is not None else own_node(), delta=True)
        plane = folder_plane(directory, mesh_config)
        if ca_dir is not None:
            from ._authority import own_authority

            try:
                bootstrap = replace(bootstrap, identity=own_authority(ca_dir, plane, bootstrap.node))
            except ConfigurationError:
                plane.close()
                raise
        mesh = cls.__new__(cls)
        faults = lambda: [str(each) for each in plane.status().faults]  # noqa: E731  # keeps the plane, not the mesh
        try:
            mesh._setup(lambda: LocalLink(plane), bootstrap, cache_dir=False, faults=faults, **options)
        except BaseException:
            plane.close()
            raise
        mesh._on_close.append(plane.close)
        return mesh

    @classmethod
    def from_recorded(
        cls,
        source: str | os.PathLike[str],
        *,
        node: Node | None = None,
        until: int | None = None,
        rewrite: Callable[[Graph], None] | None = None,
        **options: Any,
    ) -> Self:
        """A mesh that stands where a recorded stream left it (a folder or .tar.gz of discovery responses).

        Raises:
            ConfigurationError: there is nothing recorded there.
        """
        from .recorded import Recording

        recording = Recording(Path(source), until)
        if rewrite is not None:
            rewrite(recording.graph)
        mesh = cls.__new__(cls)
        mesh._setup(None, Bootstrap(str(source), node or recording.node or own_node()), cache_dir=False, **options)

        def subscribe(type_: ResourceType, names: Collection[str]) -> None:
            snapshot = recording.want(type_, names)
            if snapshot is not mesh.snapshot:  # else whoever asks would look again for ever
                mesh.runtime.publish(snapshot)

        mesh.runtime.subscribe = subscribe
        mesh._graph = recording.graph
        mesh.runtime.publish(recording.graph.snapshot)
        return mesh

    @classmethod
    def _from_snapshot(cls, snapshot: Snapshot, **options: Any) -> Self:
        """For measurements: a mesh on a snapshot that somebody else made."""
        mesh = cls.__new__(cls)
        mesh._setup(None, Bootstrap("snapshot", own_node()), cache_dir=False, registry=False, **options)
        mesh.runtime.publish(snapshot)
        return mesh

    def _setup(
        self,
        make_link: Callable[[], Link] | None,
        bootstrap: Bootstrap,
        *,
        registry: CollectorRegistry | bool | None = None,
        cache_dir: str | os.PathLike[str] | bool = True,
        allow_unenforced: Collection[str] = (),
        passthrough_until_ready: bool = False,
        identity: Identity | bool = True,
        policies: Iterable[object] = (),
        rng: Random | None = None,
        clock: Callable[[], float] = monotonic,
        lasting_clock: Callable[[], float] | None = None,
        overrides: dict[str, str] | None = None,
        status_socket: bool = True,
        faults: Callable[[], Sequence[str]] = tuple,
        checks: bool = True,
    ) -> None:
        refuse_eventlet()
        check_arguments(bootstrap, registry)
        self.node = bootstrap.node
        self._bootstrap = bootstrap
        self._make_link = make_link
        self._cache_dir = cache_dir
        self._on_close: list[Callable[[], None]] = []
        self._identity = OwnIdentity(bootstrap, identity, weakly(self, Mesh._identity_changed))
        self._faults = faults
        self._lock = threading.Lock()
        self._control: Control | None = None
        self._first: FirstCertificate | None = None
        self._closed = False
        options = options_of(
            bootstrap.node,
            allow_unenforced=allow_unenforced,
            passthrough_until_ready=passthrough_until_ready,
            overrides=overrides,
            policies=policies,
        )
        self.runtime = Runtime(options, clock, rng, self._subscribe, lasting_clock=lasting_clock)
        give_services(self.runtime)
        if status_socket:  # else nobody is governed: a command looks
            self._on_close.append(give_telemetry(self.runtime))
        give_tls(self.runtime, self._identity.get)
        self._cache_path: str | None = None
        self._graph: Graph | None = None
        self._connection: Connection | None = None
        self._observers = self._observe(registry, quiet=not status_socket)
        self._observers.watch(self.runtime, checks=checks)
        self._finalizer = weakref.finalize(self, self._observers.let_go)
        self._finalizer.atexit = False
        try:
            self._start()
        except BaseException:
            self._identity.close()
            self._observers.close()
            raise
        if status_socket:
            self._observers.serve(self._subject)
        os.register_at_fork(after_in_child=weakly(self, Mesh._after_fork))

    @property
    def identity(self) -> Identity:
        """Who this workload is to its peers: its certificate, what peers are verified by, certificates in files."""
        return self._identity.get()

    # -- life ----------------------------------------------------------------------------------------------------

    def wait_ready(self, timeout: float | None = None) -> None:
        """Wait until the first complete configuration (all listeners, all clusters) is in force.

        Raises:
            NotReadyError: `timeout` seconds have passed without it, or the mesh was closed.
        """
        deadline = None if timeout is None else monotonic() + timeout
        changes = self.runtime.changes
        while True:
            seen = changes.generation
            if self.ready:
                return
            if self._closed:
                raise NotReadyError(f"no complete configuration had come from {self._bootstrap.address} at close")
            left = None if deadline is None else deadline - monotonic()
            if (left is not None and left <= 0) or not changes.wait(seen, left):
                raise NotReadyError(self._not_ready(timeout))

    def _not_ready(self, timeout: float | None) -> str:
        missing, connection = self._identity.missing, self._connection
        reason = connection.error if connection is not None else ""
        if missing and not reason and connection is not None and connection.last_update is not None:
            return f"no certificate within {timeout} s: {missing}"
        where = f"{self._bootstrap.address}: {reason or 'nothing complete has come'}"
        besides = f"; no certificate either: {missing}" if missing else ""
        return f"no complete configuration within {timeout} s from {where}{besides}"

    @property
    def ready(self) -> bool:
        """Whether a complete configuration is in force, and a certificate there where one is to come."""
        return self.runtime.plan.snapshot.complete and self._identity.settled

    @property
    def snapshot(self) -> Snapshot:
        """The configuration in force."""
        return self.runtime.plan.snapshot

    def close(self) -> None:
        """End the stream and close idle connections; calls under way finish, unless they wait for configuration."""
        with self._lock:
            self._closed = True
            control, self._control = self._control, None
        if control is not None:
            control.close()
        for each in reversed(self._on_close):
            each()
        self._on_close.clear()
        self._identity.close()
        self._finalizer.detach()
        self._observers.close()
        self.runtime.close()

    def drain(self) -> None:
        """Send clients elsewhere, from now on: each response over HTTP/1 is the last of its connection, and the
        readiness of `proxyless.probes` fails. Requests are served as before; a server ends connections of HTTP/2 and
        gRPC when it is stopped. As `POST /drain` of Istio's agent.
        """
        self.runtime.draining = True

    def status(self) -> dict[str, Any]:
        """How things stand: resources, versions, rejects, endpoints, thresholds, the control plane (docs/status.md)."""
        from .documents import status

        return status(self._subject)

    def dump(self, *, typed: bool = False, kind: str | None = None, name: str | None = None) -> dict[str, Any]:
        """Every resource as JSON in Envoy's spelling, secrets redacted (docs/status.md).

        `typed`: as objects of envoy-data-plane's classes instead. `kind` (`Cluster`, `Listener` ...) and `name` choose.

        Raises:
            ConfigurationError: `typed`, and envoy-data-plane is not installed (the extra `proxyless[typed]`).
        """
        from .documents import dump

        try:
            return dump(self._subject, typed=typed, type_=kind, name=name)
        except ImportError as error:
            raise ConfigurationError(f"dump(typed=True) needs the extra proxyless[typed]: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- inside --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        from .xds.transport.control import Control
        from .xds.transport.link import LinkError

        try:
            link = self._make_link() if self._make_link is not None else None
        except LinkError as error:
            raise ConfigurationError(str(error)) from error
        self._identity.start()  # after the link, which sees whether this process is fit for grpc
        if link is None:
            return
        first = FirstCertificate(self.runtime.publish, self._identity, monotonic)
        cache = cache_at(self._cache_dir, link.address, self.node.id)
        self._cache_path = str(cache.path) if cache is not None else None
        self._control = Control(
            link,
            self.node.message(),
            first,
            delta=self._bootstrap.delta,
            busy=self.runtime.busy,
            uniform=self.runtime.uniform,
            idle=self.runtime.idle,
            cache=cache,
            on_tick=ticking(self.runtime, self._observers, first.look),
            on_roots=self._identity.add_roots,
            secrets=self._identity.keeper,
        )
        self._first, self._graph, self._connection = first, self._control.graph, self._control.connection
        self.runtime.behind = self._control.connection.trouble
        self._control.start()

    def _subscribe(self, type_: ResourceType, names: Iterable[str]) -> None:
        control = self._control
        if control is not None:
            control.want(type_, names)

    def _identity_changed(self) -> None:
        """By any thread: those who wait for a certificate look again."""
        control, first = self._control, self._first
        if control is not None and first is not None:
            control.soon(first.look)
        self.runtime.changes.advance()

    def _after_fork(self) -> None:
        """A child starts its own stream; sockets, locks and counts of the parent's are not its own."""
        self._lock = threading.Lock()
        self.runtime.reset()
        self._identity.forked()
        if not self._closed:
            self._observers.forked()
            self._start()

    def _observe(self, registry: CollectorRegistry | bool | None, *, quiet: bool) -> Observers:
        from .observing import Observers

        observers = Observers(self._facts_unless_gone(), self.runtime.clock, self.node, registry, quiet=quiet)
        if observers.metrics is not None:
            self.runtime.add_listener(observers.metrics)
        return observers

    def _facts_unless_gone(self) -> Callable[[], Facts | None]:
        reference = weakref.ref(self)

        def facts() -> Facts | None:
            mesh = reference()
            return None if mesh is None else mesh._facts()

        return facts

    def _facts(self) -> Facts:
        from . import __version__
        from .governance.telemetry.facts import Facts

        return Facts(self.runtime, self._graph, self._connection, time(), __version__, self._identity.state())

    @property
    def _subject(self) -> Subject:
        from .documents import Subject

        options = self.runtime.options
        return Subject(
            self.node,
            self._bootstrap.address,
            {
                "delta": self._bootstrap.delta,
                "tls": self._bootstrap.tls,
                "metrics": self._observers.metrics is not None,
                "cache": self._cache_path,
                "allow_unenforced": sorted(options.allow_unenforced),
                "passthrough_until_ready": options.passthrough_until_ready,
                "search": list(options.search),
                "ungoverned": sorted(options.ungoverned),
                "disabled": switched(DISABLE),
                "warnings": list(self._bootstrap.warnings),
            },
            self._facts_unless_gone(),
            self._faults,
        )


_default_lock = threading.Lock()
_default: Mesh | None = None


def default_mesh() -> Mesh:
    """The one process-wide mesh, made from the environment when it is first asked for."""
    global _default  # the one process-wide mesh
    with _default_lock:
        if _default is None:
            _default = Mesh.from_env()
        return _default


def runtime_of(mesh: Mesh | None) -> Runtime | None:
    """What a suite governs by; None where governance is switched off (PROXYLESS_DISABLE=1)."""
    if switched(DISABLE):
        return None
    refuse_eventlet()  # it may have come after the mesh
    if mesh is not None and not isinstance(mesh, Mesh):
        raise TypeError(f"mesh={mesh!r} is not a proxyless.Mesh, such as Mesh.from_env() or Mesh.from_config(FOLDER)")
    return (mesh if mesh is not None else default_mesh()).runtime
