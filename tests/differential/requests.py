"""A request as a program means it: what is dialled, and what goes over the wire."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.differential.recording import Recording
from tests.differential.rig import Sent
from tests.support.behaviour import Address, Headers

_URL = re.compile(r"http://(?P<host>\[[^]]*\]|[^/:?#]*)(:(?P<port>\d+))?(?P<target>.*)", re.DOTALL)
NOWHERE = "192.0.2.1"
"""The address of names that no name table holds (TEST-NET-1): only its port decides."""


OWN: Address = ("127.0.10.1", 40000)
"""Where requests come from, if the recording names no node."""


@dataclass(frozen=True, slots=True)
class Request:
    """Method, URL and headers in order; a `host` header overrides the URL's. Text is UTF-8 on the wire.

    `at_s`: when it is sent, on the timeline of a case.
    """

    method: str = "GET"
    url: str = "http://catalog/"
    headers: Headers = ()
    body: bytes = b""
    at_s: float = 0.0

    @property
    def host(self) -> str:
        """The host that is dialled, in lower case as client libraries have it."""
        return self._parts()["host"].lower()

    @property
    def port(self) -> int:
        """The port that is dialled."""
        return int(self._parts()["port"] or 80)

    @property
    def target(self) -> str:
        """What stands behind the method."""
        target = self._parts()["target"]
        return target if target.startswith("/") else "/" + target

    @property
    def fragment(self) -> bool:
        """Whether the target holds a `#`, which no client sends of its own."""
        return "#" in self.target

    @property
    def authority(self) -> str:
        """The Host header."""
        own = next((value for name, value in self.headers if name.lower() == "host"), None)
        return own if own is not None else self.host if self.port == 80 else f"{self.host}:{self.port}"

    def _parts(self) -> Mapping[str, str]:
        match = _URL.fullmatch(self.url)
        if match is None:
            raise ValueError(f"not an http URL: {self.url!r}")
        return match.groupdict(default="")

    def header(self, name: str) -> str | None:
        """The first value sent of a header."""
        return next((value for own, value in self.headers if own.lower() == name), None)

    def all_headers(self) -> Headers:
        """With the Host header in front where the program wrote none."""
        return self.headers if self.header("host") is not None else (("host", self.authority), *self.headers)

    def wire(self) -> bytes:
        """The bytes of HTTP/1.1, with a content-length where there is a body."""
        headers = self.all_headers()
        if self.body and self.header("content-length") is None and self.header("transfer-encoding") is None:
            headers = (*headers, ("content-length", str(len(self.body))))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode() + self.body


class Names:
    """What a pod's resolver says: the recorded name table, the search domains of the node's namespace."""

    def __init__(self, recording: Recording) -> None:
        namespace = recording.node.get("metadata", {}).get("NAMESPACE", "shop")
        suffix = "svc.cluster.local"
        self._search = (f"{namespace}.{suffix}", suffix, "cluster.local")
        self._table: dict[str, str] = {}
        address = str(recording.node.get("id", "")).split("~")[1:2]
        self._source: Address = (address[0], 40000) if address else OWN
        for resource in recording.names.values():
            self._table.update({name: entry["ips"][0] for name, entry in resource.get("table", {}).items()})

    def address(self, request: Request) -> Address:
        """Where the connection of a request goes before anybody interferes."""
        host = request.host.strip("[]")
        try:
            return str(ipaddress.ip_address(host)), request.port
        except ValueError:
            pass
        absolute = host.rstrip(".")
        candidates = [absolute] if host.endswith(".") else [absolute, *(f"{host}.{each}" for each in self._search)]
        found = next((self._table[each] for each in candidates if each in self._table), NOWHERE)
        return found, request.port

    def sent(self, request: Request) -> Sent:
        """The request as the rig sends it."""
        return Sent(request.wire(), self.address(request), self._source, mark=request.header("x-mark") or "")
