"""A mesh in a test's hand: configuration from text, a clock that stands still, choices that repeat."""

from __future__ import annotations

import random
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from .._fitness import refuse_no_port
from .._services import look_up_at_once
from ..beginnings import log_note
from ..cli._url import parse_url
from ..errors import ConfigurationError
from ..governance.cluster import ClusterRuntime
from ..governance.explain import document, dry_call
from ..mesh import Mesh
from ..xds.controlplane import FolderSource, InlineLink, Plane
from ..xds.controlplane.api.kubernetes import Pod
from ..xds.identity.bootstrap import Bootstrap, BootstrapError, Node
from ..xds.model.resource import ResourceType
from ..xds.transport.control import Control
from ..xds.transport.dns import DnsAtOnce
from .decisions import Decisions, Requests
from .forcing import Forced, Served, names_of, object_of_faults, objects_of_served, service_named, written

OWN_IP = "192.0.2.1"
"""No endpoint's: else the test would be the Pod at that address."""

FORCED = "what the test serves and forces.yaml"


class Clock:
    """Seconds that pass when a test says so: of ejections, token buckets, slow start, names that DNS has answered."""

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        if seconds < 0:
            raise ValueError(f"advance({seconds}): time does not go back")
        self._now += seconds


class MeshUnderTest(Mesh):
    """A `Mesh` on the YAML that a test gives it, to be handed to any suite.

    Everything happens in the thread that calls, and at once: what `config` says is in force when it returns.
    `folder`: an empty one of its own. Further arguments say who it is, as of `proxyless.Node`; what its choices are
    drawn from; and the policies of all suites, as of `Mesh`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        app: str = "test",
        namespace: str = "default",
        ip: str = OWN_IP,
        labels: Mapping[str, str] | None = None,
        service_account: str = "",
        locality: str | None = None,
        seed: int = 1,
        policies: Iterable[object] = (),
    ) -> None:
        if any(folder.iterdir()):
            raise ConfigurationError(
                f"{folder} is not empty, and this mesh would empty it: give it a folder of its own"
            )
        pod = f"{app}-0"  # not the machine's name: a run repeats anywhere
        try:
            node = Node(app, namespace, ip, pod, service_account, labels or {}, locality or None)
        except BootstrapError as error:
            raise ConfigurationError(str(error)) from error
        self.clock = Clock()
        self.decisions = Decisions()
        self.requests = Requests()
        self._folder = folder
        self._random = random.Random(seed)
        self._given: list[str | Path] = []
        self._served: list[Served] = []
        self._forced: list[Forced] = []
        self._plane = Plane(FolderSource(folder), on_note=log_note)
        self._link = InlineLink(self._plane)
        self._setup(
            None,
            Bootstrap("test", node, delta=True),
            registry=False,
            cache_dir=False,
            identity=False,
            policies=policies,
            rng=self._random,
            lasting_clock=self.clock,
            status_socket=False,
            checks=False,
        )
        look_up_at_once(self.runtime)
        self.runtime.add_listener(self.decisions)
        self.runtime.add_listener(self.requests)
        self._on_close.append(self._plane.close)

    # -- in the test's hand --------------------------------------------------------------------------------------

    def config(self, *sources: str | Path) -> None:
        """From now on this is the configuration: texts of YAML, or paths of files and folders.

        Raises:
            ConfigurationError: something in it is refused; the configuration before stays in force.
        """
        for each in sources:
            if isinstance(each, str) and each and not any(mark in each for mark in ":\n{"):
                raise ConfigurationError(f"config({each!r}): a text is YAML; a file or folder is a pathlib.Path")
        self._change(given=list(sources))

    def serve(
        self,
        service: str,
        port: int,
        *,
        address: str = "127.0.0.1",
        name: str = "",
        protocol: str = "http",
        **labels: str,
    ) -> str:
        """Add a server that listens here to a service of the cluster (`catalog`, `catalog.shop`) as an endpoint with
        these labels; returns its address, `127.0.0.1:8080`. A service that no configuration has gets port 80, of this
        `protocol` (`http`, `grpc`, `tcp` ...). `name`: what `eject` may call it.

        Raises:
            ConfigurationError: it is no such service, or one without a selector.
            TypeError, ValueError: `port` is none.
        """
        refuse_no_port(port)
        short, namespace = service_named(service, self.node.namespace)
        known_as = name or f"{short}-test-{len(self._served)}"
        made = Served(short, namespace, address, port, known_as, labels, protocol)
        self._change(served=[*self._served, made])
        return str(made)

    def seed(self, seed: int) -> None:
        """Choices from now on are drawn from this seed: weights, endpoints, shares of faults."""
        self._random.seed(seed)

    def fault(
        self, host: str, *, abort: int | None = None, delay_s: float | None = None, percent: float = 100.0
    ) -> None:
        """Fail or delay calls to a host as Envoy's fault filter does (flags FI and DI), in place of the fault that was
        forced there before; without `abort` and `delay_s` end it. A delay is waited for in real time."""
        if abort is not None and not 200 <= abort < 600:
            raise ConfigurationError(f"fault({host!r}, abort={abort}): a status is a number from 200 to 599")
        forced = [each for each in self._forced if each.host != host]
        if abort is not None or delay_s is not None:
            forced.append(Forced(host, names_of(host, self.node.namespace), abort, delay_s, percent))
        self._change(forced=forced)

    def eject(self, endpoint: str) -> None:
        """Take an endpoint out of rotation, in every cluster that has it: `address:port`, the name that it was served
        by, or that of a Pod. Where the cluster has outlierDetection it comes back by the clock, else by `uneject`.

        Raises:
            ConfigurationError: no cluster has such an endpoint.
        """
        self._turn(endpoint, out=True)

    def uneject(self, endpoint: str) -> None:
        """Take it back."""
        self._turn(endpoint, out=False)

    def explain(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Where a request would go and why, as `proxyless explain --json` says it; nothing is sent, and no call's draw
        is taken.

        Raises:
            ConfigurationError: it is no http:// or https:// URL.
        """
        pairs = list((headers or {}).items())
        state = self._random.getstate()
        call, missing = dry_call(self.runtime, method, parse_url(url), pairs)
        self._random.setstate(state)
        asked = {"method": method, "url": url, "headers": [list(each) for each in pairs]}
        return document(call, asked, missing)

    # -- inside --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._working = RLock()  # a forked child has its own
        self._control = control = Control(
            self._link,
            self.node.message(),
            self.runtime.publish,
            delta=True,
            uniform=self.runtime.uniform,
            dns=DnsAtOnce,
        )
        self._graph, self._connection = control.graph, control.connection
        self._work_off()

    def _subscribe(self, type_: ResourceType, names: Iterable[str]) -> None:
        super()._subscribe(type_, names)
        self._work_off()

    def _work_off(self) -> None:
        with self._working:
            control = self._control
            if control is not None:
                control.work_off()

    def _change(
        self,
        given: list[str | Path] | None = None,
        served: list[Served] | None = None,
        forced: list[Forced] | None = None,
    ) -> None:
        """Put in force what the test says now; what is refused changes nothing."""
        with self._working:
            before = self._given, self._served, self._forced
            self._given = self._given if given is None else given
            self._served = self._served if served is None else served
            self._forced = self._forced if forced is None else forced
            try:
                self._write_down()
            except ConfigurationError:
                self._given, self._served, self._forced = before
                self._write_down()
                raise
            finally:
                self._link.push()
                self._work_off()

    def _write_down(self) -> None:
        self._copy()
        self._poll()
        objects = objects_of_served(self._served, self._plane.state.world)
        if self._forced:
            objects.append(object_of_faults(self._forced))
        self._write(objects)
        self._poll()

    def _copy(self) -> None:
        for old in self._folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            else:
                old.unlink()
        for number, each in enumerate(self._given, 1):
            if isinstance(each, str):
                name = "config.yaml" if len(self._given) == 1 else f"config{number}.yaml"
                (self._folder / name).write_text(textwrap.dedent(each), encoding="utf-8")
                continue
            place = self._folder / each.name
            place = place.with_name(f"{number}-{each.name}") if place.exists() else place
            try:
                if each.is_dir():
                    shutil.copytree(each, place)
                else:
                    shutil.copyfile(each, place)
            except OSError as error:
                raise ConfigurationError(f"cannot read {each}: {error.strerror or error}") from error

    def _write(self, objects: list[dict[str, Any]]) -> None:
        (self._folder / FORCED).write_text(written(objects), encoding="utf-8")

    def _poll(self) -> None:
        self._plane.poll()
        faults = self._plane.state.faults
        if faults:
            raise ConfigurationError("\n".join(map(str, faults)))

    def _turn(self, endpoint: str, *, out: bool) -> None:
        found = False
        for cluster in self._clusters():
            for host in cluster.hosts:
                if self._is(endpoint, host.address):
                    found = True
                    monitor = host.state.monitor
                    if monitor is None:
                        host.state.ejected = out
                        cluster.state.health_changed()
                    elif out:
                        monitor.detector.eject(monitor)
                    else:
                        monitor.detector.uneject(monitor)
        if not found:
            known = sorted({host.address for cluster in self._clusters() for host in cluster.hosts})
            raise ConfigurationError(f"no cluster has an endpoint {endpoint!r}; there are {', '.join(known) or 'none'}")

    def _clusters(self) -> list[ClusterRuntime]:
        """All of them, with their endpoints."""
        runtime, names = self.runtime, list(self.snapshot.clusters)
        runtime.subscribe(ResourceType.CLUSTER, names)
        found = (runtime.plan.cluster(name) for name in names)
        return [each for each in found if isinstance(each, ClusterRuntime) and not each.original_dst]

    def _is(self, endpoint: str, address: str) -> bool:
        if endpoint == address:
            return True
        for each in self._served:
            if each.name == endpoint:
                return str(each) == address
        for ref, known in self._plane.state.world.by_ref.items():
            if ref.kind == "Pod" and ref.name == endpoint and isinstance(known.spec, Pod):
                return address.rpartition(":")[0].strip("[]") == known.spec.status.pod_ip
        return False
