"""HTTP filters of other packages: what they may do, and what happens where they fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxyless.governance.actions import Ask
from proxyless.governance.composition.messages import Request, Response
from proxyless.governance.events import Event, ExtensionFailed
from proxyless.governance.filters.chain import compile_chain
from proxyless.governance.filters.extension import ExtensionFilter, said_of_extensions
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Runtime
from proxyless.governance.telemetry.events import describe
from proxyless.xds.model.extension import Config, Extension, ExtensionError
from proxyless.xds.model.filters import HttpFilter
from tests.governance.filters.places import target
from tests.support.streams import FakeStream, Ran, run

SAID = "f (acme.Filter of package acme 1.0)"


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)


def extension(**methods: Any) -> Extension:
    made = type("Made", (), {name: staticmethod(method) for name, method in methods.items()})()
    return Extension(Config("f", "acme.Filter"), "acme 1.0", made)


def stream(**parts: Any) -> tuple[FakeStream, Heard]:
    heard, runtime = Heard(), Runtime()
    runtime.add_event_listener(heard)
    request = RequestView(b"GET", b"http", b"shop", b"/", [(b"x-key", b"1"), (b"x-c", b"a")])
    return FakeStream(request, runtime=runtime, **parts), heard


def ran(found: Extension, *answers: object) -> Ran:
    return run(ExtensionFilter("f", found), stream()[0], *answers)


CHUNKED = (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    ("header", "incoming", "collected", "seen", "said"),
    [
        ((b"content-length", b"5"), False, 5, [b"xxxxx"], ""),
        (CHUNKED, False, 5, [b"xxxxx"], ""),
        (CHUNKED, False, 0, [b""], ""),
        (CHUNKED, False, None, [None], ""),  # a dry run
        (CHUNKED, False, 6, [], "413"),
        ((b"content-length", b"6"), False, None, [], "413"),
        ((b"content-length", b"0"), True, None, [b""], ""),
        ((b"x-other", b"1"), False, None, [b""], ""),
        ((b"x-other", b"1"), True, 3, [b"xxx"], ""),
    ],
)
def test_a_body_is_seen_by_who_says_how_long_it_may_be(
    header: tuple[bytes, bytes], incoming: bool, collected: int | None, seen: list[bytes | None], said: str
) -> None:
    got: list[bytes | None] = []
    made = extension(on_request=lambda request: got.append(request.body))
    made.made.max_request_bytes = 5
    asked, _ = stream(incoming=incoming)
    asked.request.replace_headers([header])
    reply = run(ExtensionFilter("f", made), asked, collected).reply
    assert (got, str(reply.status) if reply is not None else "") == (seen, said)
    assert asked.request.raw_headers == [header]


def test_with_a_body_it_may_answer_and_wait_too() -> None:
    async def on_request(request: Request) -> Response:
        raise AssertionError

    for answer, expected in ((Response(418), 418), (None, None)):
        made = extension(on_request=on_request)
        made.made.max_request_bytes = 5
        asked, _ = stream(incoming=True)
        found = run(ExtensionFilter("f", made), asked, 3, answer)
        assert isinstance(found.actions[1], Ask)
        found.actions[1].request.close()
        assert (found.reply.status if found.reply is not None else None) == expected
    made = extension(on_request=lambda request: Response(401))
    made.made.max_request_bytes = 5
    asked, _ = stream()
    reply = run(ExtensionFilter("f", made), asked).reply
    assert reply is not None
    assert reply.status == 401


def nothing(request: Request) -> None:
    del request


def test_a_request_may_be_changed_and_goes_on() -> None:
    def on_request(request: Request) -> None:
        request.headers["x-tenant"] = request.headers["x-key"]

    asked, _ = stream()
    assert run(ExtensionFilter("f", extension(on_request=on_request)), asked) == Ran(None, [])
    assert asked.request.raw_headers[-1] == (b"x-tenant", b"1")


def test_a_cluster_that_a_header_names_is_the_one_it_named_when_the_route_was_found() -> None:
    def on_request(request: Request) -> None:
        request.headers["x-c"] = "b"

    asked, _ = stream(target=target(header="x-c"))
    run(ExtensionFilter("f", extension(on_request=on_request)), asked)
    assert asked.named == "a"


def test_a_request_may_be_answered() -> None:
    reply = ran(extension(on_request=lambda request: Response(401, "no key"))).reply
    assert reply is not None
    assert (reply.status, reply.body, reply.details) == (401, b"no key", "filter{f}")


@pytest.mark.parametrize("made", [extension(on_response=lambda request, response: None), extension(on_request=nothing)])
def test_either_method_will_do(made: Extension) -> None:
    asked, _ = stream()
    own = ExtensionFilter("f", made)
    assert own.on_request(asked) is None
    assert own.on_response(asked, 200, [(b"a", b"1")]) == [(b"a", b"1")]


def test_a_response_is_seen_with_its_request_and_its_headers_may_be_changed() -> None:
    def on_response(request: Request, response: Response) -> None:
        response.headers["x-seen"] = f"{request.context['n']} {response.status}"

    def on_request(request: Request) -> None:
        request.context["n"] = "7"

    asked, _ = stream()
    own = ExtensionFilter("f", extension(on_request=on_request, on_response=on_response))
    own.on_request(asked)
    before = [(b"a", b"1")]
    assert own.on_response(asked, 404, before) == [(b"a", b"1"), (b"x-seen", b"7 404")]
    assert before == [(b"a", b"1")]


def test_a_route_has_its_own() -> None:
    chain, places = extension(on_request=lambda request: Response(401)), extension(on_request=nothing)
    own = ExtensionFilter("f", chain)
    assert (own.applies(None), own.applies(target(f=places)), own.applies(target())) == (True, True, True)
    assert own.on_request(stream(target=target(f=places))[0]) is None
    off = ExtensionFilter("f", None)
    assert (off.applies(None), off.applies(target(f=places)), off.applies(target())) == (False, True, False)
    asked, _ = stream()
    assert off.on_request(asked) is None
    assert off.on_response(asked, 200, []) == []


def broken(*given: Any) -> Any:
    raise KeyError("secret")


@pytest.mark.parametrize(
    ("on_request", "why"),
    [
        (broken, f"on_request of {SAID} has raised KeyError"),
        (lambda request: "no", f"on_request of {SAID} has returned str, where a Response or None is wanted"),
    ],
)
def test_one_that_fails_lets_nothing_through(on_request: Any, why: str) -> None:
    asked, heard = stream()
    reply = run(ExtensionFilter("f", extension(on_request=on_request)), asked).reply
    assert reply is not None
    assert (reply.status, reply.body.decode()) == (503, f"filter {SAID} has failed")
    assert [describe(each) for each in heard.events] == [why]


@pytest.mark.parametrize("on_response", [broken, lambda request, response: Response(200)])
def test_one_that_fails_on_the_way_back_gives_nothing_away(on_response: Any) -> None:
    asked, heard = stream()
    with pytest.raises(ExtensionError, match=r"on_response of f \(acme\.Filter of package acme 1\.0\) has r"):
        ExtensionFilter("f", extension(on_response=on_response)).on_response(asked, 200, [])
    assert [type(each) for each in heard.events] == [ExtensionFailed]


async def refuses(request: Request) -> Response:
    return Response(429)


async def fails(request: Request) -> Response:
    raise KeyError("secret")


@pytest.mark.parametrize(("on_request", "status"), [(refuses, 429), (fails, 503)])
def test_a_coroutine_is_awaited(on_request: Any, status: int) -> None:
    asked, heard = stream()
    steps = ExtensionFilter("f", extension(on_request=on_request)).on_request(asked)
    assert steps is not None
    action = next(steps)  # type: ignore[arg-type]
    assert isinstance(action, Ask)
    answer = asyncio.run(action.service.ask_async(action.request, 1.0))
    with pytest.raises(StopIteration) as stop:
        steps.send(answer)  # type: ignore[union-attr]
    assert stop.value.value.status == status
    assert len(heard.events) == (status == 503)


def test_what_is_to_be_awaited_lets_nothing_through_in_sync_code() -> None:
    class Later:
        def __await__(self) -> Any:
            yield

    for on_request in (refuses, lambda request: Later()):
        asked, heard = stream()
        steps: Any = ExtensionFilter("f", extension(on_request=on_request)).on_request(asked)
        action = next(steps)
        with pytest.raises(StopIteration) as stop:
            steps.send(action.service.ask(action.request, 1.0))
        assert stop.value.value.status == 503
        assert "this code is sync" in describe(heard.events[0])


def test_it_stands_in_a_chain_and_is_said() -> None:
    asked, _ = stream()
    made = extension(on_request=nothing)
    chain = compile_chain([HttpFilter("f", made), HttpFilter("g", made, disabled=True)], "s", asked.runtime, {})
    assert said_of_extensions(asked, chain.active) == [f"filter {SAID} is asked"]
