"""A try says whether the one before took too long."""

from __future__ import annotations

import pytest

from tests.differential.beside import both
from tests.differential.case import Case
from tests.differential.custom import host, route
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

pytestmark = pytest.mark.envoy

POLICY: Resource = {"retry_on": "5xx", "num_retries": 2, "retry_back_off": {"base_interval": "0.001s"}}
SLOW = "status=200;delay=0.9"


@pytest.mark.parametrize("how", ["per_try_timeout", "per_try_idle_timeout", "hedged"])
def test_tries_tell_of_timeouts(frontend: Recording, how: str) -> None:
    limit = "per_try_timeout" if how == "hedged" else how
    action = {"cluster": "a", "timeout": "0s", "retry_policy": {**POLICY, limit: "0.4s"}}
    if how == "hedged":
        action["hedge_policy"] = {"hedge_on_per_try_timeout": True}
    held = host(route({"prefix": "/"}, action), include_is_timeout_retry_header=True)
    own = ("x-envoy-is-timeout-retry", "mine")
    plans: list[tuple[str, Headers]] = [
        ("status=503", ()),
        (f"{SLOW},status=503,status=200", ()),
        (f"status=503,{SLOW},status=200", (own,)),
    ]
    sent = [
        Request("GET", "http://any.test/", (("x-request-id", f"{how} {at}"), ("x-backend", plan), *more))
        for at, (plan, more) in enumerate(plans)
    ]
    both(frontend, [Case((held,), tuple(sent))])
