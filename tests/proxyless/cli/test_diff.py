"""`proxyless diff` as somebody calls it: text, Markdown, JSON, and an exit status for CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sarif.loader import load_sarif_file

from proxyless.cli import main
from proxyless.cli._diff_view import as_markdown
from proxyless.comparing import compare
from proxyless.comparing.clients import folded
from tests.proxyless.comparing.support import WEIGHTED, folders, shop
from tests.xds.controlplane.support import istio, service

ME = ("--node", "app=client,namespace=shop")


class Diff:
    """The command, in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.errors = ""

    def __call__(self, *arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["diff", *arguments])
        out, self.errors = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out


@pytest.fixture
def diff(capsys: pytest.CaptureFixture[str]) -> Diff:
    return Diff(capsys)


@pytest.fixture
def sides(tmp_path: Path) -> tuple[str, str]:
    def side(timeout: str, *weights: int) -> str:
        slow = f"{{match: [{{uri: {{prefix: /a}}}}], timeout: {timeout}, route: [{{destination: {{host: web}}}}]}}"
        return shop(f"[{slow}, {WEIGHTED % weights}]")

    old, new = side("2s", 90, 10), side("1s", 50, 50)
    return folders(tmp_path, old, new)


def test_equal_folders_say_nothing(diff: Diff, sides: tuple[str, str]) -> None:
    assert diff(sides[0], sides[0], *ME) == (0, "")
    code, out = diff(sides[0], sides[0], "--json")
    document = json.loads(out)
    assert (code, document["differs"], document["groups"]) == (0, False, [])
    assert diff(sides[0], sides[0], "--format", "markdown") == (0, "No decision of the mesh changes.\n")


def test_text_says_what_goes_elsewhere(diff: Diff, sides: tuple[str, str]) -> None:
    code, out = diff(*sides, *ME)
    assert code == 1
    assert out.splitlines() == [
        "client.shop:",
        "  web.shop",
        "    GET /a  (and 1 more like it)",
        "      timeout: 2 s -> 1 s (tightens)",
        "    GET /",
        "      to: web.shop 10 %, web.shop v1 90 % -> web.shop 50 %, web.shop v1 50 %",
    ]


def test_markdown_is_for_a_comment(diff: Diff, sides: tuple[str, str]) -> None:
    code, out = diff(*sides, *ME, "--format", "markdown")
    assert code == 1
    assert out.startswith("### What changes in the mesh\n\n**client.shop**\n\n- `web.shop`\n")
    assert "    - timeout: 2 s -> 1 s (tightens)\n" in out


