"""Generated tokens: requests with them are let through, answered and changed by the JWT filter as by Envoy's."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.differential.conftest import SHOP
from tests.differential.generated import incoming
from tests.differential.generated.forging import STRICTER, WAYS
from tests.differential.generated.tokens import REQUESTS, Drawing
from tests.differential.recording import Recording
from tests.support import envoy
from tests.support.tokens import ALGORITHMS

pytestmark = pytest.mark.envoy

SEED = 20_261_127
CASES = 120
DRAWN = (
    *("provider_name", "provider_and_audiences", "requires_any", "requires_all", "allow_missing", "extract"),
    *("allow_missing_or_failed", "nothing", "bypass_cors_preflight", "strip_failure_response", "audiences", "forward"),
    *("forward_payload_header", "payload_in_metadata", "header_in_metadata", "failed_status_in_metadata"),
    *("clock_skew_seconds", "require_expiration", "max_lifetime", "subjects", "claim_to_headers", "jwt_cache_config"),
    *("normalize_payload_in_metadata", "header", "param", "cookie"),
)


@pytest.mark.timeout(300)
def test_requests_with_tokens_end_as_they_do_in_envoy() -> None:
    envoy.require()
    drawings = [Drawing(SEED + number) for number in range(CASES)]
    cases = [each.case() for each in drawings]
    answers, found, refused = incoming.run(Recording.load(SHOP / "payment"), cases)
    assert not found, "\n".join(f"{each.request}\n  Envoy {each.envoy}\n  ours  {each.ours}" for each in found[:10])
    assert refused == 0, "uvicorn answered itself"
    met = Counter(each.envoy.status for listed in answers for each in listed)
    assert 0.2 < met[None] / (CASES * REQUESTS) < 0.8
    assert min(met[401], met[403]) >= 50
    drawn = sum((each.drawn for each in drawings), Counter[str]())
    assert not {way for way in WAYS if way not in STRICTER and not drawn[way]}
    assert not {name: drawn[name] for name in (*DRAWN, *ALGORITHMS) if drawn[name] < 10}
