"""Whom `status` and `dump` ask: a process that runs, over its socket, or a mesh of their own on a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import click

from ..documents import Document, joined
from ..mesh import Mesh
from ..status_socket import Process, ask, directories, processes
from ..xds.graph import DNS_TYPES, tables_of
from ..xds.model.resource import ResourceError, ResourceType
from ._source import SourceOptions, open_mesh

F = TypeVar("F", bound=Callable[..., Any])

QUIET_S = 1.0
"""A control plane that has sent nothing new for so long has sent what it has."""


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """What `process_options` collects."""

    pid: int | None
    mesh: int | None


def process_options(function: F) -> F:
    """--pid and --mesh."""
    function = click.option("--mesh", type=click.IntRange(min=1), metavar="N", help="... its mesh, if it has several")(
        function
    )
    return click.option("--pid", type=click.IntRange(min=1), help="the process to ask; default: the only one")(function)


def has_source(source: SourceOptions) -> bool:
    """Whether a source is asked for instead of a process."""
    return any(each is not None for each in (source.config, source.xds, source.recorded))


def asked_process(request: Document, options: ProcessOptions) -> Document:
    """The answer of a running process.

    Raises:
        click.ClickException: there is none, or more than one, or it does not answer.
    """
    process = choose(processes(), options)
    try:
        return joined(ask(process.path, request))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"process {process.pid} does not answer: {error}") from error


def choose(found: list[Process], options: ProcessOptions) -> Process:
    """The one process that is meant.

    Raises:
        click.ClickException: there is none, or more than one.
    """
    if options.pid is not None:
        matching = [each for each in found if each.pid == options.pid]
    else:
        matching = found
    if options.mesh is not None:
        matching = [each for each in matching if each.number == options.mesh]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        places = ", ".join(map(str, directories()))
        wanted = "no process with a mesh" if options.pid is None else f"process {options.pid} with a mesh"
        raise click.ClickException(
            f"{wanted} was found: there is no socket that answers in {places}. It has to run as the same user, without "
            "PROXYLESS_STATUS_SOCKET=0; or ask a control plane with --xds ADDRESS or --config DIR"
        )
    if len({each.pid for each in matching}) == 1:
        numbers = ", ".join(str(each.number) for each in matching)
        raise click.ClickException(f"process {matching[0].pid} has several meshes; choose with --mesh: {numbers}")
    pids = ", ".join(dict.fromkeys(str(each.pid) for each in matching))
    raise click.ClickException(f"several processes have a mesh; choose one with --pid: {pids}")


@contextmanager
def opened(source: SourceOptions, options: ProcessOptions) -> Iterator[Mesh]:
    """A mesh on the source, with everything subscribed that a process would subscribe bit by bit."""
    if options.pid is not None or options.mesh is not None:
        raise click.UsageError("--pid asks a process: give it, or a source, not both")
    with open_mesh(source) as mesh:
        want_everything(mesh, source.timeout_s)
        yield mesh


def want_everything(mesh: Mesh, timeout_s: float) -> None:
    """Subscribe all route tables and endpoints, and wait until they are there or nothing more comes."""
    runtime = mesh.runtime
    deadline = monotonic() + timeout_s
    runtime.subscribe(ResourceType.CLUSTER, list(mesh.snapshot.clusters))
    runtime.subscribe(ResourceType.ROUTE, sorted(_tables(mesh)))
    while lacking(mesh):
        seen = runtime.changes.generation
        if not lacking(mesh):
            break
        left = min(QUIET_S, deadline - monotonic())
        if left <= 0 or not runtime.changes.wait(seen, left):
            break
    for name in mesh.snapshot.clusters:
        runtime.plan.cluster(name)


def lacking(mesh: Mesh) -> bool:
    """Whether route tables or endpoints are still to come."""
    plan = mesh.runtime.plan
    if not _tables(mesh) <= plan.snapshot.routes.keys():
        return True
    for resource in plan.snapshot.clusters.values():
        try:
            config = resource.get()
        except ResourceError:
            continue
        if config.type == "EDS" and config.assignment_name not in plan.snapshot.assignments:
            return True
        if config.type in DNS_TYPES and config.name not in plan.snapshot.resolved:
            return True
    return False


def _tables(mesh: Mesh) -> set[str]:
    names: set[str] = set()
    for resource in mesh.snapshot.listeners.values():
        try:
            names |= tables_of(resource.get())
        except ResourceError:
            continue
    return names
