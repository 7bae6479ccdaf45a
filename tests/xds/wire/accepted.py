"""Calls through configurations that were accepted: whoever accepts one promises that calls can use it."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import AwaitConfig, AwaitSlot, Bypass, Head, Send
from proxyless.xds.graph import clusters_of
from proxyless.xds.model.resource import Resource, ResourceType
from tests.support import model
from tests.support.world import World

HEADERS = (("x-user", "a"), ("x-env", "canary"), ("user-agent", "test"))
ADDRESS = "127.0.0.1:80"


def call_through(resource: Resource[Any]) -> None:
    """Calls that meet a resource: whatever they come to, it is an end and no exception."""
    value = resource.get()
    match resource.type:
        case ResourceType.ROUTE:
            routes_of = [each for host in value.virtual_hosts for each in host.value().routes]
            names = {name for each in routes_of for name in clusters_of(each)}
            clusters = {name: model.resource(model.CLUSTER, name, model.cluster(name, ADDRESS)) for name in names}
            world = World()
            world.update(routes={"80": resource}, clusters=clusters)
            hosts = {domain for host in value.virtual_hosts for domain in host.domains[:2]}
            paths = {path for each in routes_of if (path := getattr(each.match.path, "value", "/")).startswith("/")}
            for host in sorted(hosts)[:4]:
                for path in sorted(paths)[:4]:
                    _call(world, host.replace("*", "x"), path)
        case ResourceType.CLUSTER:
            world = World(tables=[model.table(model.route("/", "a"))])
            name = value.assignment_name
            there = {name: model.resource(model.ENDPOINT, name, model.assignment(name, ADDRESS))}
            world.update(clusters={"a": resource}, assignments=there)
            _call(world, "shop", "/")
        case ResourceType.ENDPOINT:
            world = World(tables=[model.table(model.route("/", "a"))], clusters=[model.eds("a")])
            world.update(assignments={"a": resource})
            _call(world, "shop", "/")
        case ResourceType.LISTENER:
            world = World(tables=[model.table(model.route("/", "a"))])
            world.update(listeners={"0.0.0.0_80": resource, "virtualInbound": resource})
            _call(world, "shop", "/")
            for chain in value.all_chains():
                world.runtime.plan.inbound(chain.match.destination_port or 8080, "127.0.0.1")


def _call(world: World, host: str, path: str) -> None:
    steps = world.steps("http://shop" + path, headers=(("host", host), *HEADERS))
    for status in (503, 503, *[200] * 8):
        action = steps.until(Send, AwaitConfig, AwaitSlot, Bypass)
        if not isinstance(action, Send):
            break
        steps.answer(Head(status, [], None))
    steps.close()
