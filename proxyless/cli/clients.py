"""`proxyless clients`: who is connected to a control plane and has what it was told, as `istioctl proxy-status`."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import click

from ..documents import joined
from ..status_socket import PLANE, ask, directories, processes


@click.command(short_help="who is connected to a control plane, and who has what it was told")
@click.argument("name", required=False)
@click.option("--namespace", "-n", metavar="NAME", help="only clients of that namespace")
@click.option("--pid", type=click.IntRange(min=1), help="the `proxyless serve` to ask; default: the only one")
@click.option("--url", metavar="URL", help="ask over HTTP: where --status-listen of `serve` is, http://host:port")
@click.option("--json", "as_json", is_flag=True, help="print one JSON document (docs/control-plane.md)")
def command(name: str | None, namespace: str | None, pid: int | None, url: str | None, as_json: bool) -> int:
    """For each client and type: SYNCED, STALE (sent, not acknowledged), NOT SENT, IGNORED (not asked for) or ERROR.

    NAME is a pod's name, or pod.namespace, for one client in detail, with the reason of a refusal.

    Exit status: 0 good, 1 a client refuses something or NAME is not connected, 2 nobody to ask.
    """
    if pid is not None and url is not None:
        raise click.UsageError("--pid asks a process of this machine, --url over HTTP: give one of them")
    document = _over_http(url) if url is not None else _of_process(pid)
    found = [
        client
        for client in document["clients"]
        if (namespace is None or client["namespace"] == namespace)
        and (name is None or name in (client["name"], client["name"].partition(".")[0]))
    ]
    document["clients"] = sorted(found, key=lambda each: (each["cluster"], each["name"], each["since"]))
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        from ._clients_view import detail, table
        from ._status_view import console

        console().print(table(found) if name is None else detail(found, name))
    refuses = any(each["error"] for client in found for each in client["types"].values())
    return int(refuses or (name is not None and not found))


def _over_http(url: str) -> dict[str, Any]:
    where = url if "://" in url else f"http://{url}"
    if not where.startswith(("http://", "https://")):
        raise click.UsageError(f"{url} is no address over HTTP")
    try:
        with urllib.request.urlopen(where.rstrip("/") + "/status", timeout=60) as answer:  # noqa: S310  checked above
            document: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{where} does not answer: {error}") from error
    if "clients" not in document:
        raise click.ClickException(f"{where} serves no clients yet")
    return document


def _of_process(pid: int | None) -> dict[str, Any]:
    found = [each for each in processes(PLANE) if pid in (None, each.pid)]
    if not found:
        places = ", ".join(map(str, directories()))
        wanted = "no `proxyless serve`" if pid is None else f"process {pid} serving"
        raise click.ClickException(
            f"{wanted} was found: there is no socket that answers in {places}. It has to run as the same user, without "
            "PROXYLESS_STATUS_SOCKET=0; or ask --url, where its --status-listen is"
        )
    if len(found) > 1:
        pids = ", ".join(str(each.pid) for each in found)
        raise click.ClickException(f"several processes serve; choose one with --pid: {pids}")
    try:
        return joined(ask(found[0].path, {"command": "clients"}))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"process {found[0].pid} does not answer: {error}") from error
