"""Whatever is interleaved, lost with a stream, sent twice or refused: in the end there is what the server sent last.

The control thread's own code runs here, protocol, wire and join, over a link whose every message is delivered when the
test says so; the server on the other side keeps istiod's rules (`servers`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxyless.xds.model.resource import Resource, ResourceError, ResourceType
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.protocol.events import Request, Response
from proxyless.xds.transport.control import Control
from proxyless.xds.transport.link import Ended
from proxyless.xds.wire.schema import types as pb
from tests.xds.messages import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    NAMES,
    ROUTE,
    cluster,
    endpoints,
    listener,
    name_table,
    table,
)

from .servers import DeltaStream, Server, SotwStream

CLUSTERS = ("c0", "c1", "c2")
ASSIGNMENTS = (*CLUSTERS, "elsewhere")
TABLES = ("t0", "t1")
LISTENERS = ("l0", "l1")
HOSTS = ("h0", "h1")
NODE = {"id": "sidecar~127.0.0.1~a.b~b.svc.cluster.local"}

version = st.integers(1, 3)
good = st.sampled_from([True, True, True, False])


class Wire:
    """A link and its streams: what was sent waits to be delivered, or dies with the stream."""

    address = "the test"

    def __init__(self, server: Server) -> None:
        self.server = server
        self.stream: SotwStream | DeltaStream | None = None
        self.to_server: deque[Request] = deque()
        self.to_client: deque[bytes] = deque()
        self.on_bytes: Callable[[bytes], None] = lambda raw: None
        self.on_end: Callable[[Ended], None] = lambda ended: None

    def open(self, *, delta: bool, on_bytes: Callable[[bytes], None], on_end: Callable[[Ended], None]) -> Wire:
        assert self.stream is None
        self.stream = self.server.stream(delta=delta)
        self.on_bytes, self.on_end = on_bytes, on_end
        return self

    def send(self, raw: bytes) -> None:
        """A request of the client."""
        delta = isinstance(self.stream, DeltaStream)
        self.to_server.append(read_delta_request(raw) if delta else read_request(raw))

    def push(self, responses: list[Response]) -> None:
        """Responses of the server."""
        self.to_client += [write(each) for each in responses]

    def close(self) -> None:
        """Nothing is shared."""


def read_request(raw: bytes) -> Request:
    message = pb.discovery_v3.DiscoveryRequest.FromString(raw)
    return Request(
        message.type_url,
        message.version_info,
        message.response_nonce,
        tuple(message.resource_names),
        message.error_detail.message,
        first=message.HasField("node"),
    )


def read_delta_request(raw: bytes) -> Request:
    message = pb.discovery_v3.DeltaDiscoveryRequest.FromString(raw)
    return Request(
        message.type_url,
        nonce=message.response_nonce,
        error=message.error_detail.message,
        subscribe=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        held=tuple(message.initial_resource_versions.items()),
        first=message.HasField("node"),
    )


def write(response: Response) -> bytes:
    packed = [pb.google_protobuf.Any(type_url=response.type_url, value=each.raw) for each in response.resources]
    if response.full:
        return pb.discovery_v3.DiscoveryResponse(
            type_url=response.type_url, version_info=response.version, nonce=response.nonce, resources=packed
        ).SerializeToString()
    return pb.discovery_v3.DeltaDiscoveryResponse(
        type_url=response.type_url,
        system_version_info=response.version,
        nonce=response.nonce,
        resources=[
            pb.discovery_v3.Resource(name=each.name, version=each.version, resource=inner)
            for each, inner in zip(response.resources, packed, strict=True)
        ],
        removed_resources=response.removed,
    ).SerializeToString()


class Mesh(RuleBasedStateMachine):
    """One client and one server."""

    delta: bool

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.wire = Wire(self.server)
        self.published: list[Snapshot] = []
        self.control = Control(self.wire, NODE, self.published.append, delta=self.delta)
        self.bad: set[tuple[ResourceType, str]] = set()

    @property
    def graph(self) -> Any:
        return self.control.graph

    def step(self) -> None:
        """What the control thread does with what has come."""
        while not self.control._queue.empty():
            work = self.control._queue.get()
            assert work is not None
            work()
            self.control._settle()
        self.control._settle()

    # -- the server ----------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        for name in CLUSTERS:
            self.put_cluster(name, name, 1, True)
            self.put_endpoints(name, 1, True)
        self.put_listener("l0", TABLES[:1], True)
        self.put_table("t0", {"h0": CLUSTERS[:1], "h1": CLUSTERS[1:2]}, True)
        self.server.put(NAMES, "name table", name_table(cart="10.0.0.1"))
        self.connect()

    def put(self, type_: ResourceType, name: str, raw: bytes | None, ok: bool) -> None:
        self.server.put(type_, name, raw)
        (self.bad.discard if ok else self.bad.add)((type_, name))

    @rule(name=st.sampled_from(CLUSTERS), to=st.sampled_from(ASSIGNMENTS), timeout_s=version, ok=good)
    def put_cluster(self, name: str, to: str, timeout_s: int, ok: bool) -> None:
        self.put(CLUSTER, name, cluster(name, assignment=to, timeout_s=timeout_s if ok else -1), ok)

    @rule(name=st.sampled_from(ASSIGNMENTS), number=version, ok=good)
    def put_endpoints(self, name: str, number: int, ok: bool) -> None:
        self.put(ENDPOINT, name, endpoints(name, f"127.0.0.{number}", port=80 if ok else 70_000), ok)

    @rule(
        name=st.sampled_from(TABLES),
        hosts=st.dictionaries(st.sampled_from(HOSTS), st.tuples(st.sampled_from(CLUSTERS)), max_size=2),
        ok=good,
    )
    def put_table(self, name: str, hosts: dict[str, tuple[str, ...]], ok: bool) -> None:
        self.put(ROUTE, name, table(name, hosts if ok else {**hosts, "bad": ["c0!"]}), ok)

    @rule(name=st.sampled_from(LISTENERS), tables=st.lists(st.sampled_from(TABLES), unique=True), ok=good)
    def put_listener(self, name: str, tables: list[str] | tuple[str, ...], ok: bool) -> None:
        self.put(LISTENER, name, listener(name, *tables, timeout_s=1 if ok else -1), ok)

    @rule(
        what=st.sampled_from(
            [*((CLUSTER, each) for each in CLUSTERS), *((LISTENER, each) for each in LISTENERS), (ENDPOINT, "c0")]
        )
    )
    def take_away(self, what: tuple[ResourceType, str]) -> None:
        self.put(*what, None, True)

    @rule(type_=st.sampled_from([CLUSTER, LISTENER, ENDPOINT, ROUTE, NAMES]))
    def push(self, type_: ResourceType) -> None:
        if self.wire.stream is not None:
            self.wire.push(self.wire.stream.push(type_))

    @rule(name=st.sampled_from(ASSIGNMENTS))
    def push_in_part(self, name: str) -> None:
        if self.wire.stream is not None:
            self.wire.push(self.wire.stream.push(ENDPOINT, [name]))

    # -- the network ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.wire.to_server)
    @rule()
    def deliver_a_request(self) -> None:
        stream = self.wire.stream
        assert stream is not None
        self.wire.push(stream.asked(self.wire.to_server.popleft()))

    @precondition(lambda self: self.wire.to_client)
    @rule(twice=st.sampled_from([False, False, True]))
    def deliver_a_response(self, twice: bool) -> None:
        raw = self.wire.to_client.popleft()
        for _ in range(2 if twice else 1):
            self.wire.on_bytes(raw)
        self.step()

    @precondition(lambda self: self.wire.stream is not None)
    @rule(arrives_late=st.booleans(), tables=st.sets(st.sampled_from(TABLES)))
    def lose_the_stream(self, arrives_late: bool, tables: set[str]) -> None:
        before = self.graph.snapshot
        late, on_bytes = list(self.wire.to_client), self.wire.on_bytes
        self.wire.stream = None
        self.wire.to_server.clear()
        self.wire.to_client.clear()
        self.wire.on_end(Ended("gone"))
        self.step()
        assert self.graph.snapshot is before, "nothing that is held is given up because a stream ended"
        self.graph.unwant(ROUTE, tables)
        self.step()
        if arrives_late:
            self.connect()
            after = self.graph.snapshot
            for raw in late:
                on_bytes(raw)
            self.step()
            assert self.graph.snapshot is after, "the stream before has nothing to say any more"

    @precondition(lambda self: self.wire.stream is None)
    @rule()
    def connect(self) -> None:
        before = self.graph.snapshot
        self.control._on_connect()
        self.step()
        assert self.graph.snapshot is before

    # -- calls ---------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(CLUSTERS))
    def use_a_cluster(self, name: str) -> None:
        use(self.graph.snapshot.clusters.get(name))
        self.control.want(CLUSTER, [name])
        self.step()

    @rule(name=st.sampled_from(CLUSTERS), other=st.sampled_from(CLUSTERS))
    def use_a_cluster_while_a_bad_response_is_on_its_way(self, name: str, other: str) -> None:
        self.use_a_cluster(other)
        self.deliver_everything()
        self.put_endpoints(other, 1, False)
        self.push(ENDPOINT)
        self.use_a_cluster(name)
        self.deliver_everything()
        self.the_server_knows_what_is_wanted()

    @rule(names=st.sets(st.sampled_from(CLUSTERS)))
    def let_clusters_go(self, names: set[str]) -> None:
        self.graph.unwant(CLUSTER, names)
        self.step()

    @rule(name=st.sampled_from(TABLES), host=st.sampled_from(HOSTS))
    def use_a_table(self, name: str, host: str) -> None:
        resource = self.graph.snapshot.routes.get(name)
        use(resource)
        for each in resource.get().virtual_hosts if resource is not None and resource.decoded else ():
            if each.name == host:
                each.value()
        self.control.want(ROUTE, [name])
        self.step()

    @rule(name=st.sampled_from(TABLES))
    def let_a_table_go(self, name: str) -> None:
        self.graph.unwant(ROUTE, [name])
        self.step()

    @rule(name=st.sampled_from(LISTENERS))
    def use_a_listener(self, name: str) -> None:
        use(self.graph.snapshot.listeners.get(name))

    @precondition(lambda self: self.graph.held_back)
    @rule()
    def wait_long_enough(self) -> None:
        self.control._on_release()
        self.step()

    # -- what holds ----------------------------------------------------------------------------------------------

    @invariant()
    def what_is_in_force_is_good(self) -> None:
        snapshot = self.graph.snapshot
        for held in (snapshot.listeners, snapshot.clusters, snapshot.routes, snapshot.assignments):
            for resource in held.values():
                assert resource.error is None

    @invariant()
    def the_client_asks_for_what_is_wanted(self) -> None:
        for type_, names in self.graph.wanted.items():
            assert self.control._subscribed[type_] == names

    def the_server_knows_what_is_wanted(self) -> None:
        if self.wire.stream is not None:
            for type_, names in self.graph.wanted.items():
                assert self.wire.stream.subscribed(type_) == names

    def deliver_everything(self) -> None:
        while self.wire.to_server or self.wire.to_client:
            if self.wire.to_server:
                self.deliver_a_request()
            else:
                self.deliver_a_response(False)

    def teardown(self) -> None:
        if not self.server.store[NAMES]:
            return  # it never began
        if self.wire.stream is None:
            self.connect()
        self.push_everything()
        assert self.refused() == {each for each in self.bad if self.is_asked_for(*each)}
        for type_, name in list(self.bad):
            self.put(type_, name, mended(type_, name), True)
        self.push_everything()
        self.control._on_release()
        self.step()
        self.deliver_everything()
        self.all_is_as_the_server_says()

    def push_everything(self) -> None:
        self.deliver_everything()
        for type_ in (CLUSTER, ENDPOINT, LISTENER, ROUTE, NAMES):
            self.push(type_)
        self.deliver_everything()

    def is_asked_for(self, type_: ResourceType, name: str) -> bool:
        return type_ not in self.graph.wanted or name in self.graph.wanted[type_]

    def refused(self) -> set[tuple[ResourceType, str]]:
        # A state of the world does not say that a name is gone, but for the wildcards.
        known = {each for each in self.graph.rejected if self.is_asked_for(*each)}
        return {each for each in known if each[0].is_wildcard or self.delta or each[1] in self.server.store[each[0]]}

    def all_is_as_the_server_says(self) -> None:
        stream, graph = self.wire.stream, self.graph
        assert stream is not None
        self.the_server_knows_what_is_wanted()
        for type_, names in graph.wanted.items():
            held = {name: graph.newest[type_][name].raw for name in names if name in graph.newest[type_]}
            there = {name: raw for name, raw in self.server.store[type_].items() if name in names}
            assert {name: held.get(name) for name in there} == there
            if self.delta:
                assert held == there
        for type_ in (CLUSTER, LISTENER):
            assert {name: each.raw for name, each in graph.newest[type_].items()} == self.server.store[type_]
        snapshot = graph.snapshot
        assert snapshot.clusters == graph.newest[CLUSTER]
        assert snapshot.listeners == graph.newest[LISTENER]
        assert snapshot.routes == graph.newest[ROUTE]
        assert snapshot.assignments == graph.newest[ENDPOINT]
        assert snapshot.names.lookup("cart") == ("10.0.0.1",)
        assert snapshot.complete
        assert self.published[-1] is snapshot
        assert not self.refused()
        for watched in stream.watched.values():
            assert watched.answered == watched.nonce


def use(resource: Resource[Any] | None) -> None:
    """What a call does with a resource."""
    if resource is not None:
        try:
            resource.get()
        except ResourceError as error:
            raise AssertionError("what is in force is good") from error


def mended(type_: ResourceType, name: str) -> bytes:
    if type_ is CLUSTER:
        return cluster(name)
    if type_ is ENDPOINT:
        return endpoints(name, "127.0.0.9")
    return table(name, {"h0": ["c0"]}) if type_ is ROUTE else listener(name, "t0")


class Sotw(Mesh):
    delta = False


class Delta(Mesh):
    delta = True


TestSotw = Sotw.TestCase
TestDelta = Delta.TestCase
TestSotw.settings = TestDelta.settings = settings(max_examples=50, stateful_step_count=60, deadline=None)
