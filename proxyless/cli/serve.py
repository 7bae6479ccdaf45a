"""`proxyless serve`: the embedded control plane on a folder of YAML, which says what it serves and what changes."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from typing import Any

import click

from ..errors import ConfigurationError
from ._authority import Said
from ._serving import Change, differences, opening, shown, shown_opening

LISTEN = "127.0.0.1:15010"
LOOK_S = 0.05
"""Seconds between two looks at what the control plane has in force; it follows the folder by itself."""

ENDING = (signal.SIGINT, signal.SIGTERM)


@click.command(short_help="the embedded control plane on a folder of YAML")
@click.argument("directory", metavar="DIR")
@click.option("--listen", default=LISTEN, metavar="HOST:PORT", help="where to serve ADS, plaintext", show_default=True)
@click.option("--mesh-config", metavar="FILE", help="Istio's MeshConfig; by default DIR's ConfigMap istio")
@click.option("--stock-envoy", is_flag=True, help="leave out the istio.* filters, which only Istio's Envoy has")
@click.option("--debounce", default=20, metavar="MS", help="how long a change must be the last one", show_default=True)
@click.option("--debounce-max", default=300, metavar="MS", help="but it is not put off longer", show_default=True)
@click.option("--tls-listen", metavar="HOST:PORT", help="serve ADS over TLS there too, and the development authority")
@click.option("--mtls-listen", metavar="HOST:PORT", help="the same for clients that show their certificate")
@click.option("--ca-dir", metavar="DIR", help="where the authority's key and root are; made if it is missing")
@click.option("--tokens", metavar="FILE", help="the table of tokens that are let in (`proxyless token`)")
@click.option("--token-review", is_flag=True, help="ask a Kubernetes API server about tokens")
@click.option("--kubeconfig", metavar="FILE", help="how to reach it; by default as a pod, else as kubectl")
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
    directory: str,
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
    certificate_ttl: float,
    as_json: bool,
) -> int:
    """Serve the Istio and Kubernetes objects in DIR over ADS until it is interrupted, and follow every change.

    A file that becomes wrong is refused with file, line and field; what it said before stays in force.

    Exit status: 0 ended by SIGINT or SIGTERM, 2 the folder or FILE cannot be read or the address is in use.
    """
    from ..xds.controlplane import FolderSource, Plane, SourceError
    from ..xds.controlplane.plane import Debounce
    from ..xds.controlplane.server import ServeError, serve

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    end = threading.Event()
    before = {each: signal.signal(each, lambda *_: end.set()) for each in ENDING}
    try:
        plane = Plane(
            FolderSource(directory, mesh_config=mesh_config),
            stock_envoy=stock_envoy,
            debounce=Debounce(debounce / 1000, debounce_max / 1000),
        )
        seen = plane.state
        said = Said(tls_listen, mtls_listen, ca_dir, tokens, token_review, kubeconfig, certificate_ttl)
        server = serve(plane, listen, said.security(lambda: plane.state.world.mesh.trust_domain))
    except (SourceError, ServeError) as error:
        raise ConfigurationError(str(error)) from error
    else:
        say = _say_json if as_json else _say
        document = opening(seen, directory, server.address, server.tls_address, server.mutual_address)
        click.echo(json.dumps(document) if as_json else shown_opening(document))
        while not end.wait(LOOK_S):
            state = plane.state
            if state is not seen:
                for change in differences(seen, state):
                    say(change)
                seen = state
        server.stop()
        plane.close()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    return 0


def _say(change: Change) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {shown(change)}")


def _say_json(change: Change) -> None:
    document: dict[str, Any] = {"event": change.event, "time": time.time(), **change.document}
    click.echo(json.dumps(document))
