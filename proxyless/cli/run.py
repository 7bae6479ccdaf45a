"""`proxyless run -- COMMAND`: govern a program without a change to its code."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import click

from .. import running
from .._variables import DISABLE, UNGOVERNED, names, switched
from ..errors import ConfigurationError
from ..running.libraries import INCOMING
from ..running.sockets import MTLS, SKIP

BLIND = re.compile("-[a-zA-Z]*[EIS]")
"""Options of an interpreter that does not look at PYTHONPATH, or not at `sitecustomize`."""


@click.command(
    short_help="govern a program without a change to its code",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
)
@click.option("--off", multiple=True, metavar="HOST", help="leave calls to it alone (*.example.org: all below)")
@click.option(
    "--skip",
    multiple=True,
    metavar="LIBRARY",
    help="leave a library alone (incoming: every server; mtls: their sockets)",
)
@click.option("--json", "as_json", is_flag=True, help="say what is governed as one JSON document (docs/run.md)")
@click.argument("command_line", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARGUMENT]...")
def command(off: tuple[str, ...], skip: tuple[str, ...], as_json: bool, command_line: tuple[str, ...]) -> None:
    """Run COMMAND with its calls, and the requests to it, governed by the mesh of the environment (docs/bootstrap.md).

    Every Python interpreter below it is governed: workers of servers, children of multiprocessing. The first one says
    on stderr what it governs.

    Exit status: that of COMMAND, which takes the place of this process; 2 if it cannot be run or governed.
    """
    environ = dict(os.environ)
    if not switched(DISABLE, environ):
        _environment_is_sound()
    _looks_at_the_path(command_line)
    suites = _suites()
    names_of_ours = dict.fromkeys(each.name for each in running.KNOWN)
    known = [*names_of_ours, INCOMING, MTLS, *(each[0] for each in suites)]
    _known(skip, known, "--skip")
    _known(names(environ.get(SKIP, "")), known, SKIP)
    environ[running.SUITES] = json.dumps(suites)
    bootstrap = str(Path(running.__file__).parent / "bootstrap")
    before = [each for each in environ.get("PYTHONPATH", "").split(os.pathsep) if each and each != bootstrap]
    environ["PYTHONPATH"] = os.pathsep.join([bootstrap, *before])
    environ[running.VARIABLE] = "json" if as_json else "text"
    _add(environ, UNGOVERNED, off)
    _add(environ, SKIP, skip)
    try:
        os.execvpe(command_line[0], command_line, environ)  # noqa: S606  # what the command is for
    except OSError as error:
        raise ConfigurationError(f"{command_line[0]}: {error.strerror or error}") from error


def _environment_is_sound() -> None:
    """Raises ConfigurationError at once, not when the program makes its first client."""
    from ..beginnings import alone
    from ..xds.identity.bootstrap import BootstrapError
    from ..xds.identity.environment import from_environment

    try:
        alone(from_environment())
    except BootstrapError as error:
        raise ConfigurationError(str(error)) from error


def _suites() -> list[tuple[str, str, str]]:
    """(library, module, package) of the suites that other packages bring.

    Raises:
        ConfigurationError: several bring the same, or one that proxyless has.
    """
    from ..xds.wire.installed import SUITES, BrokenError, find, installed

    found = []
    try:
        for name in sorted(installed(SUITES)):
            brought = find(SUITES, name)
            if brought is not None:
                found.append((name, brought.module, str(brought)))
    except BrokenError as error:
        raise ConfigurationError(str(error)) from error
    for name, _, package in found:
        if any(name == each.name for each in running.KNOWN):
            raise ConfigurationError(f"proxyless.suites {name} of package {package}: proxyless governs {name} itself")
    return found


def _known(skip: Sequence[str], known: list[str], hint: str) -> None:
    for each in skip:
        if each not in known:
            raise click.BadParameter(f"{each!r} is not one of {', '.join(known)}", param_hint=hint)


def _looks_at_the_path(command_line: tuple[str, ...]) -> None:
    if not Path(command_line[0]).name.startswith("python"):
        return
    for each in command_line[1:]:
        if not each.startswith("-") or each in ("-c", "-m", "-"):
            return
        if BLIND.fullmatch(each):
            raise ConfigurationError(f"{command_line[0]} {each} does not look at PYTHONPATH: nothing would be governed")


def _add(environ: dict[str, str], variable: str, more: tuple[str, ...]) -> None:
    if more:
        environ[variable] = ",".join([*names(environ.get(variable, "")), *more])
