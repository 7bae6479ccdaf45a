"""Small values."""

from __future__ import annotations

import pytest

from proxyless.xds.model.names import NameTable
from proxyless.xds.model.tls import DataSource
from proxyless.xds.model.values import MILLION, Address, Fraction, HeaderMutation, HeaderMutations


@pytest.mark.parametrize(
    ("fraction", "percent", "hits"),
    [
        (Fraction(0), 0.0, 0),
        (Fraction(25), 25.0, 25),
        (Fraction(150), 100.0, 100),
        (Fraction(5, 10_000), 0.05, 5),
        (Fraction(MILLION, MILLION), 100.0, MILLION),
    ],
)
def test_a_fraction_is_hit_by_its_share_of_draws(fraction: Fraction, percent: float, hits: int) -> None:
    assert fraction.percent == pytest.approx(percent)
    assert sum(fraction.hit(draw + fraction.denominator) for draw in range(fraction.denominator)) == hits


@pytest.mark.parametrize(
    ("address", "text"), [(Address("127.0.0.1", 80), "127.0.0.1:80"), (Address("::1", 80), "[::1]:80")]
)
def test_an_address_is_spelled_as_in_a_url(address: Address, text: str) -> None:
    assert str(address) == text


def test_mutations_are_true_when_they_change_something() -> None:
    one = (HeaderMutation("a", "b"),)
    assert not HeaderMutations()
    for each in (
        HeaderMutations(request_add=one),
        HeaderMutations(request_remove=("a",)),
        HeaderMutations(response_add=one),
        HeaderMutations(response_remove=("a",)),
    ):
        assert each


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("cart.shop.svc", ("10.0.0.1",)),
        ("CART.shop.svc.", ("10.0.0.1",)),
        ("cart", ("10.0.0.1",)),
        ("other", ("10.0.0.2",)),
        ("stranger", ()),
    ],
)
def test_a_host_is_looked_up_as_it_stands_and_then_in_each_domain(host: str, addresses: tuple[str, ...]) -> None:
    names = NameTable({"cart.shop.svc": ("10.0.0.1",), "other.svc": ("10.0.0.2",)})
    assert names.lookup(host, ("svc", "shop.svc")) == addresses


def test_without_domains_only_the_name_itself_counts() -> None:
    assert NameTable({"a": ("10.0.0.1",)}).lookup("b") == ()


def test_a_source_that_says_nothing_is_none() -> None:
    assert [bool(each) for each in (DataSource(), DataSource("a.pem"), DataSource(inline=b"x"))] == [False, True, True]
