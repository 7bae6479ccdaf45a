"""Trees of matchers: Envoy, `explain` and a governed httpx agree on every request."""

from __future__ import annotations

import pytest

from tests.differential.comparison import told
from tests.differential.generated.running import run
from tests.differential.recording import Recording
from tests.differential.trees import CASES, UNKNOWN
from tests.support import envoy

pytestmark = pytest.mark.envoy


def test_trees_lead_where_envoy_says(frontend: Recording) -> None:
    envoy.require()
    outcome = run(frontend, list(CASES.values()))
    names = list(CASES)
    assert not outcome.found, "\n".join(f"{names[e.case]}: {told([e.difference])}" for e in outcome.found)
    for name, answers in zip(names, outcome.answers, strict=True):
        ends = {(each.envoy.place, each.envoy.cluster, each.envoy.status) for each in answers}
        assert len(ends) > 1 or name.startswith("chains") or "nothing" in name, name


def test_a_chain_that_is_not_there_refuses(frontend: Recording) -> None:
    envoy.require()
    (answers,) = run(frontend, [UNKNOWN], client=False).answers
    assert [each.envoy.status for each in answers] == [0, 211, 211]
