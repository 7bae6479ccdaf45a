"""`proxyless ca`: the development authority's folder, and how one root follows another."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from ..errors import ConfigurationError

STEPS = ("show", "announce", "switch", "retire")


@click.command(short_help="the development authority's roots, and their rotation")
@click.argument("step", type=click.Choice(STEPS))
@click.argument("directory", metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="print one JSON document")
def command(step: str, directory: str, as_json: bool) -> int:
    """Show the authority in DIR (`serve --ca-dir`), or take a step from one root to the next.

    `announce` adds a new root to what workloads trust; `switch`, when all of them have renewed their certificates
    since, lets it sign; `retire`, when they have again, takes the old one away. A running `serve` follows.

    Exit status: 0 done, 2 the step is not the one that is due, or DIR cannot be used.
    """
    from ..xds.controlplane.authority.directory import CERT, Directory, DirectoryError
    from ..xds.controlplane.authority.rotating import STEPS as MOVES
    from ..xds.controlplane.authority.rotating import RotationError

    if not (Path(directory) / CERT).exists():
        raise ConfigurationError(f"{directory} holds no authority ({CERT})")
    try:
        kept = Directory(directory, time.time())
        for name in MOVES:
            if name == step:
                kept.rotate(name, time.time())
        material = kept.current()
    except (DirectoryError, RotationError) as error:
        raise ConfigurationError(str(error)) from error
    coming = material.coming.certificate if material.coming is not None else None
    roots = [
        {
            "subject": each.subject.rfc4514_string(),
            "expires": each.not_valid_after_utc.isoformat(),
            "signs": each == material.signer.certificate,
            "next": each == coming,
        }
        for each in material.roots
    ]
    if as_json:
        click.echo(json.dumps({"roots": roots}))
        return 0
    for each in roots:
        does = "signs" if each["signs"] else "signs next" if each["next"] else "is trusted"
        click.echo(f"{each['subject']}  until {each['expires']}  {does}")
    return 0
