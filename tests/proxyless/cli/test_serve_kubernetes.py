"""`proxyless serve --kubernetes` as somebody sees it who runs it: what it waits for, says, and answers over HTTP."""

from __future__ import annotations

import json
import re
import ssl
from pathlib import Path

import httpx
import pytest

from proxyless.cli import main
from tests.proxyless.cli.test_serve import PATIENCE_S, Serving
from tests.support.waiting import wait_for
from tests.xds.controlplane.source.api_server import Small
from tests.xds.controlplane.support import istio
from tests.xds.controlplane.test_admission import of, review


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
        server.codes = {"sidecars": 403}
        server.end_watches()
        # Nothing of that kind was there, and that is what stays in force.
        assert serving.said("refused Sidecar").endswith("; what it said before stays in force")
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
        ([".", "--revision", "x"], "--revision NAME is for --kubernetes"),
        ([".", "--write-status"], "are for --kubernetes"),
        (["--kubernetes", "--publish-root", "x"], "--publish-root needs --ca-dir"),
        (["--kubernetes", "--webhook-config", "x"], "--webhook-config needs --webhook-listen"),
        ([".", "--webhook-strict"], "are for --webhook-listen"),
        ([".", "--webhook-listen", "127.0.0.1:0", "--webhook-cert", "x"], "go together"),
        ([".", "--webhook-listen", "127.0.0.1:0"], "needs --webhook-cert and --webhook-key, or --ca-dir"),
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


def test_objects_are_checked_against_a_folder_as_well(tmp_path: Path) -> None:
    options = ("--ca-dir", "ca", "--webhook-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0")
    with Serving(tmp_path, *options, "--server-name", "controller.mesh.svc") as serving:
        found = re.search(r"https://\S+", serving.said("checking objects at"))
        monitor = re.search(r"http://[\d.:]+", serving.said("status at"))
        assert found is not None
        assert monitor is not None
        trusted = ssl.create_default_context(cafile=str(tmp_path / "ca" / "root-cert.pem"))
        with httpx.Client(verify=trusted, timeout=PATIENCE_S) as ask:
            name = {"sni_hostname": "controller.mesh.svc"}
            asked = json.dumps(review(of(istio("VirtualService", "x", "{hosts: 7}"))))
            answer = ask.post(found[0], content=asked, extensions=name).json()
        assert answer["response"]["allowed"] is False
        with httpx.Client(base_url=monitor[0], timeout=PATIENCE_S) as ask:
            assert 'proxyless_webhook_reviews_total{outcome="refused"} 1.0' in ask.get("/metrics").text
            assert ask.get("/status").json()["webhook"]["reviews"]["refused"] == 1
        assert serving.end() == 0


def test_the_leader_writes_what_it_is_asked_to_and_says_so(tmp_path: Path) -> None:
    server = Small()
    server.apply("Namespace", "shop", namespace="")
    (tmp_path / "config").write_text(kubeconfig(server.api.url))
    options = ("--kubeconfig", "config", "--status-listen", "127.0.0.1:0", "--ca-dir", "ca", "--replica", "one")
    try:
        with Serving(tmp_path, *options, "--publish-root", "mesh-root", what="--kubernetes") as serving:
            found = re.search(r"http://[\d.:]+", serving.said("status at"))
            assert found is not None
            ask = httpx.Client(base_url=found[0], timeout=PATIENCE_S)
            wait_for(lambda: "shop/mesh-root" in server.objects.get("configmaps", {}), PATIENCE_S)
            wait_for(lambda: ask.get("/status").json()["leader"]["duties"][0]["condition"] == "Done", PATIENCE_S)
            leader = ask.get("/status").json()["leader"]
            assert leader["leading"]
            assert leader["replica"] == leader["holder"]
            assert leader["replica"].startswith("one_")
            metrics = ask.get("/metrics").text
            assert "proxyless_leader 1.0" in metrics
            assert 'proxyless_duty_condition{condition="Done",duty="root certificate"} 1.0' in metrics
            assert 'proxyless_duty_writes_total{duty="root certificate"} 1.0' in metrics
            assert serving.end() == 0
        (held,) = server.objects["leases"].values()
        assert held["spec"]["holderIdentity"] == "", "it is given back"
    finally:
        server.end()
