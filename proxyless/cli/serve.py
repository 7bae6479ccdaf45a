"""`proxyless serve`: the embedded control plane on a folder of YAML, or on a cluster; it says what it serves and what
changes."""

from __future__ import annotations

import json
import logging
import resource
import signal
import time
from contextlib import ExitStack, suppress
from typing import Any

import click

from ..errors import ConfigurationError
from ._authority import Said
from ._cluster import cluster, until_synced
from ._controller import ControllerSaid
from ._controller import options as controller_options
from ._ending import Ending
from ._monitor import Monitor
from ._plane_status import status_socket
from ._serving import Change, differences, opening, shown, shown_opening
from ._webhook import WebhookSaid
from ._webhook import options as webhook_options

LISTEN = "127.0.0.1:15010"
LOOK_S = 0.05
"""Seconds between two looks at what the control plane has in force; it follows the folder by itself."""

ENDING = (signal.SIGINT, signal.SIGTERM)


@click.command(short_help="the embedded control plane on a folder of YAML, or on a cluster")
@click.argument("directory", metavar="DIR", required=False)
@click.option("--kubernetes", is_flag=True, help="what a Kubernetes API server holds, in place of DIR")
@click.option("--listen", default=LISTEN, metavar="HOST:PORT", help="where to serve ADS, plaintext", show_default=True)
@click.option("--mesh-config", metavar="FILE", help="Istio's MeshConfig; by default DIR's ConfigMap istio")
@click.option("--stock-envoy", is_flag=True, help="leave out the istio.* filters, which only Istio's Envoy has")
@click.option("--debounce", default=10, metavar="MS", help="how long a change must be the last one", show_default=True)
@click.option("--debounce-max", default=300, metavar="MS", help="but it is not put off longer", show_default=True)
@click.option("--tls-listen", metavar="HOST:PORT", help="serve ADS over TLS there too, and the development authority")
@click.option("--mtls-listen", metavar="HOST:PORT", help="the same for clients that show their certificate")
@click.option("--ca-dir", metavar="DIR", help="where the authority's key and root are; made if it is missing")
@click.option("--tokens", metavar="FILE", help="the table of tokens that are let in (`proxyless token`)")
@click.option("--token-review", is_flag=True, help="ask a Kubernetes API server about tokens")
@click.option("--kubeconfig", metavar="FILE", help="how to reach the API server; by default as a pod, else as kubectl")
@click.option("--without", multiple=True, metavar="KIND", help="do not read a kind of the cluster")
@click.option("--root-namespace", default="istio-system", metavar="NAME", help="with the mesh's ConfigMap `istio`")
@click.option("--revision", metavar="NAME", help="the mesh's ConfigMap is `istio-NAME`")
@click.option("--server-name", multiple=True, metavar="NAME", help="one more name in the server's own certificate")
@webhook_options
@controller_options
@click.option("--status-listen", metavar="HOST:PORT", help="serve /ready, /status and /metrics over HTTP there")
@click.option(
    "--certificate-ttl",
    type=click.FloatRange(min=1),
    default=86_400.0,
    metavar="SECONDS",
    show_default=True,
    help="lifetime of certificates that ask for none",
)
@click.option("--json", "as_json", is_flag=True, help="print JSON lines: what is served, then every change")
def command(
    directory: str | None,
    kubernetes: bool,
    listen: str,
    mesh_config: str | None,
    stock_envoy: bool,
    debounce: int,
    debounce_max: int,
    tls_listen: str | None,
    mtls_listen: str | None,
    ca_dir: str | None,
    tokens: str | None,
    token_review: bool,
    kubeconfig: str | None,
    without: tuple[str, ...],
    root_namespace: str,
    revision: str | None,
    server_name: tuple[str, ...],
    webhook_listen: str | None,
    webhook_cert: str | None,
    webhook_key: str | None,
    webhook_strict: bool,
    status_listen: str | None,
    certificate_ttl: float,
    as_json: bool,
    **controller: Any,
) -> int:
    """Serve the Istio and Kubernetes objects in DIR over ADS until it is interrupted, and follow every change.

    A file that becomes wrong is refused with file, line and field; what it said before stays in force. With
    --kubernetes the objects are those of a cluster; nobody is served until every kind of them has been read.

    Exit status: 0 ended by SIGINT or SIGTERM, 2 the folder or FILE cannot be read or the address is in use.
    """
    if kubernetes == (directory is not None):
        raise ConfigurationError("one of DIR and --kubernetes says where the objects are")
    if without and not kubernetes:
        raise ConfigurationError("--without KIND is for --kubernetes")
    if revision and not kubernetes:
        raise ConfigurationError("--revision NAME is for --kubernetes")
    if kubernetes and mesh_config is not None:
        raise ConfigurationError(f"--mesh-config is for DIR: in a cluster the ConfigMap {root_namespace}/istio has it")
    webhook_said = WebhookSaid(webhook_listen, webhook_cert, webhook_key, webhook_strict)
    webhook_said.judge()
    controller_said = ControllerSaid(**controller)
    controller_said.judge(kubernetes=kubernetes, ca_dir=ca_dir, webhook=webhook_listen, webhook_cert=webhook_cert)
    from .. import __version__
    from ..xds.controlplane import FolderSource, Plane, Source, SourceError
    from ..xds.controlplane.identifier import identifier
    from ..xds.controlplane.plane import Debounce
    from ..xds.controlplane.server import ServeError, serve

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _allow_many_connections()
    end = Ending()
    before = {each: signal.signal(each, lambda *_: end.set()) for each in ENDING}
    source: Source
    with ExitStack() as stack:
        for each, handler in before.items():
            stack.callback(signal.signal, each, handler)
        reading = cluster(kubeconfig, without, root_namespace, revision) if kubernetes else None
        if reading is not None:
            stack.callback(reading.close)
        monitor = Monitor(status_listen, reading) if status_listen else None
        if monitor is not None:
            stack.callback(monitor.stop)
            if not as_json:
                click.echo(f"status at {monitor.address}/status")
        try:
            if reading is not None:
                if not until_synced(reading, end):
                    return 0
                source = reading
            else:
                source = FolderSource(directory or ".", mesh_config=mesh_config)
            plane = Plane(
                source,
                stock_envoy=stock_envoy,
                debounce=Debounce(debounce / 1000, debounce_max / 1000),
                identifier=identifier(__version__),
            )
            stack.callback(plane.close)
            seen = plane.state
            said = Said(tls_listen, mtls_listen, ca_dir, tokens, token_review, kubeconfig, certificate_ttl, server_name)
            authority = said.authority(lambda: plane.state.world.mesh.trust_domain)
            server = serve(plane, listen, said.security(authority))
        except (SourceError, ServeError) as error:
            raise ConfigurationError(str(error)) from error
        stack.callback(server.stop)
        webhook = webhook_said.serve(plane, authority, said.names)
        if webhook is not None:
            stack.callback(webhook.stop)
        leading = controller_said.start(stack, kubeconfig, root_namespace, plane, authority)
        if monitor is not None:
            monitor.plane, monitor.webhook, monitor.leading = plane, webhook, leading
        stack.callback(status_socket(plane).close)
        say = _say_json if as_json else _say
        where = directory if directory is not None else (reading.url if reading is not None else "")
        document = opening(seen, where, server.address, server.tls_address, server.mutual_address)
        if webhook is not None:
            document["webhook"] = webhook.address
        click.echo(json.dumps(document) if as_json else shown_opening(document))
        while not end.wait(LOOK_S):
            state = plane.state
            if state is not seen:
                for change in differences(seen, state):
                    say(change)
                seen = state
    return 0


def _allow_many_connections() -> None:
    """Each client is a descriptor; many systems give a program a thousand unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # macOS calls a number unlimited that it does not give
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _say(change: Change) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {shown(change)}")


def _say_json(change: Change) -> None:
    document: dict[str, Any] = {"event": change.event, "time": time.time(), **change.document}
    click.echo(json.dumps(document))
