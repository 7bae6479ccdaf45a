"""Balancing policies of other packages."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.balancing.build import build_picker
from proxyless.governance.balancing.context import ANY
from proxyless.governance.balancing.extension import HostView
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.setting import Memory, Setting
from proxyless.xds.model.cluster import Cluster, LbConfig
from proxyless.xds.model.extension import Config, Extension, ExtensionError
from proxyless.xds.model.values import Locality
from tests.support.model import host


def picker(choose_host: Any, *addresses: str) -> Any:
    made = type("Made", (), {"choose_host": staticmethod(choose_host)})()
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
