"""A small API server of the tests: discovery, lists in pages and watches as Kubernetes has them, and what goes wrong
with them at will. The real one is asked in `e2e/`; it cannot be told to be silent, or to send what is no JSON.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

from proxyless.xds.controlplane.apiserver import ApiServer
from proxyless.xds.controlplane.kinds import KINDS

Json = dict[str, Any]


def plural(kind: str) -> str:
    lower = kind.lower()
    if lower.endswith("y") and lower[-2] not in "aeo":
        return lower[:-1] + "ies"
    return lower + ("es" if lower.endswith("s") else "" if lower == "endpoints" else "s")


class Small(ThreadingHTTPServer):
    """`objects` by plural name, key; `history` of events; `version` counts. Hooks: see the attributes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.turn = threading.Condition()
        self.version = 100
        self.oldest = 0  # watches from before are refused with 410
        self.objects: dict[str, dict[str, Json]] = {}
        self.history: list[tuple[int, str, str, Json]] = []
        self.missing: set[str] = set()  # plural names that are not served
        self.codes: dict[str, int] = {}  # plural name: what it is answered with
        self.raw: dict[str, bytes] = {}  # plural name: a line that its next watch begins with
        self.silent: set[str] = set()  # plural names whose watches bring nothing
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.tokens: list[str] = []
        self.wrote: list[tuple[str, str]] = []  # method, path
        self.starting = False
        self.generation = 0  # watches of an earlier one end
        self.page = 500
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def api(self) -> ApiServer:
        from kubernetes import client

        configuration = client.Configuration()
        configuration.host = f"http://127.0.0.1:{self.server_port}"
        configuration.api_key = {"authorization": "Bearer secret-token"}
        return ApiServer(client.ApiClient(configuration))

    def apply(self, kind: str, name: str, namespace: str = "shop", **content: Any) -> None:
        """Adds or replaces an object."""
        with self.turn:
            known = self.objects.setdefault(plural(kind), {})
            event = "MODIFIED" if f"{namespace}/{name}" in known else "ADDED"
            self.version += 1
            meta = {"name": name, "resourceVersion": str(self.version), **content.pop("metadata", {})}
            if namespace:
                meta["namespace"] = namespace
            item = {"metadata": meta, **content}
            known[f"{namespace}/{name}"] = item
            self._happened(event, kind, item)

    def delete(self, kind: str, name: str, namespace: str = "shop", *, told: bool = True) -> None:
        with self.turn:
            item = self.objects[plural(kind)].pop(f"{namespace}/{name}")
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            if told:
                self._happened("DELETED", kind, item)

    def forget(self) -> None:
        """Watches end, and cannot go on from where they were."""
        with self.turn:
            self.version += 1
            self.oldest = self.version
            self.history.clear()
            self.end_watches()

    def end_watches(self) -> None:
        with self.turn:
            self.generation += 1
            self.turn.notify_all()

    def _happened(self, event: str, kind: str, item: Json) -> None:
        whole = {"kind": kind, "apiVersion": _version(kind), **item}
        self.history.append((self.version, event, plural(kind), whole))
        self.turn.notify_all()

    def end(self) -> None:
        self.end_watches()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None: ...


def _version(name: str) -> str:
    kind = KINDS[name]
    return f"{kind.group}/{kind.versions[0]}" if kind.group else kind.versions[0]


def _place(parts: list[str]) -> tuple[str, str]:
    """(plural name, key) of one object's path."""
    return parts[-2], f"{parts[-3] if 'namespaces' in parts else ''}/{parts[-1]}"


