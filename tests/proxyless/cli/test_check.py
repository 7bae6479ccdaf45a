"""`proxyless check` as somebody sees it: file, line and field, and an exit status for CI."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from sarif.loader import load_sarif_file

import proxyless.demo
from proxyless.cli import main
from proxyless.demo.kubernetes import text_of
from proxyless.demo.shop import ROLES, Instance
from tests.support.modes import forbidden
from tests.xds.controlplane.support import SHOP, endpoints, istio, service

DEMO = Path(proxyless.demo.__file__).parent / "istio"

BAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http:
  - rout: []
    timeout: soon
    match: [{uri: {regex: "a("}}]
    route:
    - destination: {host: wbe, port: {number: 99999}}
      weight: x
---
apiVersion: networking.istio.io/v1
kind: VirtualServic
metadata: {name: a}
---
foo: bar
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g}
"""

SAID = """\
mesh.yaml:7:5: error: VirtualService shop/web: spec.http[0].rout unknown field (did you mean "route"?)
mesh.yaml:8:5: error: VirtualService shop/web: spec.http[0].timeout must be a duration such as 1.5s or 500ms, not "soon"
mesh.yaml:9:20: error: VirtualService shop/web: spec.http[0].match[0].uri.regex is not a regular expression of RE2: \
missing ): a(
mesh.yaml:11:39: error: VirtualService shop/web: spec.http[0].route[0].destination.port.number must be at most 65535, \
not 99999
mesh.yaml:12:7: error: VirtualService shop/web: spec.http[0].route[0].weight must be a whole number, not "x"
mesh.yaml:15:1: error: kind networking.istio.io has no kind "VirtualServic" (did you mean "VirtualService"?)
mesh.yaml:18:1: error: is no Kubernetes object: apiVersion is missing
mesh.yaml:21:1: warning: kind Gateway has no effect: it is not read
7 errors, 1 warning
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def test_every_mistake_is_named_with_file_line_and_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mesh.yaml").write_text(BAD)
    assert run(capsys, str(tmp_path)) == (1, SAID, "")


def test_the_same_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mesh.yaml").write_text(BAD)
    code, out, _ = run(capsys, str(tmp_path), "--json")
    document = json.loads(out)
    assert (code, document["errors"], len(document["findings"])) == (1, 7, 8)
    assert document["findings"][0] == {
        "severity": "error",
        "file": "mesh.yaml",
        "line": 7,
        "column": 5,
        "object": "VirtualService shop/web",
        "field": "spec.http[0].rout",
        "message": 'unknown field (did you mean "route"?)',
    }


def test_a_reader_of_sarif_finds_them_by_file_line_and_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a mesh"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "a mesh", "--format", "sarif")
    (tmp_path / "check.sarif").write_text(out)
    read = load_sarif_file(str(tmp_path / "check.sarif"))
    records = read.get_records()
    assert (code, len(records), read.get_distinct_tool_names()) == (1, 8, ["proxyless check"])
    assert {**records[0], "Tool": ""} == {
        "Tool": "",
        "Severity": "error",
        "Code": "VirtualService.spec.http.rout",
        "Description": 'VirtualService shop/web: spec.http[0].rout unknown field (did you mean "route"?)',
        "Location": "a%20mesh/mesh.yaml",
        "Line": 7,
    }
    assert [record["Severity"] for record in records] == ["error"] * 7 + ["warning"]
    rules = json.loads(out)["runs"][0]["tool"]["driver"]["rules"]
    results = json.loads(out)["runs"][0]["results"]
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in results)


def test_outside_of_the_current_directory_sarif_names_the_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mesh").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mesh" / "mesh.yaml").write_bytes(b"\xff")
    monkeypatch.chdir(tmp_path / "elsewhere")
    _, out, _ = run(capsys, "../mesh", "--format", "sarif")
    (result,) = json.loads(out)["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == (tmp_path / "mesh" / "mesh.yaml").as_uri()
    assert result["ruleId"] == "yaml"


def test_annotations_of_a_workflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    (folder / "mesh.yaml").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "a,b", "--format", "github")
    assert (code, len(out.splitlines())) == (1, 8)
    assert out.splitlines()[0] == (
        "::error file=a%2Cb/mesh.yaml,title=VirtualService.spec.http.rout,line=7,col=5::VirtualService shop/web: "
        'spec.http[0].rout unknown field (did you mean "route"?)'
    )
    assert out.splitlines()[-1].startswith("::warning file=a%2Cb/mesh.yaml,title=yaml,line=21,col=1::")


def test_no_annotation_for_a_clean_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, str(tmp_path), "--format", "github") == (0, "", "")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            "{hosts: [web], http: [{route: [{destination: {host: wbe}}]}]}",
            "spec.http[0].route[0].destination.host wbe.shop.svc.cluster.local is no service that shop can see",
        ),
        (
            "{hosts: [web], http: [{route: [{destination: {host: web, subset: v9}}]}]}",
            (
                'spec.http[0].route[0].destination.subset "v9" is no subset of web.shop.svc.cluster.local: '
                "no DestinationRule defines any"
            ),
        ),
        (
            "{hosts: [web], http: [{route: [{destination: {host: web, port: {number: 81}}}]}]}",
            "spec.http[0].route[0].destination.port 81 is no port of web.shop.svc.cluster.local",
        ),
    ],
)
def test_what_no_single_object_can_know(
    spec: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mesh.yaml").write_text(service("web", "http:80") + istio("VirtualService", "web", spec))
    code, out, _ = run(capsys, str(tmp_path))
    assert code == 1
    assert f"error: VirtualService shop/web: {said}" in out


def test_warnings_alone_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("kubernetes.yaml", "istio.yaml"):
        (tmp_path / name).write_text((SHOP / name).read_text())
    counted = "metrics: [{providers: [{name: prometheus}]}]"
    (tmp_path / "telemetry.yaml").write_text(
        istio("Telemetry", "logs", f"selector: {{matchLabels: {{app: cart}}}}\n{counted}")
    )
    code, out, _ = run(capsys, str(tmp_path))
    assert code == 0
    assert ".fault" not in out
    assert out.endswith("no errors, 1 warning\n")


def test_an_empty_folder_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, str(tmp_path)) == (0, "no errors, no warnings\n", "")


def test_a_folder_that_is_not_there_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "istio"
    assert run(capsys, str(missing)) == (2, "", f"proxyless: cannot read folder {missing}: No such file or directory\n")
    missing.write_text("a file")
    assert run(capsys, str(missing)) == (2, "", f"proxyless: cannot read folder {missing}: Not a directory\n")


def test_what_cannot_be_read_is_an_error_and_the_rest_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a-syntax.yaml").write_text("apiVersion: v1\nkind: [\n")
    (tmp_path / "b-bytes.yaml").write_bytes(b"\xff")
    (tmp_path / "c-nowhere.yaml").symlink_to("nothing")
    (tmp_path / "d-json.json").write_text('{"a": }')
    (tmp_path / "e-web.yaml").write_text(service("web", "http:80") + endpoints("web", "http:80", "127.0.0.5"))
    (tmp_path / "f-web.yaml").write_text(service("web", "http:81"))
    (tmp_path / "g-mode.yaml").write_text("")
    said = """\
