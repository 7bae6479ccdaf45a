"""`proxyless demo`: the shop, governed, counted and compared with what its configuration says."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NoReturn

import click

from .. import __version__
from ..errors import ConfigurationError

NEEDED = ("httpx", "uvicorn")
ENDING = (signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


@click.command(short_help="the shop: see the mesh at work, in under two minutes")
@click.option("--keep", is_flag=True, help="leave everything running until Ctrl-C, and say what to try")
@click.option("--json", "as_json", is_flag=True, help="print one JSON document: scenarios, expected, seen")
@click.option("--only", multiple=True, metavar="SCENARIO", help="this scenario alone; more than once: these")
@click.option("--mtls", is_flag=True, help="the shop in STRICT mode: certificates, identities, their rotation")
@click.option("--one-address", is_flag=True, hidden=True, help="use 127.0.0.1 only, as where there is no other")
@click.option("--sabotage", hidden=True, metavar="SCENARIO", help="make a scenario fail (docs/demo.md)")
def command(
    keep: bool, as_json: bool, only: tuple[str, ...], mtls: bool, one_address: bool, sabotage: str | None
) -> int:
    """Start a shop of eight services with a control plane, send it load, and compare what happens with its YAML.

    Exit status: 0 all as expected, 1 expected and seen differ, 2 it cannot run here, 130 interrupted.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"the demo needs {' and '.join(missing)}: pip install 'proxyless[demo]'")
    from rich.console import Console

    from ..demo.checks import document
    from ..demo.keep import restore, supervise, told
    from ..demo.reporting import PIPED_WIDTH, Lines, Reporter, Screen
    from ..demo.run import Demo
    from ..demo.sabotage import NOTHING, SABOTAGES, SABOTAGES_WITH_MTLS
    from ..demo.scenarios import SCENARIOS, WITH_MTLS
    from ..demo.table import table, verdict
    from ..demo.walk import walk

    sabotages = SABOTAGES | (SABOTAGES_WITH_MTLS if mtls else {})
    if sabotage is not None and sabotage not in sabotages:
        raise click.BadParameter(f"one of {', '.join(sabotages)}", param_hint="--sabotage")
    every = (*SCENARIOS, *(WITH_MTLS if mtls else ()))
    keys = [each.key for each in every]
    if not set(only) <= set(keys):
        raise click.BadParameter(f"one of {', '.join(keys)}", param_hint="--only")
    scenarios = [each for each in every if not only or each.key in only]
    chosen = sabotages[sabotage] if sabotage is not None else NOTHING
    watched = sys.stdout.isatty()
    console = Console(width=None if watched else PIPED_WIDTH, highlight=False)
    reporter = Reporter() if as_json else Screen(console) if watched else Lines(console)
    began = time.monotonic()
    status = INTERRUPTED
    with _ending_signals(), Demo(chosen, one_address=one_address, mtls=mtls) as demo:
        try:
            with reporter:
                results = walk(demo, reporter, scenarios)
            seconds = time.monotonic() - began
            told_all = document(results, __version__, seconds)
            status = 0 if told_all["ok"] else 1
            if as_json:
                click.echo(json.dumps(told_all, indent=1))
            else:
                console.print(table(results, console.width))
                console.print(verdict(results, seconds), style="bold" if status else "bold green")
            if status:
                click.echo(demo.logs(), err=True)
            if keep:
                restore(demo)
                click.echo(told(demo), err=as_json)
                supervise(demo, lambda text: click.echo(text, err=as_json))
        except KeyboardInterrupt:
            pass
        finally:
            _deafen()
    return status


@contextmanager
def _ending_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end a demo as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    handlers = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, *ENDING)}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


def _deafen() -> None:
    """Nothing interrupts the cleaning up, which takes some seconds at most."""
    for each in (signal.SIGINT, *ENDING):
        signal.signal(each, signal.SIG_IGN)
