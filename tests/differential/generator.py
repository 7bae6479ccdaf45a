"""Requests that a program behind the recorded sidecar could send, drawn from the corpus by a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.differential import corpus
from tests.differential.requests import Request
from tests.support.behaviour import Headers


def generate(seed: int, count: int) -> list[Request]:
    """`count` requests over the tables of the recorded frontend."""
    draw = random.Random(seed)
    return [_request(draw, number) for number in range(count)]


def _request(draw: random.Random, number: int) -> Request:
    method = draw.choice(corpus.METHODS if draw.random() < 0.97 else corpus.ODD_METHODS)
    path = draw.choice(corpus.PATHS)
    query = _query(draw)
    url = f"http://{_host(draw)}{path}{query}"
    if "#" in url:  # no client sends what stands behind it, so what Envoy makes of raw bytes there is no matter
        url = url.encode("ascii", "ignore").decode()
    headers = tuple(_headers(draw, number))
    if method != "GET" or ":50051" in url:
        # Under Envoy a WebSocket has no content length, and over HTTP/2 it is a CONNECT.
        headers = tuple(pair for pair in headers if pair[1].lower() != "websocket")
    body = b""
    if method in ("POST", "PUT", "PATCH") and draw.random() < 0.6:
        body = b"x" * draw.choice((0, 1, 20, 5000))
        headers = (*headers, ("content-length", str(len(body))))
    return Request(method, url, headers, body)


def _host(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.6:
        return draw.choice(corpus.SERVICES) + draw.choice(corpus.SUFFIXES)
    return draw.choice(corpus.ADDRESSES if kind < 0.7 else corpus.OTHERS if kind < 0.85 else corpus.PORTED)


def _query(draw: random.Random) -> str:
    return draw.choice(corpus.QUERIES)


def _headers(draw: random.Random, number: int) -> Iterator[tuple[str, str]]:
    chosen: list[Headers] = []
    for pool, share in (
        (corpus.MATCHED, 0.5),
        (corpus.ORDINARY, 0.5),
        (corpus.FORWARDING, 0.25),
        (corpus.HOP, 0.15),
        (corpus.GRPC, 0.08),
    ):
        while draw.random() < share:
            chosen.append(draw.choice(pool))
            share /= 3
    if draw.random() < 0.1:
        chosen.append((("x-request-id", f"request {number}"),))
    if draw.random() < 0.15:
        chosen.insert(draw.randrange(len(chosen) + 1), (("host", draw.choice(corpus.WRITTEN_HOSTS)),))
    for group in chosen:
        yield from group
