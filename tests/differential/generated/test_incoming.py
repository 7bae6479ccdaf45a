"""Generated options of incoming requests: the app and its client get the same from Envoy and from the middleware."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.differential.conftest import SHOP
from tests.differential.generated import incoming
from tests.differential.generated.counting import Census
from tests.differential.generated.drawing import drawn
from tests.differential.recording import Recording
from tests.support import envoy

pytestmark = pytest.mark.envoy

SEED = 20_261_126
CASES = 60

MANAGER = (
    *("use_remote_address=True", "skip_xff_append=True", "xff_num_trusted_hops", "append_x_forwarded_port=True"),
    *("internal_address_config", "merge_slashes=True", "merge_slashes=False", "normalize_path=False"),
    *(
        f"path_with_escaped_slashes_action={each}"
        for each in ("KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_FORWARD", "UNESCAPE_AND_REDIRECT")
    ),
    *("generate_request_id=False", "preserve_external_request_id=True", "always_set_request_id_in_response=True"),
    *("via", "add_user_agent=True", "scheme_header_transformation", "strip_trailing_host_dot=True"),
    *("strip_any_host_port=True", "strip_matching_host_port=True"),
    *(
        f"common_http_protocol_options.headers_with_underscores_action={each}"
        for each in ("REJECT_REQUEST", "DROP_HEADER")
    ),
    *(
        f"http_filters.name=envoy.filters.http.{each}"
        for each in ("cors", "fault", "header_mutation", "local_ratelimit")
    ),
)
LEVELS = ("table", "host", "route")
LEAST = {
    **{f"manager {each}": 20 for each in MANAGER},
    "flags NR": 10,
    "flags FI": 5,
    "flags RL": 10,
    "flags DPE": 1,
    "direct_response status": 20,
    "redirect host_redirect": 5,
    "decorator": 10,
    "route cluster": 200,
    **{
        f"{level} {side}_headers_to_remove": 10
        for level in ("table", "host", "route")
        for side in ("request", "response")
    },
}
"""How often each has to be hit, of 1,200 requests."""


@pytest.mark.timeout(300)
def test_incoming_requests_get_what_envoy_gives_them() -> None:
    envoy.require()
    cases = drawn(incoming.case(), SEED, CASES)
    answers, found, refused = incoming.run(Recording.load(SHOP / "payment"), cases)
    assert not found, "\n".join(f"{each.request}\n  Envoy {each.envoy}\n  ours  {each.ours}" for each in found[:10])
    assert refused == 0, "uvicorn answered itself"
    census = Census()
    census.add(cases, answers)
    met = Counter(each.envoy.status for listed in answers for each in listed)
    assert met.keys() >= {None, 200, 204, 301, 400, 404, 418, 429, 503}
    assert not {name: census.hits[name] for name, least in LEAST.items() if census.hits[name] < least}
