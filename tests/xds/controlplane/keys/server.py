"""A server of key sets on loopback: what it says at each path can be changed while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.in_thread import in_thread

KEYS = json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": "c2VjcmV0", "kid": "k"}]}) + "\n"
OTHER = json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": "b3RoZXI", "kid": "o"}]})


class Pages(dict[str, tuple[int, str]]):
    """What is answered by path: a status and a body, or a status and where to go."""

    url = ""


@contextmanager
def served(pages: Pages) -> Iterator[str]:
    """Where it is served."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.get(self.path, (404, "nothing"))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", body)
                body = ""
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_said: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pages.url = f"http://127.0.0.1:{server.server_address[1]}"
    with in_thread(server):
        yield pages.url
