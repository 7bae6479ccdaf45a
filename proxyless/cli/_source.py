"""Where a command takes its configuration from, and who asks: options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from ..beginnings import bootstrap_from
from ..errors import ConfigurationError
from ..mesh import Mesh
from ..xds.identity.bootstrap import BootstrapError, Node

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What `source_options` collects."""

    config: str | None
    mesh_config: str | None
    xds: str | None
    recorded: str | None
    until: int | None
    timeout_s: float
    delta: bool
    root_cert: str | None
    token_file: str | None
    node: Node | None


def source_options(function: F) -> F:
    """--config, --xds, --recorded, and the options that say who asks; handed on as `source`."""
    options = [
        click.option("--config", metavar="DIR", help="a folder of Istio and Kubernetes YAML"),
        click.option("--mesh-config", metavar="FILE", help="with --config: Istio's MeshConfig"),
        click.option("--xds", metavar="ADDRESS", help="a control plane: [xds://]host:port or xds+tls://host:port"),
        click.option("--recorded", metavar="DIR|.tar.gz", help="recorded discovery responses"),
        click.option("--until", type=int, metavar="N", help="with --recorded: stop after file N"),
        click.option(
            "--timeout",
            "timeout_s",
            type=float,
            default=10.0,
            help="seconds to wait for the control plane",
            show_default=True,
        ),
        click.option("--delta", is_flag=True, help="with --xds: incremental xDS"),
        click.option("--root-cert", metavar="FILE", help="with xds+tls: the certificate authority"),
        click.option("--token-file", metavar="FILE", help="with --xds: the bearer token"),
        click.option("--app", help="who asks: the app label"),
        click.option("--namespace", help="... its namespace"),
        click.option("--ip", help="... its address"),
        click.option("--pod", help="... its pod"),
        click.option("--service-account", help="... its service account"),
        click.option("--label", "labels", multiple=True, metavar="K=V", help="... its labels; may be repeated"),
        click.option("--locality", metavar="R/Z/S", help="... its region, zone and sub-zone"),
    ]

    @functools.wraps(function)
    def wrapper(**arguments: Any) -> Any:
        names = ("config", "mesh_config", "xds", "recorded", "until", "timeout_s", "delta", "root_cert", "token_file")
        given = {name: arguments.pop(name) for name in names}
        return function(**arguments | {"source": SourceOptions(**given, node=_node(_who(arguments)))})

    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper  # type: ignore[return-value]  # the same function with options


def _who(arguments: dict[str, Any]) -> dict[str, Any]:
    names = ("app", "namespace", "ip", "pod", "service_account", "labels", "locality")
    return {name: arguments.pop(name) for name in names}


def _node(who: dict[str, Any]) -> Node | None:
    if not any(who.values()):
        return None
    labels = {}
    for each in who.pop("labels"):
        key, mark, value = each.partition("=")
        if not mark:
            raise click.BadParameter(f"{each!r} is not KEY=VALUE", param_hint="--label")
        labels[key] = value
    given = {name: value for name, value in who.items() if value}
    try:
        return Node(labels=labels, **given)
    except BootstrapError as error:
        raise click.BadParameter(str(error), param_hint="--locality") from error


def open_mesh(source: SourceOptions, **options: Any) -> Mesh:
    """A ready mesh on the chosen source.

    Raises:
        ConfigurationError: not exactly one source is chosen, or it cannot be read.
        NotReadyError: the control plane did not answer in time.
    """
    chosen = [each for each in (source.config, source.xds, source.recorded) if each is not None]
    if len(chosen) != 1:
        raise ConfigurationError("choose one source: --config DIR, --xds ADDRESS or --recorded DIR")
    # A command is nobody's process to ask.
    options.setdefault("status_socket", False)
    options.setdefault("checks", False)  # nor does it ask anybody
    if source.recorded is not None:
        return Mesh.from_recorded(source.recorded, node=source.node, until=source.until, registry=False, **options)
    if source.config is not None:
        mesh = Mesh.from_config(
            source.config, node=source.node, mesh_config=source.mesh_config, registry=False, **options
        )
    else:
        address = source.xds or ""
        url = address if "://" in address else f"xds://{address}"
        bootstrap = bootstrap_from(url, source.node, source.root_cert, source.token_file, delta=source.delta)
        mesh = Mesh._connect(bootstrap, registry=False, cache_dir=False, **options)
    try:
        mesh.wait_ready(source.timeout_s)
    except BaseException:
        mesh.close()
        raise
    return mesh
