"""A file with a mesh's settings beside the folder: its forms, what it counts before, how it is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.xds.controlplane import FolderSource, MeshConfig, Plane, SourceError, check
from tests.xds.controlplane.support import mesh, service

PLAIN = "accessLogFile: /file\nconnectTimeout: 3s\n"
OPERATOR = """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: x}
spec: {profile: demo, meshConfig: {accessLogFile: /file, connectTimeout: 3s}}
"""


def folder(where: Path, text: str = "") -> Path:
    made = where / "istio"
    made.mkdir()
    (made / "web.yaml").write_text(service("web", "http:80") + text)
    return made


def held(plane: Plane) -> MeshConfig:
    return plane.state.world.mesh


@pytest.mark.parametrize("written", [PLAIN, mesh(PLAIN), OPERATOR])
def test_the_settings_stand_alone_or_in_the_object_that_holds_them(written: str, tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(written)
    plane = Plane(FolderSource(folder(tmp_path, mesh("accessLogFile: /folder")), mesh_config=file))
    assert not plane.state.faults
    assert (held(plane).access_log_file, held(plane).connect_timeout) == ("/file", 3)


def test_a_file_within_the_folder_is_no_object_of_it(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / "mesh.yaml").write_text(PLAIN)
    plane = Plane(FolderSource(made, mesh_config=made / "mesh.yaml"))
    assert not plane.state.faults
    assert held(plane).access_log_file == "/file"


def test_it_is_followed_and_stays_while_it_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(PLAIN)
    plane = Plane(FolderSource(folder(tmp_path), mesh_config=file))
    file.write_text("accessLogFile: /other\n")
    assert plane.poll()
    assert held(plane).access_log_file == "/other"
    faults = {"acess: 1": "acess unknown field", "[]": "is no mesh configuration", "a: [": "is not YAML"}
    for wrong, said in faults.items():
        file.write_text(wrong)
        assert plane.poll()
        assert said in str(plane.state.faults[0])
        assert held(plane).access_log_file == "/other"
    file.unlink()
    assert plane.poll()
    assert "cannot be read" in str(plane.state.faults[0])
    assert held(plane).access_log_file == "/other"


def test_a_file_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot read mesh configuration"):
        FolderSource(folder(tmp_path), mesh_config=tmp_path / "nowhere.yaml")


LOST = "extensionProviders:\n- {name: z, zipkin: {service: nobody}}\n"


@pytest.mark.parametrize(
    ("written", "line", "field"),
    [
        (LOST, 2, "extensionProviders[0]"),
        (mesh(LOST), 4, "data.mesh.extensionProviders[0]"),
    ],
)
def test_check_names_what_leads_nowhere(written: str, line: int, field: str, tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(written)
    (found,) = [each for each in check(folder(tmp_path), mesh_config=file) if each.file == str(file)]
    assert (found.file, found.line, found.field) == (str(file), line, field)
    assert found.message == "leads nowhere: nobody is no service"
