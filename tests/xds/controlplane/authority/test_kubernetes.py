"""TokenReview, asked of an HTTP server that answers as the API server's does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane.authority.callers import AuthorityError, Caller
from proxyless.xds.controlplane.authority.kubernetes import ReviewError, TokenReview
from tests.support.in_thread import in_thread

Json = dict[str, Any]
GOOD: Json = {
    "authenticated": True,
    "audiences": ["istio-ca"],
    "user": {
        "username": "system:serviceaccount:shop:cart",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
    },
}


class ApiServer(ThreadingHTTPServer):
    """Knows tokens by a dictionary of statuses; keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.known: dict[str, Json] = {"good": GOOD}
        self.asked: list[Json] = []
        self.paths: list[str] = []
        self.code = 201

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(asked["spec"])
        self.server.paths.append(self.path)
        said = self.server.known.get(asked["spec"]["token"], {"authenticated": False})
        body = json.dumps({**asked, "status": said}).encode()
        self.send_response(self.server.code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with in_thread(ApiServer()) as server:
        yield server


def review(url: str, cluster: str = "") -> TokenReview:
    from kubernetes import client

    configuration = client.Configuration()
    configuration.host = url
    configuration.retries = False
    return TokenReview(client.ApiClient(configuration), cluster=cluster)


def test_a_token_is_reviewed_for_the_audience_of_the_authority(api: ApiServer) -> None:
    assert review(api.url).caller("good", "Kubernetes") == Caller("shop", "cart")
    assert api.asked == [{"token": "good", "audiences": ["istio-ca"]}]
    assert api.paths == ["/apis/authentication.k8s.io/v1/tokenreviews"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"authenticated": False}, "does not know"),
        ({**GOOD, "authenticated": False}, "does not know"),
        ({**GOOD, "error": "the token has expired"}, "does not know"),
        ({}, "does not know"),
        ({**GOOD, "audiences": ["https://kubernetes.default.svc"]}, "not for the audience istio-ca"),
        ({**GOOD, "audiences": None}, "not for the audience istio-ca"),
        ({**GOOD, "user": {**GOOD["user"], "groups": ["system:authenticated"]}}, "not a service account's"),
        ({**GOOD, "user": None}, "not a service account's"),
        ({**GOOD, "user": {**GOOD["user"], "username": "jane"}}, "no service account"),
        ({**GOOD, "user": {**GOOD["user"], "username": "system:serviceaccount:a/b:c"}}, "no service account"),
        ({**GOOD, "user": {**GOOD["user"], "username": "system:node:a:b"}}, "no service account"),
    ],
)
def test_everything_else_is_refused(api: ApiServer, said: Json, why: str) -> None:
    api.known["other"] = said
    with pytest.raises(AuthorityError, match=why) as error:
        review(api.url).caller("other", "")
    assert error.value.status == "UNAUTHENTICATED"


def test_a_token_that_nobody_knows_is_refused(api: ApiServer) -> None:
    with pytest.raises(AuthorityError, match="does not know"):
        review(api.url).caller("secret-token", "")


def test_a_workload_of_another_cluster_is_refused_unasked(api: ApiServer) -> None:
    with pytest.raises(AuthorityError, match="'west' is not known"):
        review(api.url, "east").caller("good", "west")
    assert api.asked == []
    assert review(api.url, "east").caller("good", "east") == Caller("shop", "cart")


@pytest.mark.parametrize("how", ["forbidden", "away"])
def test_an_api_server_that_does_not_answer_is_said_and_no_token_is(
    api: ApiServer, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    api.code = 403
    asked = review(api.url if how == "forbidden" else "http://127.0.0.1:9")
    with pytest.raises(AuthorityError, match="cannot be asked") as error:
        asked.caller("secret-token", "")
    assert error.value.status == "UNAVAILABLE"
    assert "secret-token" not in caplog.text + str(error.value)


def test_without_a_configuration_there_is_nobody_to_ask(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="no configuration for Kubernetes"):
        TokenReview(kubeconfig=str(tmp_path / "none"))


def test_a_kubeconfig_says_who_is_asked(api: ApiServer, tmp_path: Path) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    assert TokenReview(kubeconfig=str(file)).caller("good", "") == Caller("shop", "cart")