def test_requests_of_a_file(diff: Diff, sides: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "asked.yaml"
    file.write_text("- {url: 'http://web/else', method: DELETE}\n")
    _, out = diff(*sides, *ME, "--json", "--requests", str(file))
    found = [each for group in json.loads(out)["groups"] for each in group["requests"]]
    (given,) = [each for each in found if each["origin"] == f"{file}:1"]
    assert given["new"]["to"] == {"web.shop": 50.0, "web.shop v1": 50.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "nowhere"),
        (("--node", "app"), "--node: 'app' is not KEY=VALUE"),
        (("--node", "locality=a/b/c/d"), "--node: locality"),
        (("--requests", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_bad_input(diff: Diff, sides: tuple[str, str], arguments: tuple[str, ...], said: str) -> None:
    folders = sides if arguments[0].startswith("--") else sides[:1]
    assert diff(*folders, *arguments) == (2, "")
    assert said in diff.errors


def test_findings_alone_are_no_difference(diff: Diff, tmp_path: Path) -> None:
    old = shop("[{route: [{destination: {host: web}}]}]")
    broken = f"{old}---\n{{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {{name: x}}, spec: {{x: 1}}}}\n"
    code, out = diff(*folders(tmp_path, old, broken), *ME)
    assert code == 0
    assert out.startswith("new findings of check:\n  mesh.yaml:")


def pod(app: str, address: str) -> str:
    return f"""\
---
apiVersion: v1
kind: Pod
metadata: {{name: {app}-1, namespace: shop, labels: {{app: {app}}}}}
spec: {{containers: [{{name: c}}]}}
status: {{podIP: {address}, phase: Running}}
"""


PODS = "".join(pod(f"app{number}", f"10.1.2.{number}") for number in range(8))
ALLOWED = "{selector: {matchLabels: {app: %s}}, rules: [{to: [{operation: {methods: [GET]}}]}]}"
STRICT = istio("PeerAuthentication", "default", "{mtls: {mode: STRICT}}")


def test_what_many_workloads_do_alike_is_told_once_and_long_lists_are_folded(diff: Diff, tmp_path: Path) -> None:
    new = shop(rest=PODS + STRICT + istio("AuthorizationPolicy", "read", ALLOWED % "app3"))
    code, out = diff(*folders(tmp_path, shop(rest=PODS), new))
    assert code == 1
    assert out.splitlines() == [
        "all 9 kinds of clients:",
        "  their own ports",
        "    incoming",
        "      mtls: PERMISSIVE -> STRICT (tightens)",
        "app3.shop:",
        "  app3.shop",
        "    incoming, ALLOW",
        "      authorization: none -> allows nothing (tightens)",  # of connections that are not HTTP
        "    incoming, ALLOW shop/read",
        "      authorization: none -> rule 0 from any, to header :method = GET (tightens)",
    ]
    assert folded("abcdef") == "a, b, c, d, e, f"
    assert folded("abcdefg") == "a, b, c, d, e (2 more)"


def test_what_many_services_have_alike_is_told_once(diff: Diff, tmp_path: Path) -> None:
    services = "".join(service(f"s{number}", "http:80") for number in range(7))
    for_all = "{host: '*.shop.svc.cluster.local', trafficPolicy: {connectionPool: {tcp: {maxConnections: %d}}}}"
    sides = [shop(rest=services + istio("DestinationRule", "all", for_all % most)) for most in (9, 3)]
    _, out = diff(*folders(tmp_path, *sides), *ME)
    assert out.splitlines()[1] == "  s0.shop, s1.shop, s2.shop, s3.shop, s4.shop (2 more)"
    assert out.count("9 -> 3 (tightens)") == 1


def annotated(out: str) -> list[tuple[str, str]]:
    """Each with its command and properties, and what it says."""
    heads = (each[2:].partition("::") for each in out.splitlines())
    return [(head, said.replace("%0A", "; ")) for head, _, said in heads]


def test_annotations_stand_at_the_object_that_changed_and_what_loosens_comes_first(
    diff: Diff, sides: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Path(each) / "mesh.yaml" for each in sides)
    old.write_text(old.read_text() + STRICT)
    new.write_text(new.read_text() + istio("PeerAuthentication", "default", "{mtls: {mode: PERMISSIVE}}"))
    monkeypatch.chdir(tmp_path)
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    code, out = diff("old", "new", "--format", "github")
    lines = new.read_text().splitlines()
    routes, mode = (
        1 + max(index for index, line in enumerate(lines) if line == f"kind: {kind}") - 1
        for kind in ("VirtualService", "PeerAuthentication")
    )
    assert code == 1
    assert annotated(out) == [
        (
            f"warning file=new/mesh.yaml,title=policies.mtls,line={mode},col=1",
            "web.shop: incoming; mtls: STRICT -> PERMISSIVE (loosens)",
        ),
        (
            f"notice file=new/mesh.yaml,title=requests,line={routes},col=1",
            "web.shop: GET /a  (and 1 more like it); timeout: 2 s -> 1 s (tightens)",
        ),
        (
            f"notice file=new/mesh.yaml,title=requests,line={routes},col=1",
            "web.shop: GET /; to: web.shop 10 %25, web.shop v1 90 %25 -> web.shop 50 %25, web.shop v1 50 %25",
        ),
    ]
    assert summary.read_text() == f"before\n{as_markdown(compare('old', 'new'))}\n"


def test_nothing_to_annotate(diff: Diff, sides: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert diff(sides[0], sides[0], "--format", "github") == (0, "")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nowhere/summary.md")
    assert diff(sides[0], sides[0], "--format", "github") == (2, "")
    assert (
        diff.errors == "proxyless: GITHUB_STEP_SUMMARY: cannot write /nowhere/summary.md: No such file or directory\n"
    )


def test_a_reader_of_sarif_finds_changes_and_new_findings(diff: Diff, sides: tuple[str, str], tmp_path: Path) -> None:
    new = Path(sides[1]) / "mesh.yaml"
    new.write_text(new.read_text() + istio("AuthorizationPolicy", "none", ALLOWED % "nobody"))
    code, out = diff(*sides, *ME, "--format", "sarif")
    file = tmp_path / "diff.sarif"
    file.write_text(out)
    read = load_sarif_file(str(file))
    assert (code, read.get_distinct_tool_names()) == (1, ["proxyless diff"])
    found = {(each["Severity"], each["Code"]): each for each in read.get_records()}
    assert found.keys() == {("note", "requests"), ("warning", "AuthorizationPolicy.spec.selector")}
    assert found["note", "requests"]["Location"] == new.as_uri()


def test_a_comment_has_room_for_so_much(sides: tuple[str, str]) -> None:
    found = compare(*sides, ME[1:])
    whole = as_markdown(found)
    assert as_markdown(found, len(whole)) == whole
    assert as_markdown(found, 20) == (
        "### What changes in the mesh\n\n*... and 1 more: `proxyless diff` tells them all.*"
    )
