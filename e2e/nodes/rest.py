"""The API server in plain JSON: what is read and written here are documents, as `kubectl get -o json` shows them."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

Document = dict[str, Any]
PATCHES = {"merge": "merge-patch", "strategic": "strategic-merge-patch"}
WATCH_S = 240
AGAIN_S = 0.2
"""Between two attempts to reach an API server that is away."""


class Rest:
    """May be used by many threads."""

    def __init__(self, url: str, certificate: Path | None = None, token: str = "") -> None:
        self.url, self.certificate = url, certificate
        self._client = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            verify=ssl.create_default_context(cafile=certificate) if certificate else False,
            limits=httpx.Limits(max_connections=None),
            timeout=30,
            trust_env=False,
        )

    @classmethod
    def of(cls, kubeconfig: Path) -> Self:
        """As the user of a kubeconfig file, who has a token."""
        said = yaml.safe_load(kubeconfig.read_text())
        cluster, user = said["clusters"][0]["cluster"], said["users"][0]["user"]
        return cls(cluster["server"], Path(cluster["certificate-authority"]), user["token"])

    def close(self) -> None:
        self._client.close()

    def get(self, path: str) -> Document:
        return self._said(self._ask("GET", path))

    def find(self, path: str) -> Document | None:
        """None where there is none."""
        answer = self._ask("GET", path)
        return None if answer.status_code == 404 else self._said(answer)

    def post(self, path: str, body: Document) -> Document:
        return self._said(self._ask("POST", path, body))

    def patch(self, path: str, body: Document, kind: str = "merge") -> Document:
        """`kind` strategic merges conditions by their type, where the server knows the type."""
        return self._said(self._ask("PATCH", path, body, f"application/{PATCHES[kind]}+json"))

    def delete(self, path: str, body: Document | None = None) -> None:
        """What is gone already is no error, nor is another object of that name (409, by a precondition on the uid)."""
        answer = self._ask("DELETE", path, body or {})
        if answer.status_code not in (404, 409):
            self._said(answer)

    def _ask(
        self, method: str, path: str, body: Document | None = None, kind: str = "application/json"
    ) -> httpx.Response:
        """Once more where the connection turns out to have ended: with the API server before this one."""
        content = None if body is None else json.dumps(body)
        headers = {} if body is None else {"content-type": kind}
        try:
            return self._client.request(method, path, content=content, headers=headers)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return self._client.request(method, path, content=content, headers=headers)

    def follow(
        self, path: str, heard: Callable[[str, Document], None], ended: threading.Event, listed: threading.Event
    ) -> None:
        """Until `ended`: `heard("SET" or "GONE", object)` for what is there and for each change; survives a server that
        is away, and lists again after it."""
        known: dict[str, Document] = {}
        while not ended.is_set():
            try:
                answer = self.get(path)
                now = {each["metadata"]["uid"]: each for each in answer["items"]}
                for gone in known.keys() - now.keys():
                    heard("GONE", known.pop(gone))
                for uid, each in now.items():
                    known[uid] = each
                    heard("SET", each)
                listed.set()
                for kind, each in self._watch(path, answer["metadata"]["resourceVersion"], ended):
                    if kind == "DELETED":
                        known.pop(each["metadata"]["uid"], None)
                        heard("GONE", each)
                    else:
                        known[each["metadata"]["uid"]] = each
                        heard("SET", each)
            except (httpx.HTTPError, ValueError, KeyError):
                ended.wait(AGAIN_S)

    def _watch(self, path: str, version: str, ended: threading.Event) -> Iterator[tuple[str, Document]]:
        asked = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_S)}
        with self._client.stream("GET", path, params=asked, timeout=httpx.Timeout(30, read=WATCH_S + 30)) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if ended.is_set():
                    return
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]

    @staticmethod
    def _said(answer: httpx.Response) -> Document:
        if answer.is_error:
            message = f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}"
            raise httpx.HTTPStatusError(message, request=answer.request, response=answer)
        found: Document = answer.json()
        return found
