"""Each kind of matcher, matched and missed: Envoy, `explain` and a governed httpx agree on every request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.differential import kinds
from tests.differential.comparison import Run, told
from tests.differential.recording import Recording
from tests.differential.steering import places
from tests.support import envoy

pytestmark = pytest.mark.envoy


@pytest.fixture(scope="module")
def run(frontend: Recording) -> Iterator[Run]:
    """The table of kinds under both."""
    envoy.require()
    with Run.of(kinds.table(frontend), kinds.requests()) as running:
        yield running


def test_explain_matches_as_envoy(run: Run) -> None:
    assert not run.differences, told(run.differences)


def test_a_governed_client_matches_as_envoy(run: Run) -> None:
    differences = run.governed()
    assert not differences, told(differences)


@pytest.mark.parametrize("kind", kinds.matches())
def test_each_kind_of_matcher_is_both_matched_and_missed(run: Run, kind: str) -> None:
    counted = Counter(case.envoy.place for case in run.cases)
    matched, missed = (counted[f"80/{kind}/{index}"] for index in (0, 1))
    assert (matched > 0) == (kind not in kinds.NEVER)
    assert (missed > 0) == (kind not in kinds.ALWAYS)


def test_every_field_of_the_recorded_matchers_is_a_kind(run: Run, frontend: Recording) -> None:
    known = {_shape(match) for match in kinds.matches().values()}
    for _, _, route in places(frontend):
        for part in _parts(route["match"]):
            assert _shape(part) in known, part


def _parts(match: dict[str, object]) -> Iterator[dict[str, object]]:
    """The matchers of a route, each alone on the simplest path."""
    rest = {name: value for name, value in match.items() if name not in ("headers", "query_parameters")}
    yield rest
    for name in ("headers", "query_parameters"):
        found = match.get(name, [])
        assert isinstance(found, list)
        for each in found:
            yield {"prefix": "/", name: [each]}


def _shape(value: object) -> object:
    """Fields and their nesting, without what they are compared with; what says the default says nothing."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if (name, each) != ("case_sensitive", True)}
        return tuple(sorted((name, _shape(each)) for name, each in kept.items()))
    if isinstance(value, list):
        return tuple(_shape(each) for each in value)
    return value if isinstance(value, bool) else ""
