"""What is wrong with a recording is said by the file's name, and in the words of what the file is."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from proxyless import ConfigurationError, Mesh

SHOP = Path(__file__).parents[1] / "recorded" / "shop" / "xds"
ENDPOINTS = "004-ClusterLoadAssignment.pb"


def refused(source: Path) -> str:
    """What the user is told."""
    with pytest.raises(ConfigurationError) as caught:
        Mesh.from_recorded(source, registry=False)
    return str(caught.value)


@pytest.mark.parametrize("size", [40, 1000, 5000])
def test_an_archive_that_breaks_off_is_named(tmp_path: Path, size: int) -> None:
    whole, part = tmp_path / "whole.tar.gz", tmp_path / "part.tar.gz"
    with tarfile.open(whole, "w:gz") as file:
        file.add(SHOP / "frontend", "frontend")
    part.write_bytes(whole.read_bytes()[:size])
    assert refused(part).startswith(f"{part}: ")


def test_an_archive_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_text("not an archive")
    assert refused(tmp_path / "x.tar.gz").startswith(f"{tmp_path / 'x.tar.gz'}: ")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "damaged.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(SHOP / "frontend", "frontend")
    raw = bytearray(archive.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 64] = bytes(64)
    archive.write_bytes(raw)
    assert refused(archive).startswith(str(archive))


@pytest.mark.parametrize("folder", ["frontend", "frontend-changes-delta"])
def test_a_response_that_breaks_off_is_named(tmp_path: Path, folder: str) -> None:
    shutil.copytree(SHOP / folder, tmp_path / "it")
    file = tmp_path / "it" / ENDPOINTS
    file.write_bytes(file.read_bytes()[:1000])
    said = refused(tmp_path / "it")
    assert said.startswith(f"{tmp_path / 'it'}/{ENDPOINTS}: truncated or malformed DiscoveryResponse: ")
