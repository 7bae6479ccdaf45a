"""What internal requests say of their timeouts and retries is heard as Envoy hears it, and not passed on."""

from __future__ import annotations

import pytest

from tests.differential import steered
from tests.differential.outcomes import ask_async, ask_envoy, ask_sync
from tests.differential.recording import Recording
from tests.differential.test_failures import PARALLEL, running, same

pytestmark = [pytest.mark.envoy, pytest.mark.punctual]


def test_retries_that_a_request_asks_for(frontend: Recording) -> None:
    with running(frontend, steered.retries()) as (rig, mesh, requests):
        theirs = ask_envoy(rig, requests, parallel=PARALLEL)
        same(requests, theirs, ask_sync(mesh, rig.backends, requests))
    assert {len(each.tries) for each in theirs} >= {1, 2, 3, 4}


def test_timeouts_that_a_request_asks_for(frontend: Recording) -> None:
    with running(frontend, steered.timeouts()) as (rig, mesh, requests):
        theirs = ask_envoy(rig, requests, parallel=len(requests))
        same(requests, theirs, ask_async(mesh, rig.backends, requests))
    assert {(each.status, each.flags) for each in theirs} >= {(200, ""), (204, "UT"), (504, "UT"), (504, "UMSDR")}