class Handler(BaseHTTPRequestHandler):
    server: Small
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlparse(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.server.asked.append((url.path, query))
        self.server.tokens.append(self.headers.get("authorization", ""))
        parts = url.path.strip("/").split("/")
        if url.path == "/readyz":
            self._say(500 if self.server.starting else 200, {})
        elif url.path == "/version":
            self._say(200, {"gitVersion": "v1.36.3"})
        elif "namespaces" in parts[:-3] or parts[-2] == "validatingwebhookconfigurations":
            self._one(*_place(parts))
        elif parts[0] == "apis" and len(parts) == 2:
            self._group(parts[1])
        elif len(parts) == (2 if parts[0] == "api" else 3):
            self._resources("/".join(parts[1:]))
        else:
            self._objects(parts[-1], query)

    def _group(self, group: str) -> None:
        served = [each for name, each in KINDS.items() if each.group == group and plural(name) not in self._missing()]
        versions = {version: None for each in served for version in each.versions}
        if served:
            self._say(200, {"versions": [{"version": each} for each in versions]})
        else:
            self._fail(404, "the server could not find the requested resource")

    def _resources(self, version: str) -> None:
        found = [
            {"name": plural(name), "kind": name}
            for name, kind in KINDS.items()
            if plural(name) not in self._missing()
            and version in [f"{kind.group}/{each}" if kind.group else each for each in kind.versions]
        ]
        self._say(200, {"resources": [*found, {"name": "services/status", "kind": "Service"}]})

    def do_POST(self) -> None:
        parts, body = self._written()
        name, namespace = parts[-1], parts[-2] if "namespaces" in parts else ""
        key = f"{namespace}/{body['metadata']['name']}"
        if self._refused(name):
            return
        if key in self.server.objects.get(name, {}):
            self._fail(409, f"{name} {key} already exists")
        else:
            self._say(201, self._put(name, key, body))

    def do_PUT(self) -> None:
        parts, body = self._written()
        status = parts[-1] == "status"
        name, key = _place(parts[:-1] if status else parts)
        held = self.server.objects.get(name, {}).get(key)
        if self._refused(name):
            return
        if held is None:
            self._fail(404, f'{name} "{key}" not found')
        elif held["metadata"]["resourceVersion"] != body["metadata"].get("resourceVersion"):
            self._fail(409, f"{name} {key} has been modified")
        else:
            self._say(200, self._put(name, key, {**held, "status": body.get("status")} if status else body))

    def do_PATCH(self) -> None:
        parts, body = self._written()
        name, key = _place(parts)
        held = self.server.objects.get(name, {}).get(key)
        if held is None:
            self._fail(404, f'{name} "{key}" not found')
        else:
            self._say(200, self._put(name, key, {**held, "data": {**held.get("data", {}), **body.get("data", {})}}))

    def _written(self) -> tuple[list[str], Json]:
        parts = urlparse(self.path).path.strip("/").split("/")
        self.server.wrote.append((self.command, self.path))
        return parts, json.loads(self.rfile.read(int(self.headers["content-length"])))

    def _refused(self, name: str) -> bool:
        code = self.server.codes.get(name)
        if code is not None:
            self._fail(code, f"{name} is not to be written by you")
        return code is not None

    def _put(self, name: str, key: str, body: Json) -> Json:
        with self.server.turn:
            self.server.version += 1
            made = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.server.version)}}
            self.server.objects.setdefault(name, {})[key] = made
            return made

    def _one(self, name: str, key: str) -> None:
        if name in self.server.codes:
            self._fail(self.server.codes[name], f"{name} is not to be read by you")
            return
        item = self.server.objects.get(name, {}).get(key)
        if item is None:
            self._fail(404, f'{name} "{key}" not found')
        else:
            kind = next((each for each in KINDS if plural(each) == name), "")
            self._say(200, {**({"kind": kind, "apiVersion": _version(kind)} if kind else {}), **item})

    def _missing(self) -> set[str]:
        return self.server.missing

    def _objects(self, name: str, query: dict[str, str]) -> None:
        server = self.server
        if name in server.missing:
            self._fail(404, "the server could not find the requested resource")
        elif name in server.codes:
            self._fail(server.codes[name], f"{name} is not to be read by you")
        elif "watch" in query:
            self._watch(name, int(query["resourceVersion"]))
        else:
            with server.turn:
                items, version = list(server.objects.get(name, {}).values()), str(server.version)
            start = int(query.get("continue", "0"))
            more = str(start + server.page) if start + server.page < len(items) else ""
            page = items[start : start + server.page]
            self._say(200, {"items": page, "metadata": {"resourceVersion": version, "continue": more}})

    def _watch(self, name: str, since: int) -> None:
        server = self.server
        if since < server.oldest:
            self._begin()
            self._event({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
            self._chunk(b"")
            return
        generation = server.generation
        self._begin()
        if name in server.raw:
            self._chunk(server.raw.pop(name))
        while server.generation == generation:
            with server.turn:
                due = [(at, kind, item) for at, kind, which, item in server.history if at > since and which == name]
                if name in server.silent or not due:
                    server.turn.wait(1)
                    continue
            for at, kind, item in due:
                since = at
                self._event({"type": kind, "object": item})
        self._chunk(b"")

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _event(self, event: Json) -> None:
        self._chunk(json.dumps(event).encode() + b"\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _fail(self, code: int, message: str) -> None:
        self._say(code, {"kind": "Status", "code": code, "message": message})

    def _say(self, code: int, value: Json) -> None:
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...
