"""`proxyless serve` as somebody sees it who runs it and edits files: what it says, and where calls go meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from proxyless import Mesh, Node
from proxyless.cli import main
from proxyless.httpx import Transport
from tests.proxyless.following import ONE, OTHER, answered_by, entry, goes_to, written
from tests.support.backends import Backends
from tests.support.modes import forbidden
from tests.support.waiting import wait_for
from tests.xds.controlplane.support import istio, service

NODE = Node(app="me", namespace="shop", ip="127.0.0.9")
PATIENCE_S = 30.0


class Serving:
    """The command as a process: the lines that it has printed so far."""

    def __init__(self, folder: Path, *options: str, what: str = ".") -> None:
        command = [sys.executable, "-c", "from proxyless.cli import main; main()", "serve", what]
        self.process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", *options],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def said(self, text: str) -> str:
        """The first line with that text, once it is there."""
        wait_for(lambda: any(text in line for line in self.lines) or self.process.poll() is not None, PATIENCE_S)
        found = [line for line in self.lines if text in line]
        assert found, self.lines
        return found[0]

    @property
    def address(self) -> str:
        found = re.search(r"xds://[\d.:]+", self.said("xds://"))
        assert found is not None
        return found[0]

    def end(self, how: int = signal.SIGTERM) -> int:
        """Its exit status."""
        self.process.send_signal(how)
        status = self.process.wait(PATIENCE_S)
        self._thread.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.end(signal.SIGKILL)


@pytest.fixture
def backends() -> Iterator[Backends]:
    with Backends([ONE, OTHER]) as made:
        yield made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def without_time(line: str) -> str:
    return re.sub(r"^\d\d:\d\d:\d\d ", "", line)


def test_it_says_what_it_serves(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(service("web", "http:80") + service("cart", "http:80"))
    (tmp_path / "bad.yaml").write_text(istio("VirtualService", "web", "{hosts: [web], http: [{timeout: 1s}]}"))
    (tmp_path / "scope.yaml").write_text(istio("Gateway", "edge", "{servers: []}"))
    with Serving(tmp_path) as serving:
        address = serving.address
        serving.said("noted")
        assert serving.lines == [
            f"serving . at {address}",
            "objects: 2 (2 Service)",
            "services: 2 (cart.shop.svc.cluster.local, web.shop.svc.cluster.local)",
            (
                "refused bad.yaml:11:5: VirtualService shop/web: spec.http[0] must have one of route, redirect, "
                "directResponse, delegate; nothing of it is in force"
            ),
            "noted scope.yaml:3:1: kind Gateway has no effect: it is not read",
        ]
        assert serving.end() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_to(how: int, tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        serving.said("services: 0")
        assert serving.end(how) == 0
        assert serving.lines == [f"serving . at {serving.address}", "objects: 0", "services: 0"]


def test_edits_are_told_one_by_one(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        serving.said("services: 0")

        def then(text: str, *said: str) -> None:
            before = len(serving.lines)
            written(tmp_path, text)
            wait_for(lambda: len(serving.lines) >= before + len(said), PATIENCE_S)
            assert [without_time(line) for line in serving.lines[before:]] == [*said]

        web = service("web", "http:80")
        then(web, "added Service shop/web (web.yaml)")
        then(web.replace("port: 80", "port: 81"), "changed Service shop/web (web.yaml)")
        then(
            web.replace("port: 80", "port: eighty"),
            (
                'refused web.yaml:11:5: Service shop/web: spec.ports[0].port must be a whole number, not "eighty"; '
                "what it said before stays in force"
            ),
        )
        then(
            "kind: [",
            (
                "refused web.yaml:2:1: is not YAML: while parsing a flow node did not find expected node content; "
                "what it said before stays in force"
            ),
        )
        then(web.replace("port: 80", "port: 81"), "repaired web.yaml")
        then(
            web.replace("port: 80", "port: 81") + web,
            (
                "refused web.yaml:15: Service shop/web: is defined twice, first in web.yaml:2, which counts; "
                "what it said before stays in force"
            ),
        )
        gateway = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
        then(
            f"{web.replace('port: 80', 'port: 81')}---\n{gateway}",
            "noted web.yaml:16:1: kind Gateway has no effect: it is not read",
            "repaired web.yaml",
        )
        then("", "removed Service shop/web (web.yaml)")


def test_the_same_as_json(tmp_path: Path) -> None:
    with Serving(tmp_path, "--json") as serving:
        opening = json.loads(serving.said("serving"))
        assert {key: opening[key] for key in ("event", "folder", "objects", "services", "errors")} == {
            "event": "serving",
            "folder": ".",
            "objects": {},
            "services": [],
            "errors": [],
        }
        rule = istio("DestinationRule", "web", "{host: web}")
        written(tmp_path, rule)
        added: dict[str, Any] = json.loads(serving.said("added"))
        assert (added["object"], added["file"]) == ("DestinationRule shop/web", "web.yaml")
        written(tmp_path, rule.replace("host:", "hst:"))
        refused = json.loads(serving.said("hst"))
        assert {key: refused[key] for key in ("event", "file", "line", "column", "object", "field", "in_force")} == {
            "event": "refused",
            "file": "web.yaml",
            "line": 8,
            "column": 3,
            "object": "DestinationRule shop/web",
            "field": "spec.hst",
            "in_force": True,
        }
        assert refused["message"] == 'unknown field (did you mean "host"?)'
        assert refused["version"] > added["version"]


def test_calls_follow_repaired_files_and_are_not_touched_by_broken_ones(
    tmp_path: Path, backends: Backends, record_property: Callable[[str, object], None]
) -> None:
    written(tmp_path, entry(backends, ONE))
    with (
        Serving(tmp_path) as serving,
        Mesh(serving.address, node=NODE, registry=False, cache_dir=False) as mesh,
        httpx.Client(transport=Transport(mesh)) as client,
    ):
        assert answered_by(client) == ONE[0]
        written(tmp_path, entry(backends, OTHER).replace("STATIC", "STATICS"))
        said = serving.said('spec.resolution must be one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS, not "ST')
        assert said.endswith("; what it said before stays in force")
        assert "refused web.yaml:7:3: ServiceEntry shop/web: " in said
        assert answered_by(client) == ONE[0]
        written(tmp_path, entry(backends, OTHER))
        record_property("seconds", goes_to(client, OTHER))
        serving.said("repaired web.yaml")


def test_a_file_that_is_broken_from_the_start_keeps_nothing_else_back(tmp_path: Path, backends: Backends) -> None:
    written(tmp_path, entry(backends, ONE))
    (tmp_path / "bad.yaml").write_text("kind: [\n")
    with (
        Serving(tmp_path) as serving,
        Mesh(serving.address, node=NODE, registry=False, cache_dir=False) as mesh,
        httpx.Client(transport=Transport(mesh)) as client,
    ):
        assert answered_by(client) == ONE[0]
        assert serving.said("refused").endswith("; nothing of it is in force")


def test_an_address_in_use_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = f"proxyless: cannot listen on {address}: Address already in use\n"
        assert run(capsys, str(tmp_path), "--listen", address) == (2, "", said)


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("127.0.0.1", 'cannot listen on "127.0.0.1": it must be HOST:PORT'),
        ("127.0.0.1:http", 'cannot listen on "127.0.0.1:http": it must be HOST:PORT'),
        ("127.0.0.1:65536", 'cannot listen on "127.0.0.1:65536": it must be HOST:PORT'),
        ("192.0.2.1:15010", "cannot listen on 192.0.2.1:15010: Cannot assign requested address"),
    ],
)
def test_an_address_that_is_none_is_bad_input(
    listen: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, str(tmp_path), "--listen", listen) == (2, "", f"proxyless: {said}\n")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "No such file or directory"),
        ("file", "Not a directory"),
        ("dangling", "No such file or directory"),
        ("loop", "Too many levels of symbolic links"),
        ("forbidden", "Permission denied"),
    ],
)
def test_a_folder_that_cannot_be_read_is_bad_input(
    name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "forbidden").mkdir()
    folder = tmp_path / name
    said = f"proxyless: cannot read folder {folder}: {why}\n"
    with forbidden(tmp_path / "forbidden"):
        assert run(capsys, str(folder)) == (2, "", said)


def test_signals_are_as_before_when_it_could_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert run(capsys, str(tmp_path / "missing"))[0] == 2
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_the_mesh_may_be_configured_by_a_file_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "istio"
    folder.mkdir()
    (folder / "web.yaml").write_text(service("web", "http:80"))
    file = tmp_path / "mesh.yaml"
    file.write_text("defaultServiceExportTo: ['.']\n")
    with Serving(folder, "--mesh-config", str(file)) as serving:
        serving.said("objects: 2 (1 MeshConfig, 1 Service)")
        file.write_text("defaultServiceExportT: ['.']\n")
        said = f"refused {file}:1:1: MeshConfig mesh: defaultServiceExportT unknown field"
        assert without_time(serving.said("unknown field")).startswith(said)
        assert serving.end() == 0
    missing = tmp_path / "missing"
    said = f"proxyless: cannot read mesh configuration {missing}: No such file or directory\n"
    assert run(capsys, str(folder), "--mesh-config", str(missing)) == (2, "", said)
