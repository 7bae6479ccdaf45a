"""A folder of YAML that calls follow: two backends, of which the file names one."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import httpx

from tests.support.backends import Backends

ONE, OTHER = ("127.0.31.1", 8080), ("127.0.31.2", 8080)
URL = "http://web.example.com/"
PATIENCE_S = 30.0

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: ADDRESS, ports: {http: PORT}}]
"""


def entry(backends: Backends, address: tuple[str, int]) -> str:
    """The file that sends calls there."""
    return ENTRY.replace("ADDRESS", address[0]).replace("PORT", str(backends.ports[address]))


def answered_by(client: httpx.Client) -> str:
    """Which backend answers a call; its status, if it is none that answers."""
    response = client.get(URL)
    return str(response.json()["backend"]).partition(":")[0] if response.is_success else str(response.status_code)


def goes_to(client: httpx.Client, address: tuple[str, int]) -> float:
    """Calls until that backend answers; how many seconds that took."""
    began = monotonic()
    while answered_by(client) != address[0]:
        assert monotonic() - began < PATIENCE_S, f"no call went to {address[0]} within {PATIENCE_S} s"
    return monotonic() - began


def written(folder: Path, text: str) -> Path:
    """web.yaml with that text, written at once, as careful editors write."""
    file = folder / "web.yaml"
    (folder / "web.new").write_text(text)
    (folder / "web.new").replace(file)
    return file
