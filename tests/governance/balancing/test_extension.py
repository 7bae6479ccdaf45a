"""Balancing policies of other packages."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.balancing.build import build_picker
from proxyless.governance.balancing.context import ANY, PickContext
from proxyless.governance.balancing.extension import HostView, LoadBalancerContext
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.setting import Memory, Setting
from proxyless.xds.model.cluster import Cluster, LbConfig
from proxyless.xds.model.extension import Config, Extension, ExtensionError
from proxyless.xds.model.values import Locality
from tests.support.model import host


def picker(choose_host: Any, *addresses: str, **more: Any) -> Any:
    methods = {"choose_host": choose_host, **more}
    made = type("Made", (), {name: staticmethod(method) for name, method in methods.items()})()
    own = LbConfig(extension=Extension(Config("b", "acme.Balancer"), "acme 1.0", made))
    hosts = [Host(host(each, metadata={"envoy.lb": {"n": each[-4]}}), HostState("c")) for each in addresses]
    setting = Setting(lambda n: n - 1)
    cluster = Cluster("c", lb_policy="LOAD_BALANCING_POLICY_CONFIG", lb=own)
    return build_picker(cluster, [HostSet(hosts)], setting, Memory(setting))


BOTH = ("10.0.0.1:80", "10.0.0.2:80")


def test_it_chooses_among_the_hosts() -> None:
    pick = picker(lambda hosts, draw: hosts[draw(len(hosts))], *BOTH)
    assert pick(ANY).address == "10.0.0.2:80"


def test_it_sees_what_there_is_to_go_by() -> None:
    seen: list[Any] = []

    def choose_host(hosts: Any, draw: Any) -> Any:
        each: HostView = hosts[0]
        seen.extend((each.address, each.hostname, each.weight, each.locality, each.metadata, each.active_requests))
        seen.append(repr(each))
        return each

    picker(choose_host, *BOTH)(ANY)
    assert seen == ["10.0.0.1:80", "", 1, Locality(), {"envoy.lb": {"n": "1"}}, 0, "<Host 10.0.0.1:80>"]


def test_it_may_want_none_of_them() -> None:
    assert picker(lambda hosts, draw: None, *BOTH)(ANY) is None


def test_one_that_goes_by_the_request_is_asked_in_place_of_the_other() -> None:
    def choose_host_for(context: LoadBalancerContext, hosts: Any, draw: Any) -> Any:
        assert (dict(context.headers), context.attempted) == ({}, frozenset())
        return hosts[context.hash or 0]

    pick = picker(lambda hosts, draw: 1 / 0, *BOTH, choose_host_for=choose_host_for)
    assert [pick(PickContext(hash_)).address for hash_ in (None, 1)] == list(BOTH)
    assert pick(PickContext(told=LoadBalancerContext(lambda: 1))).address == BOTH[1]


def test_a_pick_that_is_repeated_says_the_same_of_the_request() -> None:
    asked: list[LoadBalancerContext] = []

    def choose_host_for(context: LoadBalancerContext, hosts: Any, draw: Any) -> Any:
        asked.append(context)
        return hosts[len(asked) - 1]

    told = LoadBalancerContext(lambda: None)
    again = PickContext(told=told).again(lambda host: host.address == BOTH[0], 3)
    assert picker(None, *BOTH, choose_host_for=choose_host_for)(again).address == BOTH[1]
    assert asked == [told, told]


def test_a_single_host_is_taken_without_asking() -> None:
    assert picker(None, "10.0.0.1:80")(ANY).address == "10.0.0.1:80"


@pytest.mark.parametrize(
    ("choose_host", "why"),
    [
        (
            lambda hosts, draw: 1 / 0,
            "of b (acme.Balancer of package acme 1.0) has raised ZeroDivisionError",
        ),
        (
            lambda hosts, draw: "10.0.0.1:80",
            "has returned str, where one of the hosts it was given, or None, is",
        ),
        (lambda hosts, draw: HostView(hosts[0].host), "has returned HostView"),
    ],
)
def test_one_that_fails_is_a_named_error(choose_host: Any, why: str) -> None:
    with pytest.raises(ExtensionError) as raised:
        picker(choose_host, *BOTH)(ANY)
    assert why in str(raised.value)


def test_the_error_names_the_method_that_was_asked() -> None:
    with pytest.raises(ExtensionError, match="choose_host_for of b"):
        picker(None, *BOTH, choose_host_for=lambda context, hosts, draw: 1 / 0)(ANY)
