"""A host that only DNS knows takes the listener of its address, as the redirect does behind a sidecar."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance import dialled as module
from proxyless.governance.actions import AwaitConfig, Bypass
from proxyless.governance.dialled import LEAST_S, STALE_S, UNTOLD_S, DialledHosts
from proxyless.governance.explain import why
from proxyless.governance.plan import Destination, Missing
from proxyless.governance.runtime import Options
from proxyless.xds.model.listener import Listener, TcpProxy
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.model.values import Cidr
from tests.support.model import LISTENER, bad, chain, cluster, listener, resource
from tests.support.world import Clock, World


def tcp(name: str, **match: Any) -> Any:
    return chain(TcpProxy(name), name, **match)


LISTENERS = [
    listener("10.96.0.1_80", tcp("vip")),
    listener("0.0.0.0_80", tcp("port")),
    listener("0.0.0.0_90", tcp("range", prefix_ranges=(Cidr("10.96.0.0", 16),)), tcp("other")),
    listener("virtualOutbound", tcp("rest")),
]


VIP = cluster("vip", "10.0.0.1:80")


def held(*listeners: Listener) -> dict[str, Any]:
    return {each.name: resource(LISTENER, each.name, each) for each in listeners}


class Dns:
    """Looks names up when a test says so."""

    def __init__(self, world: World, **zone: tuple[str, ...] | None) -> None:
        self.world = world
        self.zone = zone
        self.asked: list[str] = []
        self.open: list[str] = []
        self.ttl_s: float | None = 30.0
        world.runtime.dialled.ask = self.ask

    def ask(self, host: str) -> None:
        self.asked.append(host)
        self.open.append(host)

    def say(self) -> None:
        """Answer all who ask."""
        hosts, self.open = self.open, []
        for host in hosts:
            self.world.runtime.dialled.answer(host, self.zone.get(host, ()), self.ttl_s)
        self.world.runtime.changes.advance()


def went(world: World, host: str = "db", port: int = 80) -> Destination | str:
    found = world.runtime.plan.destination(b"http", host.encode(), port)
    return found.what if isinstance(found, Missing) else found


def known(world: World, dns: Dns, host: str = "db", port: int = 80) -> Destination:
    assert went(world, host, port) == f"the address of {host}"
    dns.say()
    found = went(world, host, port)
    assert isinstance(found, Destination)
    return found


@pytest.mark.parametrize(
    ("answer", "port", "cluster_name", "resolved"),
    [
        (("10.96.0.1",), 80, "vip", "10.96.0.1"),
        (("10.9.0.1", "10.96.0.1"), 80, "vip", "10.96.0.1"),
        (("192.0.2.9", "10.2.0.1", "fd00::1"), 80, "port", "10.2.0.1"),
        (("10.96.3.4",), 90, "range", "10.96.3.4"),
        (("192.0.2.9",), 90, "other", "192.0.2.9"),
    ],
)
def test_the_address_that_dns_has_chooses_the_listener_and_the_chain(
    answer: tuple[str, ...], port: int, cluster_name: str, resolved: str
) -> None:
    world = World(listeners=LISTENERS)
    found = known(world, Dns(world, db=answer), port=port)
    assert (found.cluster, found.resolved, found.resolved_by) == (cluster_name, resolved, "dns")


@pytest.mark.parametrize("answer", [(), None], ids=["no such name", "no answer"])
def test_a_host_without_an_address_goes_where_any_address_goes(answer: tuple[str, ...] | None) -> None:
    world = World(listeners=LISTENERS)
    found = known(world, Dns(world, db=answer))
    assert (found.cluster, found.resolved, found.resolved_by) == ("port", None, None)
    call = world.start("http://db/")
    call.destination = found
    assert why(call)[0] == "db is not in the name table, nor does DNS have it"


@pytest.mark.parametrize(
    ("host", "port"),
    [("shop", 80), ("10.96.0.9", 80), ("forced", 80), ("db", 81)],
    ids=["name table", "literal", "override", "no address matters"],
)
def test_dns_is_only_asked_where_it_decides(host: str, port: int) -> None:
    world = World(listeners=LISTENERS, names={"shop": "10.96.0.1"}, options=Options(overrides={"forced": "10.96.0.1"}))
    dns = Dns(world)
    assert isinstance(went(world, host, port), Destination)
    assert not dns.asked


def test_without_a_resolver_nobody_is_asked() -> None:
    found = went(World(listeners=LISTENERS))
    assert isinstance(found, Destination)
    assert (found.cluster, found.found) == ("port", None)
    assert DialledHosts(Clock()).find("db") == ()


def test_no_listener_and_a_bad_one_tell_no_addresses_apart() -> None:
    for listeners in ({}, {"virtualOutbound": bad(LISTENER, "virtualOutbound")}):
        world = World()
        world.update(listeners=listeners)
        dns = Dns(world)
        found = went(world)
        assert isinstance(found, Destination)
        assert (found.kind, dns.asked) == ("refused", [])


def test_a_call_waits_for_the_address_as_for_configuration() -> None:
    world = World(listeners=[LISTENERS[0], listener("virtualOutbound", tcp("PassthroughCluster"))], clusters=[VIP])
    dns = Dns(world, db=("10.96.0.1",))
    steps = world.steps("http://db/")
    assert steps.wants(AwaitConfig).missing == "the address of db"
    dns.say()
    steps.answer()
    assert steps.wants(Bypass).cluster == "vip"
    assert world.steps("http://10.96.0.1/").wants(Bypass).cluster == "vip"


def test_what_passes_until_there_is_configuration_does_not_pass_for_want_of_an_address() -> None:
    world = World(Snapshot(), options=Options(passthrough_until_ready=True))
    Dns(world)
    assert world.steps("http://db/").wants(Bypass).cluster is None
    world = World(listeners=LISTENERS, options=Options(passthrough_until_ready=True))
    Dns(world)
    assert world.steps("http://db/").wants(AwaitConfig).missing == "the address of db"


def test_an_answer_holds_for_its_ttl_and_while_it_is_asked_for_anew() -> None:
    world = World(listeners=LISTENERS)
    dns = Dns(world, db=("10.96.0.1",))
    found = known(world, dns)
    world.clock.advance(29.9)
    assert went(world) is found
    assert dns.asked == ["db"]
    world.clock.advance(0.2)
    assert went(world) is found
    assert went(world) is found
    assert dns.asked == ["db", "db"]
    dns.say()
    assert went(world) is found


def test_another_answer_is_another_destination() -> None:
    world = World(listeners=LISTENERS)
    dns = Dns(world, db=("10.96.0.1",))
    known(world, dns)
    dns.zone = {"db": ("10.9.0.1",)}
    world.clock.advance(31)
    went(world)
    dns.say()
    found = went(world)
    assert isinstance(found, Destination)
    assert (found.cluster, found.resolved) == ("port", "10.9.0.1")


def test_an_answer_long_out_of_date_must_be_waited_for() -> None:
    world = World(listeners=LISTENERS)
    dns = Dns(world, db=("10.96.0.1",))
    known(world, dns)
    world.clock.advance(30 + STALE_S)
    assert went(world) == "the address of db"


def test_what_nobody_answers_keeps_the_address_that_it_had() -> None:
    world = World(listeners=LISTENERS)
    dns = Dns(world, db=("10.96.0.1",))
    found = known(world, dns)
    dns.zone, dns.ttl_s = {"db": None}, None
    world.clock.advance(31)
    went(world)
    dns.say()
    assert went(world) is found
    world.clock.advance(UNTOLD_S - 0.1)
    assert went(world) is found
    assert len(dns.asked) == 2


def test_a_ttl_of_nothing_does_not_ask_for_every_call() -> None:
    world = World(listeners=LISTENERS)
    dns = Dns(world, db=("10.96.0.1",))
    dns.ttl_s = 0.0
    known(world, dns)
    world.clock.advance(LEAST_S - 0.1)
    went(world)
    assert dns.asked == ["db"]


def test_names_are_asked_for_once_however_they_are_written() -> None:
    world = World(listeners=LISTENERS)
    dns = Dns(world, db=("10.96.0.1",))
    assert went(world, "DB") == "the address of DB"
    known(world, dns)
    assert dns.asked == ["db"]


def test_an_answer_at_once_needs_no_waiting() -> None:
    world = World(listeners=LISTENERS)
    world.runtime.dialled.ask = lambda host: world.runtime.dialled.answer(host, ("10.96.0.1",), 1.0)
    found = went(world)
    assert isinstance(found, Destination)
    assert found.cluster == "vip"


def test_look_ups_and_hosts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ASKED", 2)
    monkeypatch.setattr(module, "MAX_HOSTS", 3)
    world = World(listeners=LISTENERS)
    dns = Dns(world, a=("10.96.0.1",))
    for host in "abc":
        assert went(world, host) == f"the address of {host}"
    assert dns.asked == ["a", "b"]
    went(world, "d")  # all are forgotten but those that are asked for
    dns.say()
    assert isinstance(went(world, "a"), Destination)
    assert went(world, "c") == "the address of c"
    assert dns.asked == ["a", "b", "c"]


def test_a_change_of_listeners_and_a_forked_child_look_anew() -> None:
    world = World(listeners=LISTENERS)
    dns = Dns(world, db=("10.96.0.1",))
    known(world, dns)
    world.update(clusters={})
    assert isinstance(went(world), Destination)
    world.update(listeners=held(*LISTENERS[3:]))
    found = went(world)
    assert isinstance(found, Destination)
    assert found.resolved_by is None
    world.update(listeners=held(*LISTENERS))
    world.runtime.reset()
    assert went(world) == "the address of db"
