"""Which virtual host a Host header selects."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

DOMAINS = (
    ("exact", "api.example.com", "10.1.2.3", "[2001:db8::1]", "UPPER.example.com"),
    ("exact-port", "port.example.com:8080"),
    ("suffix", "*.example.com"),
    ("suffix-long", "*.deep.example.com"),
    ("suffix-dash", "*-bar.example.com"),
    ("prefix", "api.*", "10.1.*"),
    ("prefix-long", "api.example.*"),
    ("dot", "dotted.example.com."),
)
HOSTS = (
    "api.example.com API.EXAMPLE.COM api.example.com. api.example.com:80 api.example.com:8080 api.example.com:0 "
    "api.example.com:99999 api.example.com:abc api.example.com: x.example.com .example.com example.com "
    "x.deep.example.com deep.example.com foo-bar.example.com -bar.example.com api.other api. api api.example.org "
    "10.1.2.3 10.1.2.3:80 10.1.9.9 [2001:db8::1] [2001:DB8::1] [2001:db8::1]:80 2001:db8::1 upper.example.com "
    "port.example.com port.example.com:8080 port.example.com:80 dotted.example.com dotted.example.com. nobody "
    "user@api.example.com api.example.com,api.example.com a_b.example.com %61pi.example.com caf\xe9.example.com"
)


def _table(*, catch_all: bool) -> list[Resource]:
    entries: list[tuple[str, ...]] = [*DOMAINS, *([("any", "*")] if catch_all else [])]
    return [host(route({"prefix": "/"}, "a"), name=entry[0], domains=entry[1:]) for entry in entries]


def run(base: Recording) -> Iterator[str]:
    """`ignore_port_in_host_matching` as istiod sets it, then without; each line: Host -> virtual host."""
    for ignore in (True, False):
        yield f"ignore_port_in_host_matching: {ignore}; domains: {DOMAINS}, any: *"
        recording = custom(
            base, _table(catch_all=True), [cluster("a", ("127.0.20.1", 80))], ignore_port_in_host_matching=ignore
        )
        with Rig(recording) as rig:
            for name in HOSTS.split() if ignore else [h for h in HOSTS.split() if ":" in h]:
                yield f"{name!r} -> {_selected(rig, name)}"
            if ignore:
                for label, data in RAW.items():
                    seen = rig.raw(data)
                    selected = _virtual_host(seen.log)
                    sent = [(a.authority, a.target) for a in seen.arrivals]
                    yield f"{label} -> {seen.response.status} {seen.details} vhost={selected} arrived={sent}"
    with Rig(custom(base, _table(catch_all=False), [cluster("a", ("127.0.20.1", 80))])) as rig:
        seen = rig.send(host="nobody")
        yield f"no catch-all, Host nobody -> {seen.response.status} {seen.flags} {seen.details}"


RAW = {
    "HTTP/1.1 without Host": b"GET /x HTTP/1.1\r\n\r\n",
    "HTTP/1.1 empty Host": b"GET /x HTTP/1.1\r\nHost:\r\n\r\n",
    "HTTP/1.0 without Host": b"GET /x HTTP/1.0\r\n\r\n",
    "HTTP/1.0 with Host": b"GET /x HTTP/1.0\r\nHost: api.example.com\r\n\r\n",
    "two equal Hosts": b"GET /x HTTP/1.1\r\nHost: api.example.com\r\nHost: api.example.com\r\n\r\n",
    "absolute target wins": b"GET http://x.example.com/y HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    "white space around": b"GET /x HTTP/1.1\r\nHost:  api.example.com \t\r\n\r\n",
}


def _virtual_host(log: dict[str, object] | None) -> str:
    return str((log or {}).get("route_id") or "-").split("/")[1:2][0] if (log or {}).get("route_id") else "none"


def _selected(rig: Rig, name: str) -> str:
    seen = rig.send(host=name)
    status = "" if seen.response.status == 200 else f" {seen.response.status} {seen.flags} {seen.details}"
    sent = "" if not seen.arrivals or seen.arrivals[0].authority == name else f" sent as {seen.arrivals[0].authority}"
    return f"{_virtual_host(seen.log)}{status}{sent}"