a-syntax.yaml:3:1: error: is not YAML: while parsing a flow node did not find expected node content
b-bytes.yaml: error: cannot be read: is not UTF-8
c-nowhere.yaml: error: cannot be read: it links to nothing
d-json.json:1:7: error: is not JSON: Expecting value
f-web.yaml:2: error: Service shop/web: is defined twice, first in e-web.yaml:2, which counts
g-mode.yaml: error: cannot be read: Permission denied
6 errors, no warnings
"""
    with forbidden(tmp_path / "g-mode.yaml"):
        assert run(capsys, str(tmp_path)) == (1, said, "")


@pytest.mark.parametrize("one_address", [False, True])
def test_the_demo_and_its_kubernetes_side_are_clean(
    one_address: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DEMO, tmp_path, dirs_exist_ok=True)
    instances = [Instance(role, f"127.0.40.{number}", 8000, 8001) for number, role in enumerate(ROLES, 1)]
    (tmp_path / "kubernetes.yaml").write_text(text_of(instances, one_address=one_address))
    assert run(capsys, str(tmp_path)) == (0, "no errors, no warnings\n", "")


def test_the_mesh_may_be_configured_by_a_file_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web.yaml").write_text(service("web", "http:80") + endpoints("web", "http:80", "127.0.0.5"))
    file = tmp_path / "mesh.conf"
    file.write_text("accessLogFile: /dev/stdout\nenableTracin: false\n")
    code, out, _ = run(capsys, str(tmp_path), "--mesh-config", str(file))
    assert code == 1
    assert out.startswith(f"{file}:2:1: error: MeshConfig mesh: enableTracin unknown field (did you mean")
