"""A Pod from outside: by an API server, and by a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxyless.cli import main
from proxyless.injecting import Wanted, injected
from tests.proxyless.cli.test_serve_kubernetes import kubeconfig
from tests.proxyless.examining.test_parts import WEB, backed, peers
from tests.proxyless.injecting.test_manifest import DEPLOYMENT, pod
from tests.support.certificates import authority
from tests.xds.controlplane.source.api_server import Small


@pytest.fixture
def server() -> Iterator[Small]:
    made = Small()
    yield made
    made.end()


def looked(
    server: Small, folder: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, dict[str, list[str]]]:
    (folder / "config").write_text(kubeconfig(server.api.url))
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--kubeconfig", str(folder / "config"), "--pod", "shop/cart", "--json", *more])
    document = json.loads(capsys.readouterr().out)
    found: dict[str, list[str]] = {}
    for each in document["findings"]:
        found.setdefault(each["check"], []).append(f"{each['level']}: {each['text']}")
    assert isinstance(ended.value.code, int)
    assert ended.value.code == int(document["errors"] > 0)
    return ended.value.code, found


def put(server: Small, manifest: str, **meta: Any) -> None:
    template = pod(manifest)
    template["metadata"].update(meta)
    server.apply("Pod", "cart", **template, status={"phase": "Running", "podIP": "10.0.0.7"})


def test_a_pod_that_was_injected_is_well(server: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(server, injected(DEPLOYMENT, Wanted(mtls=True)).text)
    server.apply("ConfigMap", "istio-ca-root-cert", data={"root-cert.pem": authority().pem.decode()})
    server.apply("PeerAuthentication", "default", spec={"mtls": {"mode": "STRICT"}})
    code, found = looked(server, tmp_path, capsys)
    assert code == 0
    assert all(each.startswith("good") for texts in found.values() for each in texts), found
    assert "secret-token" not in json.dumps(found)


def test_what_a_pod_was_not_given_is_said(server: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(server, DEPLOYMENT, annotations={"sidecar.istio.io/status": "{}"})
    server.apply("PeerAuthentication", "default", spec={"mtls": {"mode": "STRICT"}})
    code, found = looked(server, tmp_path, capsys)
    assert code == 1
    assert found["sidecar"] == ["error: Istio's injector has been at this Pod"]
    assert found["environment"] == ["warning: POD_NAME, POD_NAMESPACE, INSTANCE_IP missing in every container"]
    assert found["token"] == ["error: no volume has a service account's token for istio-ca"]
    assert found["root"] == ["warning: no volume has the ConfigMap with the root certificate"]
    assert found["mtls"][0].startswith(
        "error: PeerAuthentication STRICT holds for every port, and this workload has no"
    )


def test_what_may_not_be_read_is_unknown(server: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(server, injected(DEPLOYMENT, Wanted(mtls=True)).text)
    server.codes = {"peerauthentications": 403}
    code, found = looked(server, tmp_path, capsys, "--timeout", "1")
    assert code == 1
    assert found["root"] == ["error: ConfigMap shop/istio-ca-root-cert does not exist: the Pod cannot start"]
    assert found["mtls"] == ["unknown: modes of mTLS cannot be told: PeerAuthentication (Forbidden) not read"]


def test_a_pod_that_is_not_there_is_said(server: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = looked(server, tmp_path, capsys)
    assert code == 1
    assert found == {"pod": ['error: shop/cart cannot be read (Missing): pods "shop/cart" not found']}


def test_a_folder_tells_of_modes_and_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = yaml.safe_dump(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "host": "web",
                "trafficPolicy": {"tls": {"mode": "DISABLE"}, "tunnel": {"targetHost": "a", "targetPort": 1}},
            },
        }
    )
    (tmp_path / "mesh.yaml").write_text(f"{WEB}{backed('web')}{peers('STRICT')}---\n{rule}")
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--config", str(tmp_path), "--pod", "shop/web"])
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert (
        "ERROR   mtls: DestinationRule shop/web says DISABLE for web.shop.svc.cluster.local, whose pods are STRICT"
        in out
    )
    assert "-> take the mode out of the rule" in out
    assert "warning fields: DestinationRule shop/web: spec.trafficPolicy.tunnel is not implemented yet" in out
    assert out.endswith("1 error, 1 warning\n")
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--config", str(tmp_path), "--pod", "shop/none"])
    assert "has no Pod shop/none: there are shop/web" in capsys.readouterr().out


def test_what_is_refused_in_a_folder_is_not_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mesh.yaml").write_text(f"{WEB}{backed('web')}{peers('STRICKT')}")
    (tmp_path / "other.yaml").write_text("hello\n")
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--config", str(tmp_path), "--pod", "shop/web"])
    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert "PeerAuthentication shop/default: spec.mtls.mode must be one of UNSET" in out
    assert ", and 1 more: what is refused is not looked at" in out
    (tmp_path / "mesh.yaml").write_text("")
    with pytest.raises(SystemExit):
        main(["doctor", "--config", str(tmp_path), "--pod", "shop/web"])
    assert "there are none\n          -> write it, or ask a cluster: --kubeconfig" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kubeconfig", "x"], "--pod NAMESPACE/NAME says which Pod"),
        (["--pod", "cart"], "--pod 'cart' is not NAMESPACE/NAME"),
        (["--pod", "shop/cart", "--kubeconfig", "x", "--config", "y"], "one of --kubeconfig and --config"),
        (["--pod", "shop/cart", "--kubeconfig", "nowhere"], "there is no configuration for Kubernetes"),
        (["--pod", "shop/cart", "--config", "nowhere"], "nowhere"),
    ],
)
def test_what_does_not_go_together_is_said(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
