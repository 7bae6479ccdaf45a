"""A configuration in force: the wire's decoders, the graph, and a runtime with a fake clock and chosen draws."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from proxyless.cli._url import parse_url
from proxyless.governance.explain import document, dry_call
from proxyless.governance.forwarding import Workload
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Options
from proxyless.xds.graph import Graph
from proxyless.xds.model.dns import DnsOptions
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.protocol.events import NamedResource, Response
from proxyless.xds.transport.dns import resolve_assignment
from proxyless.xds.transport.resolver import Answer
from proxyless.xds.wire import codec
from tests.support.world import Answer as CallAnswer
from tests.support.world import Steps, World

from .resources import ORDER

WORKLOAD = Workload("127.0.0.1", "node", "app.shop", environment={"POD_NAME": "pod"})

Headers = Iterable[tuple[str, str]]
NAME_FIELD = {ResourceType.ENDPOINT: "cluster_name"}


class Scene:
    """One look at a configuration. `refused`: what was refused at load, by type and name, and why."""

    def __init__(
        self, messages: Mapping[ResourceType, Iterable[Message]], addresses: Mapping[str, Sequence[str]]
    ) -> None:
        self.graph = Graph(codec.resource)
        self.refused: dict[str, str] = {}
        self._addresses = addresses
        for type_ in ORDER:
            self._take(type_, messages.get(type_, ()))
        self.world = World(self.graph.snapshot, options=Options(workload=WORKLOAD))
        self.world.on_ask = self._want

    def _take(self, type_: ResourceType, messages: Iterable[Message]) -> None:
        named = []
        for each in messages:
            name = str(getattr(each, NAME_FIELD.get(type_, "name"), "names"))
            self.graph.want(type_, [name] if type_ is not ResourceType.CLUSTER else [])
            named.append(NamedResource(name, "1", each.SerializeToString()))
        for rejected in self.graph.apply(Response(type_, type_.value, "1", "n", tuple(named))):
            self.refused[f"{type_.message} {rejected.name}"] = rejected.reason

    def _want(self, type_: ResourceType, names: Collection[str]) -> None:
        graph = self.graph
        graph.want(type_, names)
        if graph.missing_secrets:
            graph.release()
        for name in sorted(graph.wanted_dns - graph.snapshot.resolved.keys()):
            graph.resolved(name, resolve_assignment(graph.newest[ResourceType.CLUSTER][name].get(), self._look_up))
        if graph.snapshot is not self.world.runtime.plan.snapshot:
            self.world.runtime.publish(graph.snapshot)

    def _look_up(self, name: str, family: socket.AddressFamily, options: DnsOptions) -> Answer:
        del options
        v6 = {socket.AF_INET: (False,), socket.AF_INET6: (True,)}.get(family, (False, True))
        return Answer(tuple(each for each in self._addresses.get(name, ()) if (":" in each) in v6))

    # -- ways to use it --------------------------------------------------------------------------------------------

    def explain(self, url: str = "http://shop/", method: str = "GET", headers: Headers = ()) -> dict[str, Any]:
        """The document of `proxyless explain --json`, without what is said of fields that are not done."""
        given = [list(each) for each in headers]
        call, missing = dry_call(self.world.runtime, method, parse_url(url), [(name, value) for name, value in given])
        found = document(call, {"method": method, "url": url, "headers": given}, missing)
        return {key: value for key, value in found.items() if key not in ("not_honoured", "request")}

    def call(self, url: str = "http://shop/", answers: Iterable[CallAnswer] = (200,), **request: Any) -> Steps:
        """A call driven to its end from a script of answers (tests/support/world.py)."""
        return self.world.call(url, answers, **request)

    def receive(
        self,
        path: str = "/",
        method: str = "GET",
        headers: Headers = (),
        *,
        port: int = 8080,
        source: str = "192.0.2.7",
        authority: str = "shop",
        tls: bool = False,
        peer: Peer | None = None,
        dynamic: Mapping[str, dict[str, Any]] | None = None,
    ) -> InboundRequest:
        """An incoming request, decided. `dynamic`: what filters before have written."""
        raw = [(name.encode(), value.encode()) for name, value in headers]
        view = RequestView(method.encode(), b"http", authority.encode(), path.encode(), raw)
        view.source = source
        request = InboundRequest(self.world.runtime, view, port, tls=tls, peer=peer)
        request.dynamic.update(dynamic or {})
        request.decide()
        return request
