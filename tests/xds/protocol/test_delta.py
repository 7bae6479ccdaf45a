"""Incremental ADS: which request follows which event."""

from __future__ import annotations

import pytest

from proxyless.xds.protocol.delta import DeltaMachine
from proxyless.xds.protocol.events import Rejection, Request, Response
from tests.xds.messages import CLUSTER, ENDPOINT, LISTENER, NAMES, ROUTE, response


@pytest.fixture
def machine() -> DeltaMachine:
    return DeltaMachine()


@pytest.fixture
def opened(machine: DeltaMachine) -> DeltaMachine:
    machine.opened({})
    return machine


def test_a_stream_begins_with_the_wildcards_and_the_node(machine: DeltaMachine) -> None:
    assert machine.opened({}) == [
        Request(CLUSTER.value, first=True),
        Request(LISTENER.value),
        Request(NAMES.value),
    ]


def test_a_new_name_travels_alone(opened: DeltaMachine) -> None:
    assert opened.subscribe(ENDPOINT, ["b", "b"]) == [Request(ENDPOINT.value, subscribe=("b",))]
    assert opened.subscribe(ENDPOINT, ["a", "b"]) == [Request(ENDPOINT.value, subscribe=("a",))]
    assert opened.subscribe(ENDPOINT, ["a"]) == []
    assert opened.subscribe(CLUSTER, ["a"]) == []


def test_so_does_a_name_that_goes(opened: DeltaMachine) -> None:
    opened.subscribe(ENDPOINT, ["a", "b"])
    assert opened.unsubscribe(ENDPOINT, ["b", "c"]) == [Request(ENDPOINT.value, unsubscribe=("b",))]
    assert opened.unsubscribe(ENDPOINT, ["b"]) == []
    assert opened.subscribe(ENDPOINT, ["b"]) == [Request(ENDPOINT.value, subscribe=("b",))]


def test_answers_carry_no_names(opened: DeltaMachine) -> None:
    opened.subscribe(ENDPOINT, ["a"])
    assert opened.answer(response(ENDPOINT, nonce="n1", full=False), []) == [Request(ENDPOINT.value, nonce="n1")]
    refused = [Rejection("a", "is bad")]
    assert opened.answer(response(ENDPOINT, nonce="n2", full=False), refused) == [
        Request(ENDPOINT.value, nonce="n2", error="a: is bad")
    ]
    assert opened.answer(Response(None, "a.B", "1", "n"), []) == []


def test_without_a_stream_names_wait_for_the_next_one_which_says_what_is_held_of_them(machine: DeltaMachine) -> None:
    machine.subscribe(ENDPOINT, ["a", "b", "c"])
    machine.subscribe(ROUTE, ["80"])
    machine.unsubscribe(ROUTE, ["80"])
    machine.unsubscribe(ENDPOINT, ["c"])
    held = {CLUSTER: {"x": "1"}, ENDPOINT: {"a": "2", "c": "3"}}
    assert machine.opened(held) == [
        Request(CLUSTER.value, held=(("x", "1"),), first=True),
        Request(ENDPOINT.value, subscribe=("a", "b"), held=(("a", "2"),)),
        Request(LISTENER.value),
        Request(NAMES.value),
    ]


def test_a_stream_that_ended_forgets_what_was_sent_on_it_and_nothing_else(opened: DeltaMachine) -> None:
    opened.subscribe(ENDPOINT, ["a"])
    opened.closed()
    assert opened.subscribe(ENDPOINT, ["b"]) == []
    requests = opened.opened({})
    assert requests[0].first
    assert requests[1] == Request(ENDPOINT.value, subscribe=("a", "b"))
    assert opened.subscribe(ENDPOINT, ["c"]) == [Request(ENDPOINT.value, subscribe=("c",))]
