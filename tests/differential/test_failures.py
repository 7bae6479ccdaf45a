"""What goes wrong, goes wrong as behind Envoy: status, flags, body, and the tries that the backends saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from proxyless.mesh import Mesh
from tests.differential import beside, failures
from tests.differential.batch import requests_of
from tests.differential.case import Case
from tests.differential.failures import OTHER_HOST, STALLED
from tests.differential.outcomes import Outcome, ask_async, ask_envoy, ask_sync
from tests.differential.probes.retries import DEAD
from tests.differential.recording import Recording
from tests.differential.requests import Request
from tests.differential.rig import Rig

pytestmark = pytest.mark.envoy

PARALLEL = 16


def different(requests: Sequence[Request], theirs: Sequence[Outcome], ours: Sequence[Outcome]) -> list[str]:
    """The requests that end otherwise, and how."""
    lines = []
    for request, one, other in zip(requests, theirs, ours, strict=True):
        if not request.host.startswith(OTHER_HOST):  # what else is under way has a part in where a try goes
            one, other = replace(one, again=False), replace(other, again=False)
        if one != other:
            lines.append(f"{request.host} {request.headers}\n  Envoy     {one}\n  proxyless {other}")
    return lines


def same(requests: Sequence[Request], theirs: Sequence[Outcome], ours: Sequence[Outcome]) -> None:
    """Fails with the requests that end otherwise."""
    lines = different(requests, theirs, ours)
    assert not lines, "\n".join([f"{len(lines)} of {len(requests)} end otherwise", *lines])


@contextmanager
def running(base: Recording, case: Case) -> Iterator[tuple[Rig, Mesh, list[Request]]]:
    """Envoy and a mesh on a case, and its requests."""
    with beside.running(base, [case]) as (rig, mesh):
        yield rig, mesh, requests_of([case])


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_each_condition_is_retried_in_the_same_situations(frontend: Recording, http2: bool) -> None:
    with running(frontend, failures.retries(http2=http2)) as (rig, mesh, requests):
        rig.backends.refuse(DEAD)
        theirs = ask_envoy(rig, requests, parallel=1 if http2 else PARALLEL)
        same(requests, theirs, ask_sync(mesh, rig.backends, requests))
        if not http2:  # where a connection that ends takes the other requests on it along
            same(requests, theirs, ask_async(mesh, rig.backends, requests))
    tried = {len(each.tries) for each in theirs}
    assert tried == {0, 1, 3}


def test_how_often_where_and_with_which_body_a_call_is_tried_again(frontend: Recording) -> None:
    with running(frontend, failures.details()) as (rig, mesh, requests):
        theirs = ask_envoy(rig, requests)
        same(requests, theirs, ask_sync(mesh, rig.backends, requests))


@pytest.mark.punctual
def test_every_timeout_ends_a_call_in_the_same_way(frontend: Recording) -> None:
    """A machine that stands still for a third of a second changes what ends first: then they are asked again. A rule
    that differs, differs each time."""
    with running(frontend, failures.timeouts()) as (rig, mesh, requests):
        rig.backends.stall(STALLED)
        theirs = ask_envoy(rig, requests, parallel=len(requests))
        for ask in (ask_async, ask_sync):
            if different(requests, theirs, ask(mesh, rig.backends, requests)):
                theirs = ask_envoy(rig, requests, parallel=len(requests))
                same(requests, theirs, ask(mesh, rig.backends, requests))
