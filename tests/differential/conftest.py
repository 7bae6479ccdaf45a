"""Fixtures of the differential tests: one Envoy for a whole module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.recording import Recording
from tests.differential.rig import Rig
from tests.support import envoy

SHOP = Path(__file__).parent.parent / "recorded" / "shop" / "xds"


@pytest.fixture(scope="module")
def frontend() -> Recording:
    """What istiod sent to the frontend."""
    return Recording.load(SHOP / "frontend")


@pytest.fixture(scope="module")
def rig(frontend: Recording) -> Iterator[Rig]:
    """Envoy with the frontend's configuration, outbound."""
    envoy.require()
    with Rig(frontend) as running:
        yield running
