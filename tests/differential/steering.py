"""Requests that aim at every route of a recording, made from the route's own matchers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.differential import corpus
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

REGEX_SAMPLES = {"/v1/.*": ("/v1/", "/v1/a", "/v1/a/b")}
"""Paths for the regular expressions of the recordings."""

HARMLESS = tuple(each for each in corpus.ORDINARY if not any(name.startswith("content") for name, _ in each))


@dataclass(frozen=True, slots=True)
class Place:
    """One route of a recording. `str()` is the name that the rig gives it in Envoy's access log."""

    table: str
    host: str
    index: int

    def __str__(self) -> str:
        return f"{self.table}/{self.host}/{self.index}"


def places(recording: Recording) -> Iterator[tuple[Place, Resource, Resource]]:
    """Every outbound route: its place, its virtual host, itself."""
    for name, table in recording.routes.items():
        for host in table.get("virtual_hosts", ()):
            for index, route in enumerate(host.get("routes", ())):
                yield Place(name, host["name"], index), host, route


def steer(recording: Recording, seed: int, each: int) -> list[Request]:
    """`each` requests for every route of a recording. An earlier route may still take one."""
    draw = random.Random(seed)
    return [_aimed(draw, place, host, route["match"]) for place, host, route in places(recording) for _ in range(each)]


def _aimed(draw: random.Random, place: Place, host: Resource, match: Resource) -> Request:
    method = "GET"
    headers: list[tuple[str, str]] = []
    for matcher in match.get("headers", ()):
        pair = _header(matcher)
        if pair is not None and pair[0] == ":method":
            method = pair[1]
        elif pair is not None:
            headers.append(pair)
    if not headers and match == {"prefix": "/"}:
        method = draw.choice(("GET", "HEAD", "DELETE", "OPTIONS"))
    port = "" if place.table == "80" else f":{place.table}"
    url = f"http://{_domain(draw, host)}{port}{_path(draw, match)}{_query(match)}"
    return Request(method, url, (*headers, *_more(draw)))


def _domain(draw: random.Random, host: Resource) -> str:
    domain = str(draw.choice(host["domains"]))
    if domain == "*":
        return draw.choice(("elsewhere.example", "a.b.example.net", "192.0.2.7"))
    return domain.replace("*", draw.choice(("a", "a.b"))) if domain.startswith("*") else domain


def _path(draw: random.Random, match: Resource) -> str:
    if "path" in match:
        return str(match["path"])
    if "prefix" in match:
        return str(match["prefix"]) + draw.choice(("", "x", "x/y", "%20"))
    return draw.choice(REGEX_SAMPLES[match["safe_regex"]["regex"]])


def _query(match: Resource) -> str:
    wanted = [f"{each['name']}={each['string_match']['exact']}" for each in match.get("query_parameters", ())]
    return "?" + "&".join(wanted) if wanted else ""


def _header(matcher: Resource) -> tuple[str, str] | None:
    """A header that satisfies a matcher of the recordings; None where it must be absent."""
    if "string_match" in matcher:
        return str(matcher["name"]), str(matcher["string_match"]["exact"])
    present = matcher.get("present_match", True) != matcher.get("invert_match", False)
    return (str(matcher["name"]), "1") if present else None


def _more(draw: random.Random) -> Headers:
    return draw.choice(HARMLESS) if draw.random() < 0.5 else ()
