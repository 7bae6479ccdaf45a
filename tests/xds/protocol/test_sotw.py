"""State of the world: which request follows which event."""

from __future__ import annotations

import pytest

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.protocol.events import Rejection, Request, Response
from proxyless.xds.protocol.sotw import SotwMachine
from tests.xds.messages import CLUSTER, ENDPOINT, EXTENSION, LISTENER, NAMES, ROUTE, response

BAD = [Rejection("a", "is bad"), Rejection("", "has no name")]
REASONS = "a: is bad; (unnamed): has no name"


@pytest.fixture
def machine() -> SotwMachine:
    return SotwMachine()


@pytest.fixture
def opened(machine: SotwMachine) -> SotwMachine:
    machine.opened({})
    return machine


def asked(type_: ResourceType, *names: str, version: str = "", nonce: str = "", error: str = "") -> Request:
    return Request(type_.value, version, nonce, names, error)


def test_a_stream_begins_with_the_wildcards_and_the_node(machine: SotwMachine) -> None:
    first, *rest = machine.opened({})
    assert first == Request(CLUSTER.value, first=True)
    assert rest == [asked(LISTENER), asked(NAMES)]


def test_a_new_name_is_asked_for_together_with_the_old_ones(opened: SotwMachine) -> None:
    assert opened.subscribe(ENDPOINT, ["b"]) == [asked(ENDPOINT, "b")]
    assert opened.subscribe(ENDPOINT, ["a", "b"]) == [asked(ENDPOINT, "b", "a")]
    assert opened.subscribe(ENDPOINT, ["a"]) == []


def test_names_of_wildcard_types_are_not_asked_for(opened: SotwMachine) -> None:
    assert opened.subscribe(CLUSTER, ["a"]) == []
    assert opened.unsubscribe(CLUSTER, ["a"]) == []


def test_without_a_stream_names_wait_for_the_next_one(machine: SotwMachine) -> None:
    assert machine.subscribe(ENDPOINT, ["a", "b"]) == []
    assert machine.subscribe(ROUTE, ["80"]) == []
    assert machine.unsubscribe(ENDPOINT, ["a"]) == []
    requests = machine.opened({})
    assert [(each.type_url, each.names) for each in requests] == [
        (CLUSTER.value, ()),
        (ENDPOINT.value, ("b",)),
        (LISTENER.value, ()),
        (NAMES.value, ()),
        (ROUTE.value, ("80",)),
    ]


def test_an_accepted_response_is_acknowledged_with_its_version_and_all_names(opened: SotwMachine) -> None:
    opened.subscribe(ENDPOINT, ["a"])
    assert opened.answer(response(ENDPOINT, version="7", nonce="n1"), []) == [
        asked(ENDPOINT, "a", version="7", nonce="n1")
    ]


def test_a_refused_response_is_answered_with_the_version_before_and_every_reason(opened: SotwMachine) -> None:
    opened.answer(response(CLUSTER, version="7", nonce="n1"), [])
    assert opened.answer(response(CLUSTER, version="8", nonce="n2"), BAD) == [
        asked(CLUSTER, version="7", nonce="n2", error=REASONS)
    ]


def test_a_type_that_nobody_knows_is_not_answered(opened: SotwMachine) -> None:
    assert opened.answer(Response(None, "a.B", "1", "n"), []) == []


def test_names_that_crossed_a_refused_response_are_sent_again_without_the_error(opened: SotwMachine) -> None:
    # The server may have sent the response before it saw the name; then it ignored the stale request.
    opened.subscribe(ENDPOINT, ["a"])
    opened.answer(response(ENDPOINT, version="1", nonce="n1"), [])
    opened.subscribe(ENDPOINT, ["b"])
    assert opened.answer(response(ENDPOINT, version="2", nonce="n2"), BAD) == [
        asked(ENDPOINT, "a", "b", version="1", nonce="n2", error=REASONS),
        asked(ENDPOINT, "a", "b", version="1", nonce="n2"),
    ]
    assert opened.answer(response(ENDPOINT, version="3", nonce="n3"), BAD) == [
        asked(ENDPOINT, "a", "b", version="1", nonce="n3", error=REASONS),
        # The request before may have been stale too: nobody can tell.
        asked(ENDPOINT, "a", "b", version="1", nonce="n3"),
    ]


def test_so_are_names_that_went_and_came_back(opened: SotwMachine) -> None:
    opened.subscribe(ENDPOINT, ["a", "b"])
    opened.answer(response(ENDPOINT, version="1", nonce="n1"), [])
    opened.unsubscribe(ENDPOINT, ["b"])
    opened.subscribe(ENDPOINT, ["b"])
    assert opened.answer(response(ENDPOINT, version="2", nonce="n2"), BAD)[1:] == [
        asked(ENDPOINT, "a", "b", version="1", nonce="n2")
    ]


def test_the_names_of_a_first_request_arrived_for_certain(opened: SotwMachine) -> None:
    opened.subscribe(ENDPOINT, ["a"])
    opened.subscribe(ENDPOINT, ["b"])
    assert len(opened.answer(response(ENDPOINT, nonce="n1"), BAD)) == 1


def test_a_name_that_goes_leaves_the_others_and_the_last_one_ends_the_subscription(opened: SotwMachine) -> None:
    opened.subscribe(ENDPOINT, ["a", "b"])
    opened.answer(response(ENDPOINT, version="1", nonce="n1"), [])
    assert opened.unsubscribe(ENDPOINT, ["a", "c"]) == [asked(ENDPOINT, "b", version="1", nonce="n1")]
    assert opened.unsubscribe(ENDPOINT, ["b"]) == [asked(ENDPOINT, version="1", nonce="n1")]
    assert opened.unsubscribe(ENDPOINT, ["b"]) == []
    assert opened.subscribe(ENDPOINT, ["a"]) == [asked(ENDPOINT, "a")]


def test_what_was_on_its_way_when_a_subscription_ended_is_not_answered(opened: SotwMachine) -> None:
    opened.subscribe(EXTENSION, ["a"])
    opened.unsubscribe(EXTENSION, ["a"])
    assert opened.answer(response(EXTENSION, nonce="late"), []) == []
    assert opened.subscribe(EXTENSION, ["a"]) == [asked(EXTENSION, "a")]


@pytest.mark.parametrize("open_", [True, False], ids=["on a stream", "between streams"])
def test_the_next_stream_does_not_ask_for_a_type_without_names(machine: SotwMachine, open_: bool) -> None:
    # The first request of a type without names would mean all that there are.
    machine.opened({})
    machine.subscribe(ENDPOINT, ["a"])
    if not open_:
        machine.closed()
    machine.unsubscribe(ENDPOINT, ["a"])
    machine.closed()
    assert ENDPOINT.value not in {each.type_url for each in machine.opened({})}


def test_the_next_stream_says_the_accepted_versions_and_no_nonce(opened: SotwMachine) -> None:
    opened.subscribe(ROUTE, ["80"])
    opened.answer(response(ROUTE, version="3", nonce="n1"), [])
    opened.answer(response(CLUSTER, version="4", nonce="n2"), [])
    opened.closed()
    assert opened.opened({}) == [
        Request(CLUSTER.value, "4", first=True),
        asked(LISTENER),
        asked(NAMES),
        asked(ROUTE, "80", version="3"),
    ]
