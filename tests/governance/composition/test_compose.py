"""What a list of policies makes, and what it may not hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from proxyless.governance.composition.builtin import BUILTIN
from proxyless.governance.composition.compose import NONE, Policies, compose
from proxyless.governance.composition.items import MESH, Fallback, PolicyError, Suite, off, shadow
from proxyless.governance.composition.messages import Request, Response


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def on_request(self, request: Request) -> None: ...


class Looks:
    def on_response(self, request: Request, response: Response) -> None: ...


class Waits:
    async def on_request(self, request: Request) -> None: ...


class Wanting:
    def __init__(self, most: object) -> None:
        self.max_request_bytes = most

    def on_request(self, request: Request) -> None: ...


class WaitsLate:
    async def on_response(self, request: Request, response: Response) -> None: ...


def made(*items: object, **options: Any) -> Policies:
    found = compose(items, "suite", **options)
    assert found is not None
    return found


def names(owns: Iterable[Any]) -> list[str]:
    return [each.name for each in owns]


def test_a_list_that_says_nothing_is_nothing() -> None:
    assert compose([], "suite") is None
    assert compose([MESH, [], Suite("empty", [])], "suite") is None


def test_own_policies_stand_before_the_mesh_unless_the_list_says_where_it_stands() -> None:
    found = made(Named("a"), Looks())
    assert (names(found.before), names(found.after)) == (["a", "Looks"], [])
    found = made(Named("a"), MESH, Looks())
    assert (names(found.before), names(found.after)) == (["a"], ["Looks"])


def test_lists_are_nested_and_say_where_each_policy_is_from() -> None:
    def find(name: str) -> Any:
        return {"acme": [Named("b")], "suite": Suite("x", (Named("c"),))}[name]

    found = made(Suite("tenants", [Named("a"), [MESH]]), ["acme"], "suite", find=find)
    assert [(each.name, each.origin) for each in found.before] == [("a", "suite / tenants")]
    assert [(each.name, each.origin) for each in found.after] == [("b", "suite / acme"), ("c", "suite / suite")]


def test_a_suites_list_stands_where_the_mesh_does_in_the_list_of_the_mesh() -> None:
    outer = made(Named("a"), MESH, Named("d"), off("retry"), shadow("fault", "timeout"), Fallback(Response(200)))
    inner = made(Named("b"), MESH, Named("c"), shadow("retry"), off("fault"), Fallback(Response(201)))
    both = outer.within(inner)
    assert (names(both.before), names(both.after)) == (["a", "b"], ["c", "d"])
    assert both.modes == {"retry": "off", "fault": "off", "timeout": "shadow"}
    assert [each.answer.status for each, _ in both.fallbacks] == [201, 200]  # type: ignore[union-attr]


def test_off_wins_over_shadow_in_one_list_whatever_comes_first() -> None:
    assert made(off("retry"), shadow("retry")).mode("retry") == "off"
    assert made(shadow("retry"), off("retry")).mode("retry") == "off"


def test_the_visible_list_has_everything_in_the_order_in_which_a_request_meets_it() -> None:
    found = made(Named("a"), MESH, Named("b"), off("retry"), Fallback(Response(503), on="breaker", statuses=[502]))
    lines = [each.document() for each in found.entries()]
    assert [each["name"] for each in lines] == ["a", *BUILTIN, "b", "Fallback(response on breaker, 502)"]
    assert {each["name"]: each["mode"] for each in lines if each["mode"] != "on"} == {"retry": "off"}
    assert {each["origin"] for each in lines if each["kind"] == "mesh"} == {"configuration", "suite"}
    assert "retry" not in [each.name for each in NONE.entries(incoming=True)]
    assert "jwt" in [each.name for each in NONE.entries(incoming=False)]


def test_shadow_mode_without_names_is_about_all_that_refuses_delays_or_repeats() -> None:
    found = made(shadow(), whole=True)
    assert found.mode("routing") == "on"
    assert {each for each in BUILTIN if found.mode(each) == "shadow"} == set(BUILTIN) - {"routing", "cors"}


@pytest.mark.parametrize(
    ("items", "options", "text"),
    [
        ([MESH, MESH], {}, "MESH stands in the list twice"),
        ([Named], {}, "Named is a class"),
        ([7], {}, "7 is no policy: it has neither on_request nor on_response"),
        ([type("Odd", (), {"on_request": 7})()], {}, "on_request of policy Odd is 7, not a method"),
        (["nobody"], {}, "no package brings policies by the name 'nobody'"),
        ("nobody", {}, "policies='nobody' is no list"),
        (7, {}, "policies=7 is no list"),
        ([Wanting(0)], {}, "max_request_bytes of policy Wanting is 0: a number of bytes above 0"),
        ([Wanting("1")], {}, "max_request_bytes of policy Wanting is '1'"),
        ([Waits()], {"blocking": True}, "on_request of policy Waits is a coroutine, and this code is sync"),
        ([WaitsLate()], {"incoming": True}, "an app's response does not wait"),
        ([Fallback("http://b")], {"incoming": True}, "cannot be answered by another host"),
        ([], {}, ""),
    ],
)
def test_what_makes_no_sense_is_said(items: Any, options: Any, text: str) -> None:
    if not text:
        items = [items]
        items[0].append(items[0])
        text = "holds itself"
    with pytest.raises(PolicyError, match="suite: .*" + text.replace("[", r"\[")):
        compose(items, "suite", **options)


def test_coroutines_are_welcome_where_they_can_be_awaited() -> None:
    assert names(made(Waits(), WaitsLate()).before) == ["Waits", "WaitsLate"]
    assert names(made(Waits(), incoming=True).before) == ["Waits"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: off(), "names no policy"),
        (lambda: off("retires"), r"off\('retires'\): the policies are routing, cors, jwt"),
        (lambda: shadow("cors"), r"shadow\('cors'\): the policies are"),
        (lambda: off("mtls"), "mtls cannot be switched off in a program"),
        (lambda: Fallback(7), r"Fallback\(7\): it is a Response"),  # type: ignore[arg-type]
        (lambda: Fallback("ftp://x"), "http://HOST or http://HOST:PORT"),
        (lambda: Fallback("http://x:y"), "http://HOST or http://HOST:PORT"),
        (lambda: Fallback(Response(200), on=["brake"]), "'brake': there are breaker, limit, failure and"),
        (lambda: Fallback(Response(200), statuses=[200]), "200 is not the status of a failure"),
        (lambda: Fallback(Response(200), statuses=["503"]), "'503' is not the status of a failure"),  # type: ignore[list-item]
        (lambda: Fallback(Response(200), on=[]), "it would be asked for nothing"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(make: Any, text: str) -> None:
    with pytest.raises(PolicyError, match=text):
        make()


def test_what_concerns_a_whole_mesh_is_not_for_one_suite() -> None:
    with pytest.raises(PolicyError, match=r"off\('outlier'\) is for a whole mesh"):
        compose([off("outlier")], "suite")
    assert made(off("outlier"), whole=True).mode("outlier") == "off"


def test_a_fallback_says_what_it_is_for() -> None:
    assert Fallback("http://backup.shop:81").port == 81
    assert Fallback("http://bücher.shop").host == b"xn--bcher-kva.shop"
    assert Fallback(lambda request, response: None, on=["UO", "limit"]).flags == {"UO", "RL", "RLSE"}
    assert repr(MESH) == "MESH"
    assert repr(Suite("x", [])) == "Suite('x')"
