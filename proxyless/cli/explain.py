"""`proxyless explain`: where a request would go and why, without sending it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, TextIO

import click

from ..errors import ConfigurationError, MeshError
from ..governance.call import OutgoingCall
from ..governance.explain import count, document, dry_call, failed
from ..governance.inbound_explain import dry_request, inbound_document
from ..governance.inbound_explain import failed as refused
from ..mesh import Mesh
from ._render import render
from ._source import SourceOptions, open_mesh, source_options
from ._url import parse_url

DEFAULT_SEED = 20_240_131


@click.command(short_help="where a request would go, and why")
@click.argument("method", required=False)
@click.argument("url", required=False)
@click.option("-H", "--header", "headers", multiple=True, metavar="'K: V'", help="a request header; may be repeated")
@click.option("--inbound", type=int, metavar="PORT", help="explain an incoming request at this app port")
@click.option("--source-ip", default="127.0.0.1", help="with --inbound: where the request comes from")
@click.option("--count", "repeat", type=click.IntRange(min=1), help="repeat the draw and count")
@click.option("--seed", type=int, default=DEFAULT_SEED, help="fixes the draws", show_default=True)
@click.option("--requests", type=click.File("r", encoding="utf-8"), help="JSON lines: method, url, headers, count")
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
    if (requests is None) == (method is None or url is None):
        raise click.UsageError("give METHOD and URL, or --requests FILE")
    overrides = dict(_pair(each, "=", "--resolve") for each in resolve)
    patience_s = 0.0 if source.recorded is not None else source.timeout_s
    with open_mesh(source, rng=random.Random(seed), overrides=overrides) as mesh:
        if requests is None:
            line: dict[str, Any] = {"method": method, "url": url, "headers": [_header(each) for each in headers]}
            if repeat is not None:
                line["count"] = repeat
            try:
                answer, bad = explain_one(mesh, line, inbound, source_ip, patience_s)
            except ConfigurationError as error:
                raise click.UsageError(str(error)) from error
            click.echo(json.dumps(answer, indent=1) if as_json else render(answer))
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
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ConfigurationError("not an object")
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
    if inbound is not None:
        asked = [dry_request(mesh.runtime, method, target, headers, inbound, source_ip) for _ in range(repeat or 1)]
        allowed = sum(each.reply is None for each in asked)
        totals: dict[str, Any] | None = None
        if repeat is not None:
            totals = {"clusters": {}, "endpoints": {}, "allowed": allowed, "refused": len(asked) - allowed}
        return inbound_document(asked[0], request, totals), any(refused(each) for each in asked)
    calls: list[OutgoingCall] = []
    missing = ""
    for _ in range(repeat or 1):
        call, missing = dry_call(mesh.runtime, method, target, headers, patience_s)
        calls.append(call)
    counts = count(calls) if repeat is not None else None
    return document(calls[0], request, missing, counts), any(failed(call) for call in calls)


def read_line(line: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]], int | None]:
    """The parts of a request line.

    Raises:
        ConfigurationError: a part is missing or of the wrong type.
    """
    method, url, headers = line.get("method", "GET"), line.get("url"), line.get("headers") or []
    if not isinstance(method, str) or not isinstance(url, str):
        raise ConfigurationError("method and url must be strings")
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    try:
        read = [(str(name), str(value).strip(" \t")) for name, value in pairs]
    except (TypeError, ValueError) as error:
        raise ConfigurationError("headers must be [[name, value], ...]") from error
    repeat = line.get("count")
    if repeat is not None and (not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1):
        raise ConfigurationError("count must be a positive integer")
    return method, url, read, repeat


def _header(text: str) -> tuple[str, str]:
    return _pair(text, ":", "-H")


def _pair(text: str, mark: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(mark)
    if not found or not name:
        raise click.BadParameter(f"{text!r} is not NAME{mark}VALUE", param_hint=option)
    return name.strip(), value.strip()
