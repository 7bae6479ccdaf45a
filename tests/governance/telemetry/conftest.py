"""The recorded shop on loopback: its endpoints are real backends, its meshes stand on the recorded configuration."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import proxyless.httpx
from proxyless import Mesh
from tests.differential.recording import Recording
from tests.support.backends import Backends

FRONTEND = Path(__file__).parents[2] / "recorded" / "shop" / "xds" / "frontend"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True, slots=True)
class Shop:
    """Backends that answer, and the folder with the configuration that leads to them."""

    backends: Backends
    folder: Path


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    recording = Recording.load(FRONTEND)
    folder = tmp_path_factory.mktemp("frontend")
    with Backends(recording.addresses()) as backends:
        recording.rewritten(backends.ports).write(folder)
        shutil.copy(FRONTEND / "node.json", folder)
        yield Shop(backends, folder)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def mesh_of(shop: Shop, registry: CollectorRegistry) -> Iterator[Callable[..., Mesh]]:
    """Makes meshes on the shop's configuration and closes them."""
    made: list[Mesh] = []

    def make(**options: Any) -> Mesh:
        mesh = Mesh.from_recorded(shop.folder, **{"registry": registry, "status_socket": False, **options})
        made.append(mesh)
        return mesh

    yield make
    for mesh in made:
        mesh.close()


@pytest.fixture
def mesh(mesh_of: Callable[..., Mesh]) -> Mesh:
    return mesh_of()


@pytest.fixture
def client(mesh: Mesh) -> Iterator[httpx.Client]:
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        yield client


def samples(registry: CollectorRegistry) -> Samples:
    """Everything in the registry's text, as a Prometheus server would read it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """The sum of all samples of a name that have these labels."""
    wanted = labels.items()
    return sum(number for (own, has), number in samples(registry).items() if own == name and wanted <= has)


def labels(registry: CollectorRegistry, name: str, **wanted: str) -> list[dict[str, str]]:
    """The labels of all samples of a name that have these."""
    return [dict(has) for own, has in samples(registry) if own == name and wanted.items() <= has]
