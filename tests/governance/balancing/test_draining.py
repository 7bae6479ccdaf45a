"""Hosts that drain, as their control plane says."""

from __future__ import annotations

import pytest

from tests.governance.balancing.cases import sets


@pytest.mark.parametrize(("letters", "excluded"), [("hhhd", 1), ("hhhu", 0), ("hhht", 0), ("hhhg", 0), ("hhhx", 1)])
def test_only_those_that_drain_or_are_yet_to_be_asked_count_for_nothing(letters: str, excluded: int) -> None:
    (found,) = sets(letters)
    assert len(found.excluded) == excluded
    assert [host.address for host in found.healthy] == ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
