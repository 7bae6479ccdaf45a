"""The quick way, which groups clients and passes over, says what looking at every client by itself and whole says."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from proxyless.comparing import compare
from tests.proxyless.comparing.generated_pairs import DRAWN, pair
from tests.proxyless.comparing.support import folders


def said(where: Path, old: str, new: str, *, one_by_one: bool) -> set[tuple[str, object, str]]:
    """Every change that a client sees."""
    found = compare(*folders(where, old, new), one_by_one=one_by_one)
    return {
        (client.name, (client.labels, client.locality), change.key)
        for group in found.groups
        for client in group.clients
        for change in group.changes
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_grouped_and_one_by_one(tmp_path: Path, seed: int) -> None:
    differ: set[str] = set()
    for kind in DRAWN:
        drawn = pair(Random(f"{kind} {seed}"), kind)
        quick = said(tmp_path, drawn.old, drawn.new, one_by_one=False)
        slow = said(tmp_path, drawn.old, drawn.new, one_by_one=True)
        if quick != slow:
            pytest.fail(f"{drawn.kinds} {seed}: missed {slow - quick}, said too much {quick - slow}")
        differ |= {kind} if slow else set()
    assert len(differ) >= 4, differ  # some kinds change no decision, or seldom
