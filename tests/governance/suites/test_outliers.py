"""Outlier detection behind a real client: a backend that fails is left out, and comes back."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from proxyless import Mesh
from tests.governance.suites.callers import Caller
from tests.governance.suites.conftest import A
from tests.support.backends import Backends
from tests.support.behaviour import Behaviour
from tests.support.waiting import wait_for

URL = "http://eject.example.com/"
CLUSTER = "outbound|80||eject.example.com"


def endpoints(mesh: Mesh) -> list[dict[str, Any]]:
    """Those of the cluster, as the status document shows them."""
    [found] = [each for each in mesh.status()["clusters"] if each["name"] == CLUSTER]
    return list(found["endpoints"])


def ejected(mesh: Mesh) -> list[str]:
    return [each["address"].partition(":")[0] for each in endpoints(mesh) if each["ejected"]]


def test_a_backend_that_fails_is_left_out_and_comes_back(
    mesh: Mesh, caller: Caller, backends: Backends, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxyless")
    backends.behave(A, Behaviour(status=503))
    assert sorted(caller.get(URL).status_code for _ in range(6)) == [200] * 4 + [503] * 2
    assert ejected(mesh) == [A[0]]
    assert [each["ejected_until"] is not None for each in endpoints(mesh)] == [True, False, False]
    address = f"{A[0]}:{backends.ports[A]}"
    assert f"cluster {CLUSTER}: {address} is ejected for 0.4 s (consecutive 5xx)" in caplog.text
    backends.behave(A, Behaviour())
    # The control thread's tick, without a call.
    wait_for(lambda: not ejected(mesh))
    assert f"cluster {CLUSTER}: {address} is back after 0." in caplog.text
    assert {caller.get(URL).status_code for _ in range(6)} == {200}
