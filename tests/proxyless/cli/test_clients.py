"""`proxyless clients` beside a real `proxyless serve` and a real client of it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxyless import Mesh, Node
from proxyless.cli import main
from proxyless.cli._clients_view import detail, table
from proxyless.cli._status_view import console
from tests.proxyless.cli.test_serve import Serving
from tests.support.waiting import wait_for
from tests.xds.controlplane.support import endpoints, service

NODE = Node(app="me", namespace="shop", ip="127.0.0.9", labels={"version": "v7"})


@pytest.fixture(autouse=True)
def own_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests serve, too."""
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    folder = tmp_path / "istio"
    folder.mkdir()
    (folder / "a.yaml").write_text(service("a", "http:80") + endpoints("a", "http:80", "127.0.0.5"))
    with Serving(folder, "--status-listen", "127.0.0.1:0") as running:
        yield running


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["clients", *arguments])
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_who_is_connected_and_what_it_has(serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    address = serving.address
    assert ran(capsys) == (0, "no clients\n", "")
    with Mesh(address, node=NODE, registry=False, cache_dir=False) as mesh:
        mesh.wait_ready(30)

        def document(*arguments: str) -> Any:
            return json.loads(ran(capsys, "--json", *arguments)[1])

        def synced() -> bool:
            types = document()["clients"][0]["types"]
            return all(each["state"] == "SYNCED" for each in types.values()) and "LDS" in types

        wait_for(synced)
        (client,) = document()["clients"]
        assert (client["namespace"], client["ip"], client["rejected"]) == ("shop", "127.0.0.9", 0)
        assert client["labels"]["version"] == "v7"
        assert client["types"]["LDS"]["bytes"] > 100
        assert client["types"]["LDS"]["error"] is None
        status, out, _ = ran(capsys)
        assert status == 0
        head, line = out.splitlines()
        assert re.split(r"\s{2,}", head)[:8] == ["NAME", "CLUSTER", "IP", "VERSION", "CDS", "LDS", "EDS", "RDS"]
        assert line.startswith(client["name"])
        assert re.search(r"SYNCED \(\d+s\)", line)
        name = client["name"].partition(".")[0]
        assert "version=v7" in ran(capsys, name)[1]
        assert document("-n", "other")["clients"] == []
        assert ran(capsys, "nobody") == (1, "nobody is not connected\n", "")
        url = serving.said("status at ").removeprefix("status at ").removesuffix("/status")
        assert document("--url", url)["clients"][0]["name"] == client["name"]
        with urllib.request.urlopen(url + "/metrics") as answer:
            metrics = answer.read().decode()
        assert re.search(r'^pilot_xds\{version=".*"\} 1.0$', metrics, re.M)
        assert re.search(r'^pilot_xds_pushes\{type="lds"\} [1-9]', metrics, re.M)
        assert re.search(r'^pilot_xds_push_time_count\{type="cds"\} [1-9]', metrics, re.M)
        assert 'pilot_xds_config_size_bytes_bucket{le="+Inf",type="type.googleapis.com/envoy.config.clus' in metrics
        assert "pilot_proxy_convergence_time_count 0.0" in metrics
        assert "pilot_services 1.0" in metrics
        assert ran(capsys, "--url", url, "--pid", "1")[0] == 2


def test_nobody_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = ran(capsys)
    assert (status, out) == (2, "")
    assert err.startswith("proxyless: no `proxyless serve` was found")
    assert "process 1 serving was found" in ran(capsys, "--pid", "1")[2]
    assert "does not answer" in ran(capsys, "--url", "127.0.0.1:9")[2]
    assert "no address over HTTP" in ran(capsys, "--url", "file:///etc/passwd")[2]


def client(**types: dict[str, Any]) -> dict[str, Any]:
    blank = {"since": None, "bytes": 0, "names": 0, "version": "", "error": None}
    return {
        "name": "web-0.shop",
        "node": "sidecar~10.0.0.1~web-0.shop~shop.svc.cluster.local",
        "namespace": "shop",
        "ip": "10.0.0.1",
        "cluster": "Kubernetes",
        "labels": {"app": "web"},
        "program": "envoy",
        "istio_version": "1.31.0",
        "peer": "ipv4:127.0.0.1:5",
        "protocol": "incremental",
        "since": 0.0,
        "version": "v/1",
        "rejected": 1,
        "types": {name: blank | each for name, each in types.items()},
    }


def test_what_is_refused_stands_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    one = client(CDS={"state": "ERROR", "error": "no such field", "since": 1.0}, EDS={"state": "NOT SENT"})
    console().print(table([one]))
    out = capsys.readouterr().out
    assert "web-0.shop: CDS: no such field" in out
    assert re.search(r"ERROR \(\d+d\)\s+IGNORED\s+NOT SENT\s+IGNORED", out)
    console().print(detail([one], "web-0"))
    assert "no such field" in capsys.readouterr().out
