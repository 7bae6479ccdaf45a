"""One demo: its folder, its processes, and what the scenarios do with them."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from . import kubernetes
from .addresses import ONLY, Addresses
from .control import ControlPlane, Load
from .intended import Intended, shipped
from .processes import DemoError, Process, end
from .sabotage import NOTHING, Sabotage
from .seen import Sight, UnseenError, fetch, look, metrics
from .shop import APPS, NAMESPACE, Instance, placed

if TYPE_CHECKING:
    from ..xds.controlplane.authority.rotating import Step

START_S = 60.0
LOOK_S = 0.05
CERTIFICATE_S = 40.0
"""Lifetime of the services' certificates with `--mtls`: short, so that they are seen to be replaced."""

CONTROL_PLANE = "control plane"
LOAD = "load generator"


class Demo:
    """`with Demo() as demo: demo.start()`; everything is gone after it, however it ends."""

    def __init__(self, sabotage: Sabotage = NOTHING, *, one_address: bool = False, mtls: bool = False) -> None:
        self.mtls = mtls
        self.certificate_s = CERTIFICATE_S
        self.intended = Intended(shipped(mtls=mtls))
        self.sabotage = sabotage
        self.addresses = Addresses(one=one_address)
        self.instances: tuple[Instance, ...] = placed(self.addresses)
        self.port = self.addresses.port(ONLY)
        self.tls_port = self.addresses.port(ONLY)
        self.directory = Path()
        self.processes: dict[str, Process] = {}
        self.load: Load

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="proxyless-demo-"))
        self.folder.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            end(self.processes.values())
        finally:
            self.addresses.close()
            shutil.rmtree(self.directory, ignore_errors=True)
            _forget_sockets()

    # -- what there is -------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """What the control plane serves."""
        return self.directory / "istio"

    @property
    def xds(self) -> str:
        """The control plane's address."""
        return f"xds://{ONLY}:{self.port}"

    @property
    def authority(self) -> Path:
        """Where the development authority keeps its key and roots."""
        return self.directory / "ca"

    @property
    def control_plane(self) -> ControlPlane:
        return ControlPlane(self.processes[CONTROL_PLANE])

    def instance(self, name: str) -> Instance:
        return next(each for each in self.instances if each.name == name)

    @property
    def storefront(self) -> Instance:
        return self.instance("storefront")

    # -- start ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Everything, and wait until it serves.

        Raises:
            DemoError: something does not start; the text holds the end of its log.
        """
        self.write(
            "kubernetes.yaml", kubernetes.text_of(self.instances, one_address=self.addresses.one, mtls=self.mtls)
        )
        for name, text in self.sabotage.files(self.intended.texts).items():
            self.write(name, text)
        serve = ["-m", f"{__package__}.family", "serve", str(self.folder)]
        self._run(CONTROL_PLANE, [*serve, "--listen", f"{ONLY}:{self.port}", "--json", *self._secured()], {})
        for each in self.instances:
            self._run(each.name, *self._service(each))
        self.load = Load(self._run(LOAD, ["-m", f"{__package__}.load", self.storefront.url], {}, listened=True))
        self.load.listen()
        for each in self.instances:
            self.await_service(each)

    def _secured(self) -> list[str]:
        """Tokens for all services and a root for all of them to trust; what the control plane has to know of that."""
        if not self.mtls:
            return []
        from ..xds.controlplane.authority.callers import Caller
        from ..xds.controlplane.authority.directory import Directory
        from ..xds.controlplane.authority.tokens import add, new_token

        table = self.directory / "tokens.jsonl"
        for app in APPS:
            token, line = new_token(Caller(NAMESPACE, app), None)
            add(table, line)
            self._token(app).touch(mode=0o600)
            self._token(app).write_text(token, encoding="ascii")
        Directory(self.authority, time.time())
        return ["--tls-listen", f"{ONLY}:{self.tls_port}", "--ca-dir", str(self.authority), "--tokens", str(table)]

    def _token(self, app: str) -> Path:
        return self.directory / f"{app}.token"

    def rotate(self, step: Step) -> None:
        """A step from the authority's root to the next; the control plane's process follows the files."""
        from ..xds.controlplane.authority.directory import Directory

        Directory(self.authority, time.time()).rotate(step, time.time())

    def _run(self, name: str, arguments: list[str], environ: dict[str, str], *, listened: bool = False) -> Process:
        environ = {**environ, "PROXYLESS_CACHE_DIR": str(self.directory / "cache")}
        process = Process(name, arguments, environ, self.directory / f"{name.replace(' ', '-')}.log", listened)
        self.processes[name] = process
        process.start()
        return process

    def _service(self, instance: Instance) -> tuple[list[str], dict[str, str]]:
        role = instance.role
        arguments = ["-m", f"{__package__}.service", role.app, "--name", role.name, "--version", role.version]
        arguments += ["--listen", f"{instance.host}:{instance.port}", "--admin", f"{instance.host}:{instance.admin}"]
        arguments += ["--family", *(["--fails"] if role.fails else []), *(["--mtls"] if self.mtls else [])]
        environ = {
            "PROXYLESS_XDS": self.xds,
            "POD_NAME": role.name,
            "POD_NAMESPACE": NAMESPACE,
            "INSTANCE_IP": instance.host,
            "SERVICE_ACCOUNT": role.app,
            "ISTIO_METAJSON_LABELS": json.dumps(kubernetes.labels_of(role, mtls=self.mtls)),
            **(self._identity(role.app) if self.mtls else {}),
            **self.sabotage.environ(role.name),
        }
        return arguments, environ

    def _identity(self, app: str) -> dict[str, str]:
        """The control plane is then spoken to by TLS, with a token that also brings a certificate."""
        return {
            "PROXYLESS_XDS": f"xds+tls://{ONLY}:{self.tls_port}",
            "PROXYLESS_ROOT_CERT": str(self.authority / "root-cert.pem"),
            "PROXYLESS_TOKEN_FILE": str(self._token(app)),
            "SECRET_TTL": f"{self.certificate_s:g}s",
        }

    def await_service(self, instance: Instance) -> None:
        """Raises:
        DemoError: it has ended, or takes too long.
        """

        def ready() -> bool:
            process = self.processes[instance.name]
            if process.ended is not None:
                raise DemoError(f"{instance.name} has ended with status {process.ended}:\n{process.said()}")
            try:
                fetch(f"{instance.admin_url}/ready", patience_s=1.0)
            except UnseenError:
                return False
            return True

        if not self.until(ready, START_S):
            raise DemoError(f"{instance.name} is not ready:\n{self.processes[instance.name].said()}")

    # -- what scenarios do ---------------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> float:
        """A file of the folder, all of it at once; the moment it was there."""
        new = self.folder / f".{name}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.folder / name)
        return time.monotonic()

    def look(self) -> Sight:
        """All services now."""
        return look(self.instances)

    def until(self, true: Callable[[], bool], patience_s: float) -> bool:
        """Whether it became true in time."""
        deadline = time.monotonic() + patience_s
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def logs(self) -> str:
        """The end of what each process said, of those that said anything."""
        said = {each.name: each.said() for each in self.processes.values()}
        return "\n".join(f"--- log of {name}\n{text}" for name, text in said.items() if text)

    def gate(self, name: str, *, opened: bool) -> None:
        """Opens or closes the gate of a slow handler."""
        fetch(f"{self.instance(name).admin_url}/gate/{'open' if opened else 'close'}", "POST")

    def connected(self) -> int:
        """How many services say that they are connected to the control plane."""
        return sum(metrics(each).sum("proxyless_control_plane_connected") > 0 for each in self.instances)


def _forget_sockets() -> None:
    """The sockets of what was killed go, as those of what ended have; their directory goes if nobody else uses it."""
    from ..status_socket import directories, forget_dead

    for each in directories():
        try:
            forget_dead(each)
            each.rmdir()
        except OSError:
            continue  # in use, or not there
