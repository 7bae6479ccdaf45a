"""What becomes of a path: normalization, odd targets, methods."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import short
from tests.differential.recording import Recording
from tests.differential.rig import Observation, Rig

PATHS = (
    "/ // /a//b /a/./b /a/../b /a/.. /.. /../x /a/b/.. /a/b/../ /./ /. /a/. /%2e/x /a/%2e%2e/b /a/%2E%2E/b "
    "/a/.%2e/b /a%2fb /a%2Fb /a%5cb /a\\b /a\\..\\b /a/..%2fb /a%2e%2e%2fb /%41 /a%20b /a%00b /a%7fb /a%ffb "
    "/a;b=c /a;b=c/../d /a/..;/b /a/..;x=1/b /a/.;x/b /a/%2e%2e;/b /a/..%3b/b /? /?x /a? /a?? /a?b=/../c "
    "/a?b=%2e%2e /a?b=c#d /a#b /a/#/../b # * a ?x=1 /caf\xc3\xa9 /a?q=caf\xc3\xa9 /caf%C3%A9 "
    '/a%zz /a% /a%2 /a%%41 /a%2541 /a?b"c /a?b|c ///a //a//../b'
    "/a/ /a// /... /.a /a/..b /a/b../c http://catalog/abs/./x http://other/abs "
    "http://catalog http://catalog/ http://catalog?x=1 HTTP://catalog/x https://catalog/x ftp://catalog/x "
    "http://u:p@catalog/x http://catalog:80/x http:///x //catalog/x"
)
METHODS = ("get", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PURGE", "QUERY", "PRI", "FOO", "G@T", "")


def _seen(seen: Observation) -> str:
    log = seen.log or {}
    if log.get("filter_chain"):
        return f"not HTTP for the inspector: goes through {log['filter_chain']} as TCP"
    if not seen.arrivals:
        body = seen.response.body.decode()
        return f"{seen.response.status} flags={seen.flags} {seen.details} body={body!r} {seen.response.error}"
    arrival = seen.arrivals[0]
    changed = [f"{n}={v}" for n, v in arrival.headers if n in ("x-envoy-original-path", "host") and v != "catalog"]
    return f"{arrival.method} {short(arrival.target)} {' '.join(changed)}"


def run(base: Recording) -> Iterator[str]:
    """One catch-all route; every line: what was sent, then what arrived or was answered."""
    table = [host(route({"prefix": "/"}, "a"))]
    with Rig(custom(base, table, [cluster("a", ("127.0.20.1", 80))])) as rig:
        for path in [*PATHS.split(), "/" + "a" * 8000, "/" + "a" * 60000, "/" + "a" * 62000]:
            yield f"{short(path)!r} -> {_seen(rig.send('GET', path))}"
        yield f"one character each, raw: {_characters(rig, escaped=False)}"
        yield f"one character each, %XX: {_characters(rig, escaped=True)}"
        for method in METHODS:
            yield f"method {method!r} -> {_seen(rig.send(method, '/x'))}"
        for method, target in (("OPTIONS", "*"), ("GET", "*"), ("CONNECT", "catalog:80"), ("CONNECT", "catalog")):
            yield f"{method} {target} -> {_seen(rig.send(method, target))}"


def _characters(rig: Rig, *, escaped: bool) -> str:
    """The characters that do not arrive as they were sent: `sent>arrived`, or the status."""
    found = []
    for code in range(0x21 if not escaped else 0, 0x100 if escaped else 0x7F):
        sent = f"%{code:02X}" if escaped else chr(code)
        if sent in ("?", "#"):
            continue
        seen = rig.send("GET", f"/a{sent}b")
        got = seen.arrivals[0].target[2:-1] if seen.arrivals else str(seen.response.status)
        if got != sent:
            found.append(f"{sent}>{got}")
    return " ".join(found)
