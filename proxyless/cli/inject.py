"""`proxyless inject`: a manifest whose processes are in the mesh without a sidecar, and without Helm."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from ..errors import ConfigurationError


@click.command(short_help="make a Kubernetes manifest proxyless")
@click.option("-f", "--file", "files", multiple=True, default=("-",), metavar="FILE", help="a manifest; - is stdin")
@click.option("-o", "--output", metavar="FILE", help="where the new one goes; by default to stdout")
@click.option("--container", "containers", multiple=True, metavar="NAME", help="which one is governed; * is all")
@click.option("--mtls", is_flag=True, help="the server has the context of proxyless.tls: peers may call it by mTLS")
@click.option(
    "--probes-port",
    "listener",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="the program runs proxyless.probes.Probes there: probes and metrics are asked at it",
)
@click.option(
    "--control-plane",
    "address",
    default="istiod.istio-system.svc:15012",
    metavar="HOST:PORT",
    help="where xDS is served",
    show_default=True,
)
@click.option("--ca-address", default="", metavar="HOST:PORT", help="the authority, if it is elsewhere")
@click.option("--cluster-id", default="Kubernetes", metavar="NAME", help="the cluster's name", show_default=True)
@click.option("--mesh-id", default="", metavar="NAME", help="the mesh's name")
@click.option("--network", default="", metavar="NAME", help="the network of the Pods, in a mesh of several")
@click.option("--trust-domain", default="cluster.local", metavar="NAME", help="the mesh's", show_default=True)
@click.option("--domain", default="cluster.local", metavar="NAME", help="the cluster's DNS domain", show_default=True)
@click.option("--delta", is_flag=True, help="incremental xDS")
@click.option("--no-identity", is_flag=True, help="no certificate: it neither calls nor serves by mTLS")
@click.option("--token-audience", default="istio-ca", metavar="NAME", help="whom the token is for", show_default=True)
@click.option(
    "--root-cert-config-map",
    default="istio-ca-root-cert",
    metavar="NAME",
    help="the ConfigMap with root-cert.pem",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON document: a List of all objects")
def command(
    files: tuple[str, ...],
    output: str | None,
    containers: tuple[str, ...],
    listener: int | None,
    no_identity: bool,
    as_json: bool,
    **said: Any,
) -> int:
    """Give the Pods of Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs and CronJobs, and Pods, what a process
    needs to find its place in the mesh: the label that keeps a sidecar away, environment, token, root certificate,
    labels, cache.

    Other objects, comments and order stay. A second run changes nothing. What is done is told on stderr.

    Exit status: 0 done, 2 a manifest cannot be read, or a workload cannot be made proxyless.
    """
    from ..injecting import InjectError, Wanted, injected

    wanted = Wanted(**said, containers=containers, listener=listener or 0, identity=not no_identity)
    for name in (wanted.address, wanted.ca_address):
        host, _, port = name.rpartition(":")
        if name and not (host and port.isdecimal()):
            raise ConfigurationError(f"{name!r} is not HOST:PORT")
    try:
        made = [injected(_read(each), wanted, each) for each in files]
    except InjectError as error:
        raise ConfigurationError(str(error)) from error
    text = _joined([one.text for one in made])
    if as_json:
        text = _as_list(text)
    _write(output, text)
    for one in made:
        for note in one.notes:
            click.echo(f"note: {note}", err=True)
    changed = [name for one in made for name in one.changed]
    click.echo(f"proxyless: {', '.join(changed)}" if changed else "nothing here has Pods", err=True)
    return 0


def _as_list(text: str) -> str:
    """As kubectl reads it."""
    import yaml

    items = [each for each in yaml.safe_load_all(text) if each is not None]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2, default=str) + "\n"


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error
    except ValueError:
        raise ConfigurationError(f"{file} is no text in UTF-8") from None


def _joined(texts: list[str]) -> str:
    out = ""
    for text in texts:
        if out and not text.startswith("---"):
            out += "---\n" if out.endswith("\n") else "\n---\n"
        out += text
    return out


def _write(output: str | None, text: str) -> None:
    if output is None or output == "-":
        click.echo(text, nl=False)
        return
    target = Path(output)
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        if target.exists():
            new.chmod(target.stat().st_mode & 0o777)
        new.replace(target)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigurationError(f"{output}: {error.strerror}") from error
