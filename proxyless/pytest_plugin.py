"""pytest's fixture `mesh`: a mesh on Istio YAML that a test writes down (docs/testing.md).

Pytest imports this module at every start, so it imports nothing but what pytest has imported; the rest comes with the
first test that asks for the fixture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .testing import MeshUnderTest

MARKER = "mesh"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "mesh(app=..., namespace=..., ip=..., labels=..., seed=1, policies=[...]): who the `mesh` fixture is, what its "
        "choices are drawn from, its policies (proxyless)",
    )


@pytest.fixture
def mesh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MeshUnderTest]:
    """A mesh of proxyless in this process: `mesh.config(YAML)`, `mesh.serve(...)`, `mesh.decisions` ..."""
    from .testing import MeshUnderTest

    for variable in [each for each in os.environ if each.startswith("PROXYLESS_")]:
        monkeypatch.delenv(variable)  # what a shell or a CI job says would make the test another one there
    options: dict[str, Any] = {}
    for marker in request.node.iter_markers(MARKER):  # the closest first
        if marker.args:
            raise pytest.UsageError("@pytest.mark.mesh takes keywords only: app=..., namespace=..., seed=...")
        options = {**marker.kwargs, **options}
    try:
        made = MeshUnderTest(tmp_path_factory.mktemp("mesh"), **options)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"@pytest.mark.mesh: {error}") from error
    with made:
        yield made
