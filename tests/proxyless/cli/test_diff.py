"""`proxyless diff` as somebody calls it: text, Markdown, JSON, and an exit status for CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxyless.cli import main
from tests.proxyless.comparing.support import WEIGHTED, folders, shop

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
