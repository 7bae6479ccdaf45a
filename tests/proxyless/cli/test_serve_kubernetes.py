"""`proxyless serve --kubernetes` as somebody sees it who runs it: what it waits for, says, and answers over HTTP."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from proxyless.cli import main
from tests.proxyless.cli.test_serve import PATIENCE_S, Serving
from tests.support.waiting import wait_for
from tests.xds.controlplane.source.api_server import Small


def kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "secret-token"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
    )


def test_a_cluster_is_served_once_every_kind_was_read_and_followed(tmp_path: Path) -> None:
    server = Small()
    server.codes = {"pods": 403}
    server.missing = {"tcproutes"}
    server.apply("Service", "catalog", spec={"ports": [{"port": 80}]})
    server.apply("VirtualService", "bad", spec={"hosts": 7})
    (tmp_path / "config").write_text(kubeconfig(server.api.url))
    options = ("--kubeconfig", "config", "--status-listen", "127.0.0.1:0")
    with Serving(tmp_path, *options, what="--kubernetes") as serving:
        found = re.search(r"http://[\d.:]+", serving.said("status at"))
        assert found is not None
        ask = httpx.Client(base_url=found[0], timeout=PATIENCE_S)
        wait_for(lambda: ask.get("/ready").text == "not ready: Pod\n", PATIENCE_S)
        assert ask.get("/ready").status_code == 503
        assert ask.get("/status").json()["ready"] is False
        metrics = ask.get("/metrics").text
        assert 'proxyless_kubernetes_kind_condition{condition="Forbidden",kind="Pod"} 1.0' in metrics
        assert 'proxyless_kubernetes_kind_condition{condition="Missing",kind="TCPRoute"} 1.0' in metrics
        assert "proxyless_serve_ready 0.0" in metrics
        server.codes = {}
        serving.said("services: 1 (catalog.shop.svc.cluster.local)")
        assert ask.get("/ready").text == "ready\n"
        serving.said("refused VirtualService shop/bad: spec.hosts must be")
        serving.said("noted gateway.networking.k8s.io: is not served by this cluster (Missing): TCPRoute")
        server.apply("Service", "cart", spec={"ports": [{"port": 80}]})
        assert serving.said("Service shop/cart").endswith("added Service shop/cart")
        server.codes = {"services": 403}
        server.end_watches()
        assert serving.said("(Forbidden)").endswith("is not to be read by you; what it said before stays in force")
        server.codes = {}
        serving.said("repaired Service")
        document = ask.get("/status").json()
        assert document["api_server"] == server.api.url
        assert document["objects"]["Service"] == 2
        kinds = {each["kind"]: each for each in document["kinds"]}
        assert kinds["Service"]["restarts"]["Forbidden"] >= 1
        metrics = ask.get("/metrics").text
        assert 'proxyless_kubernetes_objects_refused{kind="VirtualService"} 1.0' in metrics
        assert "proxyless_serve_errors 0.0" not in metrics
        assert "secret-token" not in metrics + json.dumps(document) + "\n".join(serving.lines)
        assert serving.end() == 0
    server.end()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of DIR and --kubernetes"),
        (["--kubernetes", "."], "one of DIR and --kubernetes"),
        ([".", "--without", "Pod"], "--without KIND is for --kubernetes"),
        (["--kubernetes", "--mesh-config", "x"], "the ConfigMap istio-system/istio has it"),
        (["--kubernetes", "--kubeconfig", "nowhere"], "there is no configuration for Kubernetes"),
        (["--kubernetes", "--kubeconfig", "config", "--without", "Secret"], "--without Secret: no kind that is read"),
        ([".", "--status-listen", "here"], 'cannot listen on "here"'),
    ],
)
def test_what_does_not_go_together_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    (tmp_path / "config").write_text(kubeconfig("http://127.0.0.1:9"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
