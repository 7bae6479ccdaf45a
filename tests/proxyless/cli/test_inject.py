"""`proxyless inject` as somebody runs it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from proxyless.cli import main
from tests.proxyless.injecting.test_manifest import DEPLOYMENT, SERVICE, pod


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["inject", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def test_stdin_goes_to_stdout(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(DEPLOYMENT))
    code, out, err = run(capsys, "--mtls", "--control-plane", "c:15012")
    assert (code, err) == (0, "proxyless: Deployment shop\n")
    assert pod(out)["metadata"]["labels"]["security.istio.io/tlsMode"] == "istio"


def test_files_are_joined_or_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("a.yaml", SERVICE), ("b.yaml", DEPLOYMENT)):
        (tmp_path / name).write_text(text)
    files = ("-f", str(tmp_path / "a.yaml"), "-f", str(tmp_path / "b.yaml"))
    code, out, _ = run(capsys, *files)
    assert code == 0
    assert out.startswith(f"{SERVICE}---\n# what runs\n")
    code, out, _ = run(capsys, *files, "--json")
    assert [each["kind"] for each in json.loads(out)["items"]] == ["Service", "Deployment"]


def test_a_file_is_replaced_with_its_mode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "b.yaml"
    file.write_text(DEPLOYMENT)
    file.chmod(0o640)
    assert run(capsys, "-f", str(file), "-o", str(file)) == (0, "", "proxyless: Deployment shop\n")
    assert pod(file.read_text())["spec"]["volumes"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["b.yaml"]


def test_what_has_no_pods_goes_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE)
    assert run(capsys, "-f", str(tmp_path / "a.yaml")) == (0, SERVICE, "nothing here has Pods\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-f", "nowhere.yaml"), "nowhere.yaml: No such file or directory"),
        (("-f", "binary"), "binary is no text in UTF-8"),
        (("-f", "bad.yaml"), "bad.yaml:1: is not YAML"),
        (("-f", "good.yaml", "--control-plane", "istiod"), "'istiod' is not HOST:PORT"),
        (("-f", "good.yaml", "-o", "no/where"), "no/where: No such file or directory"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "bad.yaml").write_text("a: [")
    (tmp_path / "good.yaml").write_text(DEPLOYMENT)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
