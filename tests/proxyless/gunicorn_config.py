"""A configuration of gunicorn as docs/tls.md has it, with an app that says who it is told that the client is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import proxyless


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Any server's: WSGI."""
    found = proxyless.tls.peer()
    body = json.dumps({"uris": found.uri_sans if found is not None else None, "path": environ["PATH_INFO"]}).encode()
    start_response("200 OK", [("content-type", "application/json"), ("content-length", str(len(body)))])
    return [body]


def mesh_of(recorded: str, identity: str) -> proxyless.Mesh:
    """A recorded one, with certificates in a folder."""
    folder = Path(identity)
    files = proxyless.Identity.from_files(*(folder / name for name in ("chain.pem", "key.pem", "roots.pem")))
    return proxyless.Mesh.from_recorded(Path(recorded), registry=False, identity=files)


if "GUNICORN_RECORDED" in os.environ:
    wsgi_app = f"{__name__}:app"
    port = os.environ.get("GUNICORN_PORT", "8080")
    ssl_context = proxyless.tls.gunicorn(
        mesh_of(os.environ["GUNICORN_RECORDED"], os.environ["GUNICORN_IDENTITY"]), port=int(port) if port else None
    )
    certfile = __file__
    control_socket_disable = True  # nothing outside the folder of a test
