"""`proxyless explain`: where a request would go and why, without sending it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, TextIO

import click

from .._services import look_up_at_once
from ..errors import ConfigurationError, MeshError
from ..governance.explain import cluster_name, document, dry_call, failed
from ..governance.inbound_explain import dry_request, inbound_document
from ..governance.tally import Tally
from ..mesh import Mesh
from ._render import render
from ._source import SourceOptions, open_mesh, source_options
from ._url import parse_url

DEFAULT_SEED = 20_240_131


@click.command(short_help="where a request would go, and why")
@click.argument("method", required=False)
@click.argument("url", required=False)
@click.option("-H", "--header", "headers", multiple=True, metavar="'K: V'", help="a request header; may be repeated")
@click.option(
    "--inbound", type=click.IntRange(1, 65535), metavar="PORT", help="explain an incoming request at this app port"
)
@click.option("--source-ip", default="127.0.0.1", help="with --inbound: where the request comes from")
@click.option("--count", "repeat", type=click.IntRange(min=1), help="repeat the draw and count")
@click.option("--seed", type=int, default=DEFAULT_SEED, help="fixes the draws", show_default=True)
@click.option(
    "--requests",
    type=click.File("r", encoding="utf-8-sig", errors="surrogateescape"),
    help="JSON lines: method, url, headers, count",
)
@click.option("--resolve", multiple=True, metavar="HOST=IP", help="the address of a host, before any name table")
@click.option("--json", "as_json", is_flag=True, help="print one JSON document (docs/explain.md)")
@source_options
def command(
    method: str | None,
    url: str | None,
    headers: tuple[str, ...],
    inbound: int | None,
    source_ip: str,
    repeat: int | None,
    seed: int,
    requests: TextIO | None,
    resolve: tuple[str, ...],
    as_json: bool,
    source: SourceOptions,
) -> int:
    """Explain METHOD URL: listener, route, cluster, endpoint, timeouts, retries ... as the mesh would decide.

    Exit status: 0 answered, 1 the mesh itself would refuse or fail a request, 2 bad input.
    """
    if method is not None if requests is not None else url is None:
        raise click.UsageError("give METHOD and URL, or --requests FILE")
    overrides = dict(_pair(each, "=", "--resolve") for each in resolve)
    patience_s = 0.0 if source.recorded is not None else source.timeout_s
    with open_mesh(source, rng=random.Random(seed), overrides=overrides) as mesh:
        look_up_at_once(mesh.runtime)
        if requests is None:
            spelled = str(method) if inbound is not None else str(method).upper()  # as the libraries send it
            line: dict[str, Any] = {"method": spelled, "url": url, "headers": [_header(each) for each in headers]}
            if repeat is not None:
                line["count"] = repeat
            try:
                answer, bad = explain_one(mesh, line, inbound, source_ip, patience_s)
            except (ValueError, ConfigurationError) as error:
                raise click.UsageError(str(error)) from error
            click.echo(json.dumps(answer, indent=1) if as_json else render(answer).encode("utf-8", "replace"))
            return int(bad)
        return explain_lines(mesh, requests, inbound, source_ip, repeat, patience_s)


def explain_lines(
    mesh: Mesh,
    lines: Iterator[str],
    inbound: int | None,
    source_ip: str,
    repeat: int | None,
    patience_s: float = 0.0,
) -> int:
    """One document a line, in order; a bad line says so in its place."""
    worst = 0
    for number, text in enumerate(lines, 1):
        try:
            line = _object(text)
            if repeat is not None:
                line.setdefault("count", repeat)
            answer, bad = explain_one(mesh, line, inbound, source_ip, patience_s)
            worst = max(worst, int(bad))
        except (ValueError, MeshError) as error:
            answer, worst = {"error": str(error), "line": number}, 2
        click.echo(json.dumps(answer))
    return worst


def explain_one(
    mesh: Mesh, line: dict[str, Any], inbound: int | None, source_ip: str, patience_s: float = 0.0
) -> tuple[dict[str, Any], bool]:
    """(the document of one request, whether the mesh would refuse or fail it).

    Raises:
        ConfigurationError: the line is no request.
    """
    method, url, headers, repeat = read_line(line)
    request = {"method": method, "url": url, "headers": [list(each) for each in headers]}
    target = parse_url(url)
    tally, allowed, bad = Tally(), 0, False
    first: dict[str, Any] | None = None
    for _ in range(repeat or 1):
        if inbound is not None:
            asked = dry_request(mesh.runtime, method, target, headers, inbound, source_ip)
            tally.add(asked.target.cluster if asked.target is not None else None, None)
            allowed += asked.reply is None
            bad = bad or failed(asked.reply)
            first = first or inbound_document(asked, request)
            continue
        call, missing = dry_call(mesh.runtime, method, target, headers, patience_s)
        tally.add(cluster_name(call), call.host.address if call.host is not None else None)
        bad = bad or bool(missing) or failed(call.reply)
        first = first or document(call, request, missing)
    if first is None:
        raise AssertionError("nothing was asked")
    if repeat is not None:
        first["counts"] = tally.document()
        if inbound is not None:
            first["counts"] |= {"allowed": allowed, "refused": repeat - allowed}
    return first, bad


def read_line(line: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]], int | None]:
    """The parts of a request line.

    Raises:
        ConfigurationError: a part is missing or of the wrong type.
    """
    method, url, headers = line.get("method", "GET"), line.get("url"), line.get("headers") or []
    if not isinstance(method, str) or not isinstance(url, str):
        raise ConfigurationError("method and url must be strings")
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    if not isinstance(pairs, list) or not all(_is_pair(each) for each in pairs):
        raise ConfigurationError("headers must be [[name, value], ...]")
    read = [(name, value.strip(" \t")) for name, value in pairs]
    repeat = line.get("count")
    if repeat is not None and (not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1):
        raise ConfigurationError("count must be a positive integer")
    return method, url, read, repeat


def _object(text: str) -> dict[str, Any]:
    try:
        text.encode()
        line = json.loads(text)
    except UnicodeEncodeError as error:
        raise ConfigurationError("not UTF-8") from error
    except RecursionError as error:
        raise ConfigurationError("nested too deeply") from error
    if not isinstance(line, dict):
        raise ConfigurationError("not an object")
    return line


def _is_pair(each: Any) -> bool:
    return isinstance(each, list | tuple) and len(each) == 2 and all(isinstance(part, str) for part in each)


def _header(text: str) -> tuple[str, str]:
    return _pair(text, ":", "-H")


def _pair(text: str, mark: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(mark)
    if not found or not name:
        raise click.BadParameter(f"{text!r} is not NAME{mark}VALUE", param_hint=option)
    return name.strip(), value.strip()
