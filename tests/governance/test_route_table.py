"""A route table that takes over from the one before finds what a new one finds."""

from __future__ import annotations

import pytest

from proxyless.governance import route_table
from proxyless.governance.route_table import RouteTable
from proxyless.xds.model.route import LazyVirtualHost
from proxyless.xds.model.values import HeaderMutation, HeaderMutations
from tests.support.model import route, table, vhost

EXACT = vhost(route(), domains=["a.shop", "a.shop:80"])
SUFFIX = vhost(route(), domains=["*.Example", "*-long.example"])
OTHER_SUFFIX = vhost(route(), domains=["*.sectors"])
PREFIX = vhost(route(), domains=["www.*"])
REST = vhost(route(), domains=["*"])
ALL = (EXACT, SUFFIX, OTHER_SUFFIX, PREFIX, REST)
ASKED = (b"a.shop", b"A.SHOP:80", b"b.example", b"b-long.example", b"b.sectors", b"www.else", b"nowhere", b"new.shop")


def found(hosts: RouteTable) -> list[str | None]:
    return [each.config.name if (each := hosts.find(name)) is not None else None for name in ASKED]


def without(*gone: LazyVirtualHost) -> tuple[LazyVirtualHost, ...]:
    return tuple(each for each in ALL if each not in gone)


@pytest.mark.parametrize(
    "hosts",
    [
        ALL,
        tuple(reversed(ALL)),
        without(EXACT),
        without(SUFFIX),
        without(PREFIX),
        without(REST),
        without(REST, PREFIX, SUFFIX, OTHER_SUFFIX),
        (*without(EXACT), vhost(route(), domains=["new.shop"])),
        (*without(REST), vhost(route(), domains=["*"], name="other")),
        (*without(SUFFIX), vhost(route(), domains=["*.example", "*.longer.example"])),
        (vhost(route(), domains=["new.shop"]),),
        (),
    ],
)
def test_a_table_that_takes_over_finds_what_a_new_one_finds(hosts: tuple[LazyVirtualHost, ...]) -> None:
    before = RouteTable(table(*ALL))
    expected = found(before)
    after = RouteTable(table(*hosts), before)
    assert found(after) == found(RouteTable(table(*hosts)))
    assert found(before) == expected
    assert found(RouteTable(table(*ALL), after)) == expected


def test_what_is_compiled_stays_while_the_settings_of_the_table_do() -> None:
    before = RouteTable(table(*ALL))
    compiled = before.find(b"a.shop")
    assert RouteTable(table(*without(REST)), before).find(b"a.shop") is compiled
    headers = HeaderMutations(request_add=(HeaderMutation("x", "y"),))
    assert RouteTable(table(*ALL, headers=headers), before).find(b"a.shop") is not compiled


AUTHORITIES = (b"a", b"x.b", b"y.b", b"c")


def test_authorities_that_clients_choose_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route_table, "MOST_REMEMBERED", 2)
    found = RouteTable(table(vhost(route("/"), domains=("a",)), vhost(route("/"), domains=("*.b",))))
    for _ in range(2):
        names = [each.config.name if (each := found.find(name)) is not None else None for name in AUTHORITIES]
        assert names == ["a", "*.b", "*.b", None]
    assert len(found._found) == 2
