"""`proxyless token`: a token by which a workload gets certificates from the development authority."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from ..errors import ConfigurationError


@click.command(short_help="a token for the development authority")
@click.option("--tokens", required=True, metavar="FILE", help="the table that `serve --tokens` reads; made if missing")
@click.option("--namespace", required=True, metavar="NAME")
@click.option("--service-account", required=True, metavar="NAME")
@click.option("--ttl", type=click.FloatRange(min=1), metavar="SECONDS", help="how long it holds; by default for ever")
@click.option("--out", metavar="FILE", help="write the token there (mode 0600) instead of printing it")
def command(tokens: str, namespace: str, service_account: str, ttl: float | None, out: str | None) -> int:
    """Make a token for a service account and add its digest to a table of tokens.

    The token itself is printed, or written to --out, and kept nowhere else. Taking its line out of the table ends it.

    Exit status: 0 made, 2 a name is none or a file cannot be written.
    """
    from ..xds.controlplane.authority.callers import Caller
    from ..xds.controlplane.authority.tokens import TokensError, add, new_token

    try:
        token, line = new_token(Caller(namespace, service_account), None if ttl is None else time.time() + ttl)
        if out is not None:
            _write(Path(out), token)
        add(Path(tokens), line)
    except (TokensError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    except OSError as error:
        raise ConfigurationError(f"{out}: {error.strerror}") from error
    if out is None:
        click.echo(token)
    return 0


def _write(path: Path, token: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(token + "\n")
    new.replace(path)
